"""The job's report for people, in its output data: how the loss fell, and what the models came to."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from linear_learner.fitting import Fitted
from linear_learner.scores import Measure
from linear_learner.settings import Model, Settings

NAME = "evaluation/linear.json"

_POINTS = 1_000  # of answers beside labels


def write(
    folder: Path,
    settings: Settings,
    models: Sequence[Model],
    fitted: Fitted,
    best: int,
    found: Mapping[str, Sequence[Measure]],
    scores: NDArray[np.float64],
    labels: NDArray[np.float32],
) -> None:
    """Write the report, JSON.

    Args:
        found: the chosen model's measures by channel.
        scores, labels: of the last of these channels, or of training records where there is no other.
    """
    content = {
        "predictor_type": settings.predictor_type,
        "loss": settings.the_loss,
        "epochs": [asdict(epoch) for epoch in fitted.history],
        "models": [
            {**settings.described(model), "value": value if np.isfinite(value) else None, "chosen": number == best}
            for number, (model, value) in enumerate(zip(models, fitted.losses.tolist(), strict=True))
        ],
        "measures": {split: {measure.name: measure.value for measure in some} for split, some in found.items()},
    }
    if scores.ndim == 1:
        places = np.linspace(0, len(labels) - 1, min(_POINTS, len(labels))).astype(np.int64)
        content["answers"] = {"scores": scores[places].tolist(), "labels": labels[places].tolist()}
    path = folder / NAME
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content), encoding="utf-8")
