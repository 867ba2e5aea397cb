"""What a binary classifier is chosen by, and the score from which its label is 1 so that this is at its best."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from linear_learner.settings import Settings


@dataclass(frozen=True)
class Calibrated:
    """The best value of a criterion, greater is better, and the threshold that reaches it."""

    value: float
    threshold: float


def calibrate(scores: NDArray[np.float64], labels: NDArray[np.float32], settings: Settings) -> Calibrated:
    """The best threshold by the settings' criterion; of several, the one nearest to the usual threshold.

    Args:
        scores: shape (n,), n >= 1, as the endpoint gives them: probabilities, or margins of hinge_loss.
        labels: shape (n,), 0 or 1.
    """
    usual = usual_threshold(settings)
    if settings.criterion == "loss_function":
        return Calibrated(0.0, usual)
    order = np.argsort(-scores, kind="stable")
    ordered = scores[order]
    ends = np.append(np.flatnonzero(np.diff(ordered)), len(ordered) - 1)
    # Labelled 1 are the first so many: none, or all up to the end of some score.
    positive = np.cumsum(labels[order] > 0)[ends]
    hits = np.concatenate(([0], positive)).astype(np.float64)
    called = np.concatenate(([0], ends + 1)).astype(np.float64)
    values = _values(hits, called, float(labels.sum()), len(labels), settings)
    candidates = np.flatnonzero(values >= values.max())
    below = ordered[ends]
    # Halfway between the last score that is called 1 and the first that is not.
    upper = np.concatenate(([np.nextafter(below[0], np.inf)], below))
    lower = np.concatenate((below, [np.nextafter(below[-1], -np.inf)]))
    thresholds = (upper + lower) / 2
    thresholds[0] = upper[0]
    # Where the usual threshold lies between both scores, it does as well.
    within = (lower < usual) & (usual <= upper)
    within[0], within[-1] = usual > below[0], usual <= below[-1]
    thresholds[within] = usual
    best = candidates[np.abs(thresholds[candidates] - usual).argmin()]
    return Calibrated(float(values[best]), float(thresholds[best]))


def usual_threshold(settings: Settings) -> float:
    """Of an uncalibrated model: a probability of one half, or a margin of nothing."""
    return 0.0 if settings.the_loss == "hinge_loss" else 0.5


def _values(
    hits: NDArray[np.float64], called: NDArray[np.float64], positive: float, count: int, settings: Settings
) -> NDArray[np.float64]:
    """The criterion for each number of records that are called 1, `hits` of them rightly."""
    precision = np.divide(hits, called, out=np.zeros_like(hits), where=called > 0)
    recall = hits / positive if positive else np.zeros_like(hits)
    match settings.criterion:
        case "accuracy":
            return (2 * hits - called + count - positive) / count
        case "f_beta":
            return f_score(precision, recall, settings.f_beta)
        case "precision_at_target_recall":
            return _target(precision, recall, settings.target_recall)
        case _:
            return _target(recall, precision, settings.target_precision)


def f_score(precision: NDArray[np.float64], recall: NDArray[np.float64], beta: float) -> NDArray[np.float64]:
    """(1 + beta^2) * precision * recall / (beta^2 * precision + recall); 0 where both are."""
    below = beta**2 * precision + recall
    return np.divide((1 + beta**2) * precision * recall, below, out=np.zeros_like(below), where=below > 0)


def _target(value: NDArray[np.float64], other: NDArray[np.float64], target: float) -> NDArray[np.float64]:
    """The value where the other reaches its target; elsewhere below zero, the less the nearer the other is to it."""
    return np.where(other >= target, value, other - target - 1e-12)
