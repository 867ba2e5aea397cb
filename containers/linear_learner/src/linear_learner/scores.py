"""How good a model's answers are: the measures of the log, by predictor type."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from linear_learner.calibration import f_score
from linear_learner.settings import Settings


class Measure(NamedTuple):
    """A measure: its name, whether it is a loss or a score, its value."""

    name: str
    kind: str
    value: float


def measures(
    scores: NDArray[np.float64], labels: NDArray[np.float32], settings: Settings, threshold: float | None
) -> list[Measure]:
    """The measures of a model.

    Args:
        scores: as the endpoint gives them; shape (n,), or (n, classes) of a multiclass_classifier; n >= 1.
        labels: shape (n,).
        threshold: of a binary classifier.
    """
    if settings.is_regressor:
        return _regression(scores, labels.astype(np.float64))
    if threshold is not None:
        return _binary(scores, labels, settings.f_beta, threshold)
    return _multiclass(scores, labels.astype(np.int64), settings.f_beta, settings.accuracy_top_k)


def _regression(scores: NDArray[np.float64], labels: NDArray[np.float64]) -> list[Measure]:
    errors = scores - labels
    mse, variance = float(np.mean(errors**2)), float(np.var(labels))
    found = [
        Measure("mse", "loss", mse),
        Measure("rmse", "loss", float(np.sqrt(mse))),
        Measure("absolute_loss", "loss", float(np.mean(np.abs(errors)))),
    ]
    if variance:
        found.append(Measure("r2", "score", 1 - mse / variance))
    return found


def _binary(scores: NDArray[np.float64], labels: NDArray[np.float32], beta: float, threshold: float) -> list[Measure]:
    called, positive = scores >= threshold, labels > 0
    hits = float(np.sum(called & positive))
    precision = hits / called.sum() if called.any() else 0.0
    recall = hits / positive.sum() if positive.any() else 0.0
    found = [
        Measure("binary_classification_accuracy", "score", float(np.mean(called == positive))),
        Measure("precision", "score", float(precision)),
        Measure("recall", "score", float(recall)),
        Measure(f"binary_f_{beta:.3f}", "score", float(f_score(np.array(precision), np.array(recall), beta))),
    ]
    if 0 < positive.sum() < len(positive):
        found.append(Measure("roc_auc_score", "score", area_under_curve(scores, positive)))
    return found


def area_under_curve(scores: NDArray[np.float64], positive: NDArray[np.bool_]) -> float:
    """Probability that a record with label 1 scores above one with label 0, ties counted half (Mann-Whitney)."""
    _, place, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[place]
    above = int(positive.sum())
    return float((ranks[positive].sum() - above * (above + 1) / 2) / (above * (len(scores) - above)))


def _multiclass(scores: NDArray[np.float64], labels: NDArray[np.int64], beta: float, top: int) -> list[Measure]:
    own = scores[np.arange(len(labels)), labels]
    # Ties are to the label's disadvantage, but for those with later classes, which argmax passes over, too.
    ahead = (scores > own[:, None]).sum(1)
    ahead += ((scores == own[:, None]) & (np.arange(scores.shape[1]) < labels[:, None])).sum(1)
    called, classes = scores.argmax(1), scores.shape[1]
    hits = np.bincount(labels[called == labels], minlength=classes).astype(np.float64)
    truth, calls = np.bincount(labels, minlength=classes), np.bincount(called, minlength=classes)
    occurring = (truth > 0) | (calls > 0)
    precision = np.divide(hits, calls, out=np.zeros_like(hits), where=calls > 0)[occurring]
    recall = np.divide(hits, truth, out=np.zeros_like(hits), where=truth > 0)[occurring]
    return [
        Measure("multiclass_accuracy", "score", float(np.mean(called == labels))),
        Measure(f"multiclass_top_k_accuracy_{top}", "score", float(np.mean(ahead < top))),
        Measure("dcg", "score", float(np.mean(1 / np.log2(ahead + 2)))),
        Measure("macro_recall", "score", float(recall.mean())),
        Measure("macro_precision", "score", float(precision.mean())),
        Measure(f"macro_f_{beta:.3f}", "score", float(f_score(precision, recall, beta).mean())),
    ]
