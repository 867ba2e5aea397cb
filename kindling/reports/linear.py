"""What linear models came to: read out of a run's output.tar.gz."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict

from kindling.reports.job_output import report_in
from kindling.targets import Target

MEMBER = "evaluation/linear.json"


class Epoch(BaseModel):
    """One epoch: the best model's losses, the first in the units of the normalised label."""

    model_config = ConfigDict(frozen=True)

    train: float
    validation: float | None = None


class Answers(BaseModel):
    """Some scores beside the labels that they should be, both of shape (n,)."""

    model_config = ConfigDict(frozen=True)

    scores: tuple[float, ...]
    labels: tuple[float, ...]


class LinearModels(BaseModel):
    """The models of a training, side by side; one of them is the chosen one. A diverged one has no value."""

    model_config = ConfigDict(frozen=True)

    predictor_type: str
    loss: str
    epochs: tuple[Epoch, ...]
    models: tuple[dict[str, Any], ...]
    answers: Answers | None = None

    def best(self, count: int) -> list[dict[str, Any]]:
        """The models of the smallest loss."""
        finite = [model for model in self.models if model["value"] is not None]
        return sorted(finite, key=lambda model: (model["value"], not model["chosen"]))[:count]


def of_run(target: Target, model_s3_uri: str) -> LinearModels | None:
    """The models that the output.tar.gz beside a model tells of; None where the job left none that can be read."""
    return report_in(target, model_s3_uri, MEMBER, LinearModels)
