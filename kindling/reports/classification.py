"""What a classifier reached on its test channel, or without one on validation: read out of a run's output.tar.gz."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from kindling.reports.job_output import report_in
from kindling.targets import Target

MEMBER = "evaluation/classification.json"

_PREFIX = "__label__"


class AtK(BaseModel):
    """Precision and recall when the k best labels count."""

    model_config = ConfigDict(frozen=True)

    k: int
    precision: float
    recall: float


class LabelScore(BaseModel):
    """One label at its best prediction; `support` is the number of examples that bear it."""

    model_config = ConfigDict(frozen=True)

    label: str
    precision: float
    recall: float
    f1: float
    support: int

    @property
    def name(self) -> str:
        """The label without fastText's prefix."""
        return self.label.removeprefix(_PREFIX)


class Confusion(BaseModel):
    """Examples by true label (rows) and predicted one (columns); `counts` has shape (len(labels), len(labels))."""

    model_config = ConfigDict(frozen=True)

    labels: tuple[str, ...]
    counts: tuple[tuple[int, ...], ...]

    @property
    def names(self) -> list[str]:
        """The labels without fastText's prefix."""
        return [label.removeprefix(_PREFIX) for label in self.labels]


class Epoch(BaseModel):
    """One epoch of the training; losses in nats."""

    model_config = ConfigDict(frozen=True)

    epoch: int
    train_accuracy: float
    train_loss: float
    validation_accuracy: float | None = None
    validation_loss: float | None = None


class Classification(BaseModel):
    """The scores of a classifier on a channel's examples, which it has not been trained on."""

    model_config = ConfigDict(frozen=True)

    channel: str = "test"
    examples: int
    accuracy: float
    at_k: tuple[AtK, ...]
    labels: tuple[LabelScore, ...]
    confusion: Confusion
    epochs: tuple[Epoch, ...] = ()

    @property
    def telling_k(self) -> tuple[AtK, ...]:
        """Without the k that is above the number of labels, where nothing more can be found."""
        return tuple(at for at in self.at_k if at.k <= len(self.labels))

    def worst(self, count: int) -> list[LabelScore]:
        """The labels of the lowest F1 that examples bear, the lowest first and of equals the more frequent one."""
        borne = [score for score in self.labels if score.support]
        return sorted(borne, key=lambda score: (score.f1, -score.support, score.label))[:count]


def of_run(target: Target, model_s3_uri: str) -> Classification | None:
    """The scores in the output.tar.gz beside a model; None where the job left none that can be read."""
    return report_in(target, model_s3_uri, MEMBER, Classification)
