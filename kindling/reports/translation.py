"""What a translator reached on its validation sentences: read out of a run's output.tar.gz."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from kindling.reports.job_output import report_in
from kindling.targets import Target

MEMBER = "evaluation/translation.json"


class Epoch(BaseModel):
    """Losses in bits per target token, BLEU of a greedy search, target tokens per second."""

    model_config = ConfigDict(frozen=True)

    epoch: int
    updates: int
    train_loss: float
    valid_loss: float
    valid_bleu: float
    train_wps: float


class Sample(BaseModel):
    """A validation sentence, its translation by the model, and the one that it should have been."""

    model_config = ConfigDict(frozen=True)

    source: str
    translation: str
    reference: str


class TranslationScores(BaseModel):
    """`bleu` is of all `sentences` by the model's own search; None where the job was stopped before."""

    model_config = ConfigDict(frozen=True)

    bleu: float | None = None
    signature: str = ""
    sentences: int = 0
    epochs: tuple[Epoch, ...]
    samples: tuple[Sample, ...]


def of_run(target: Target, model_s3_uri: str) -> TranslationScores | None:
    """The scores that a job left beside its model; None where there are none that can be read."""
    return report_in(target, model_s3_uri, MEMBER, TranslationScores)
