"""Measures and thresholds, held against scikit-learn and against trying every threshold."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics

from contract.training import installed_algorithm
from linear_learner.calibration import calibrate
from linear_learner.scores import measures
from linear_learner.settings import Settings

ALGORITHM = installed_algorithm("linear_learner")


def made(**hyperparameters: Any) -> Settings:
    values = ALGORITHM.parse_hyperparameters(hyperparameters, 1)
    return Settings.model_validate({**values, "tuned": False})


def found(scores: Any, labels: Any, chosen: Settings, threshold: float | None = None) -> dict[str, float]:
    return {measure.name: measure.value for measure in measures(scores, labels, chosen, threshold)}


def test_measures_are_scikit_learns() -> None:
    draw = np.random.default_rng(1)
    labels = draw.integers(0, 2, 500).astype(np.float32)
    scores = np.round(np.clip(labels * 0.2 + draw.uniform(0, 0.8, 500), 0, 1), 2)
    called = scores >= 0.4
    own = found(scores, labels, made(predictor_type="binary_classifier", f_beta=2.0), 0.4)
    assert own["binary_classification_accuracy"] == pytest.approx(metrics.accuracy_score(labels, called))
    assert own["precision"] == pytest.approx(metrics.precision_score(labels, called))
    assert own["recall"] == pytest.approx(metrics.recall_score(labels, called))
    assert own["binary_f_2.000"] == pytest.approx(metrics.fbeta_score(labels, called, beta=2))
    assert own["roc_auc_score"] == pytest.approx(metrics.roc_auc_score(labels, scores))

    labels = draw.integers(0, 5, 500).astype(np.float32)
    table = draw.dirichlet(np.ones(6), 500)  # the last class never occurs
    table[np.arange(500), labels.astype(int)] += 0.1
    own = found(table, labels, made(predictor_type="multiclass_classifier", num_classes=6))
    called = table.argmax(1)
    assert own["multiclass_accuracy"] == pytest.approx(metrics.accuracy_score(labels, called))
    top = metrics.top_k_accuracy_score(labels, table, k=3, labels=np.arange(6))
    assert own["multiclass_top_k_accuracy_3"] == pytest.approx(top)
    assert own["macro_recall"] == pytest.approx(metrics.recall_score(labels, called, average="macro", zero_division=0))
    precision = metrics.precision_score(labels, called, average="macro", zero_division=0)
    assert own["macro_precision"] == pytest.approx(precision)
    assert own["macro_f_1.000"] == pytest.approx(metrics.f1_score(labels, called, average="macro", zero_division=0))
    relevance = np.eye(6)[labels.astype(int)]
    assert own["dcg"] == pytest.approx(metrics.dcg_score(relevance, table))

    truth = draw.normal(3, 2, 500).astype(np.float32)
    own = found(truth + draw.normal(0, 1, 500), truth, made(predictor_type="regressor"))
    assert own["r2"] == pytest.approx(1 - own["mse"] / np.var(truth))
    assert own["rmse"] == pytest.approx(np.sqrt(own["mse"]))


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 12), st.booleans()), min_size=1, max_size=40),
    st.sampled_from(["accuracy", "f_beta", "precision_at_target_recall", "recall_at_target_precision"]),
)
def test_no_other_threshold_is_better(pairs: list[tuple[int, bool]], criterion: str) -> None:
    chosen = made(
        predictor_type="binary_classifier",
        binary_classifier_model_selection_criteria=criterion,
        target_recall=0.6,
        target_precision=0.6,
    )
    scores = np.array([score / 12 for score, _ in pairs])
    labels = np.array([label for _, label in pairs], np.float32)
    own = calibrate(scores, labels, chosen)

    def value(threshold: float) -> float:
        of = found(scores, labels, chosen, threshold)
        match criterion:
            case "accuracy":
                return of["binary_classification_accuracy"]
            case "f_beta":
                return of["binary_f_1.000"]
            case "precision_at_target_recall":
                return of["precision"] if of["recall"] >= 0.6 else -1.0
            case _:
                return of["recall"] if of["precision"] >= 0.6 else -1.0

    best = max(value(threshold) for threshold in np.arange(-1, 27) / 24)
    assert value(own.threshold) == pytest.approx(best)
    if best >= 0:
        assert own.value == pytest.approx(best)
