"""Problems whose answers are known: from closed forms, SciPy and scikit-learn."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.optimize import linprog, minimize
from sklearn.linear_model import Lasso, LogisticRegression, QuantileRegressor, Ridge
from sklearn.svm import SVC

from contract.environment import TrainingEnvironment
from contract.paths import Paths
from contract.testing import write_input
from contract.training import installed_algorithm
from linear_learner.model import LinearModel
from linear_learner.train import train

from .jobs import Table, as_recordio, classes, regression, two_classes

Vector = NDArray[np.float64]

COUNT = 600
# All records in every update, and a learning rate that ends near zero: what is left is the optimum's own error.
EXACT = {
    "num_models": "1",
    "mini_batch_size": f"{COUNT}",
    "epochs": "3000",
    "early_stopping_patience": "3001",
    "lr_scheduler_minimum_lr": "1e-6",
    "lr_scheduler_factor": "0.96",
    "wd": "0",
    "l1": "0",
}


def trained(folder: Path, table: Table, hyperparameters: dict[str, str]) -> LinearModel:
    """The model of a job in this process."""
    write_input(
        folder, {"train": {"train.pbr": as_recordio(table)}}, {**EXACT, **hyperparameters}, ["algo-1"], "algo-1"
    )
    environment = TrainingEnvironment.read(installed_algorithm("linear_learner"), Paths(folder))
    environment.paths.model.mkdir()
    environment.paths.output_data.mkdir(parents=True)
    with torch.no_grad():
        train(environment)
    return LinearModel.read(environment.paths.model)


def skewed() -> Table:
    """Regression with errors that are neither normal nor symmetric, so that every loss has another answer."""
    table = regression(COUNT, 1, noise=0)
    table[:, 0] += np.random.default_rng(2).exponential(20, COUNT)
    return table


def normalised(table: Table) -> tuple[Vector, Vector]:
    """Features and labels of mean 0 and deviation 1, as they are trained on."""
    whole = table.astype(np.float64)
    whole = (whole - whole.mean(0)) / whole.std(0)
    return whole[:, 1:], whole[:, 0]


def in_normalised_units(model: LinearModel, table: Table) -> tuple[Vector, float]:
    """The weights and the bias that the model has for normalised features and labels."""
    whole = table.astype(np.float64)
    means, deviations = whole.mean(0), whole.std(0)
    weights = model.weights[0] * deviations[1:] / deviations[0]
    return weights, (model.bias[0] + model.weights[0] @ means[1:] - means[0]) / deviations[0]


def optimum(loss: Any, features: Vector, labels: Vector) -> float:
    """The least mean loss of any linear model, by a search that needs no gradient's continuity."""
    extended = np.column_stack((features, np.ones(len(features))))
    first = np.linalg.lstsq(extended, labels, rcond=None)[0]
    found = minimize(lambda w: loss(extended @ w - labels).mean(), first, method="Powell", options={"ftol": 1e-12})
    return float(found.fun)


def test_least_squares_are_the_normal_equations(tmp_path: Path) -> None:
    table = skewed()
    model = trained(tmp_path, table, {"predictor_type": "regressor"})
    extended = np.column_stack((table[:, 1:], np.ones(COUNT))).astype(np.float64)
    exact = np.linalg.lstsq(extended, table[:, 0].astype(np.float64), rcond=None)[0]
    assert model.weights[0] == pytest.approx(exact[:-1], rel=1e-3, abs=1e-3)
    assert model.bias[0] == pytest.approx(exact[-1], rel=1e-3)


@pytest.mark.parametrize(
    ("normalize_data", "normalize_label"), [("False", "False"), ("True", "False"), ("False", "True")]
)
def test_normalisation_changes_the_way_and_not_the_answer(
    tmp_path: Path, normalize_data: str, normalize_label: str
) -> None:
    features, labels = normalised(skewed())
    table = np.column_stack((labels * 2 + 1, features + 0.5)).astype(np.float32)
    switches = {"normalize_data": normalize_data, "normalize_label": normalize_label}
    model = trained(tmp_path, table, {"predictor_type": "regressor", **switches})
    extended = np.column_stack((table[:, 1:], np.ones(COUNT))).astype(np.float64)
    exact = np.linalg.lstsq(extended, table[:, 0].astype(np.float64), rcond=None)[0]
    assert np.append(model.weights[0], model.bias[0]) == pytest.approx(exact, abs=1e-3)


def test_without_a_bias_the_plane_goes_through_the_origin(tmp_path: Path) -> None:
    features, labels = normalised(skewed())
    table = np.column_stack((labels + 3, features + 1)).astype(np.float32)
    model = trained(tmp_path, table, {"predictor_type": "regressor", "use_bias": "False"})
    exact = np.linalg.lstsq(table[:, 1:].astype(np.float64), table[:, 0].astype(np.float64), rcond=None)[0]
    assert model.weights[0] == pytest.approx(exact, abs=1e-3)
    assert model.bias[0] == 0


@pytest.mark.parametrize("optimizer", ["adam", "sgd", "rmsprop"])
def test_weight_decay_is_ridge_regression(tmp_path: Path, optimizer: str) -> None:
    table, wd = skewed(), 0.3
    hyperparameters = {"predictor_type": "regressor", "wd": f"{wd}", "optimizer": optimizer}
    weights, bias = in_normalised_units(trained(tmp_path, table, hyperparameters), table)
    # Ridge: sum of squares + alpha * |w|^2; ours is their mean + wd / 2 * |w|^2.
    exact = Ridge(alpha=COUNT * wd / 2).fit(*normalised(table))
    assert weights == pytest.approx(exact.coef_, abs=1e-3)
    assert bias == pytest.approx(exact.intercept_, abs=1e-3)


@pytest.mark.parametrize("optimizer", ["adam", "sgd", "rmsprop"])
def test_l1_is_the_lasso_whose_zeros_are_zeros(tmp_path: Path, optimizer: str) -> None:
    table, l1 = skewed(), 0.4
    hyperparameters = {"predictor_type": "regressor", "l1": f"{l1}", "optimizer": optimizer}
    weights, _ = in_normalised_units(trained(tmp_path, table, hyperparameters), table)
    # Lasso: mean of squares / 2 + alpha * |w|_1.
    exact = Lasso(alpha=l1 / 2, tol=1e-10).fit(*normalised(table))
    assert weights == pytest.approx(exact.coef_, abs=1e-3)
    assert 0 < np.sum(exact.coef_ == 0) < 4
    assert np.array_equal(weights == 0, exact.coef_ == 0)


@pytest.mark.parametrize("quantile", [0.5, 0.9])
def test_quantiles_are_those_of_linear_programming(tmp_path: Path, quantile: float) -> None:
    table = skewed()
    hyperparameters = {"predictor_type": "regressor", "loss": "quantile_loss", "quantile": f"{quantile}"}
    if quantile == 0.5:
        hyperparameters = {"predictor_type": "regressor", "loss": "absolute_loss"}
    model = trained(tmp_path, table, hyperparameters)
    features, labels = normalised(table)
    exact = QuantileRegressor(quantile=quantile, alpha=0, solver="highs").fit(features, labels)

    def loss(scores: Vector) -> float:
        errors = labels - scores
        return float(np.maximum(quantile * errors, (quantile - 1) * errors).mean())

    weights, bias = in_normalised_units(model, table)
    assert loss(features @ weights + bias) == pytest.approx(loss(exact.predict(features)), rel=1e-3)
    below = np.mean(table[:, 0] <= model.scores(table[:, 1:]))
    assert below == pytest.approx(quantile, abs=0.015)


def test_huber_loss_is_at_its_least(tmp_path: Path) -> None:
    table, delta = skewed(), 5.0
    model = trained(tmp_path, table, {"predictor_type": "regressor", "loss": "huber_loss", "huber_delta": f"{delta}"})

    def loss(errors: Vector) -> Vector:
        distance = np.abs(errors)
        return np.where(distance <= delta, distance**2 / 2, delta * (distance - delta / 2))

    found = loss(model.scores(table[:, 1:]) - table[:, 0]).mean()
    assert found == pytest.approx(optimum(loss, table[:, 1:].astype(np.float64), table[:, 0]), rel=1e-3)


@pytest.mark.parametrize("power", [1, 2])
def test_insensitive_losses_are_at_their_least(tmp_path: Path, power: int) -> None:
    table, width = skewed(), 8.0
    name = {1: "eps_insensitive_absolute_loss", 2: "eps_insensitive_squared_loss"}[power]
    hyperparameters = {"predictor_type": "regressor", "loss": name, "loss_insensitivity": f"{width}"}
    model = trained(tmp_path, table, hyperparameters)

    def loss(errors: Vector) -> Vector:
        return np.maximum(np.abs(errors) - width, 0) ** power

    found = loss(model.scores(table[:, 1:]) - table[:, 0]).mean()
    features, labels = normalised(table)
    if power == 1:
        least = least_insensitive(features, labels, width / table[:, 0].std()) * table[:, 0].std()
    else:
        least = optimum(loss, table[:, 1:].astype(np.float64), table[:, 0])
    assert found == pytest.approx(least, rel=1e-3)


def least_insensitive(features: Vector, labels: Vector, width: float) -> float:
    """The least mean of max(|error| - width, 0), as a linear programme: of t >= 0 with t >= error - width both ways."""
    extended = np.column_stack((features, np.ones(len(features))))
    slack = -np.eye(len(features))
    conditions = np.block([[extended, slack], [-extended, slack]])
    limits = np.concatenate((labels + width, width - labels))
    costs = np.concatenate((np.zeros(extended.shape[1]), np.full(len(features), 1 / len(features))))
    bounds = [(None, None)] * extended.shape[1] + [(0, None)] * len(features)
    return float(linprog(costs, conditions, limits, bounds=bounds).fun)


def separable() -> Table:
    table = two_classes(COUNT, 1)
    margin = table[:, 1:] @ np.array([2, -1, 0.5, 0], np.float32) - 1
    table[:, 0] = margin > 0
    table[:, 1:] += np.sign(margin)[:, None] * np.array([0.2, -0.1, 0.05, 0], np.float32)
    return table


@pytest.mark.parametrize("weight", ["1.0", "3.0", "balanced"])
def test_separable_classes_with_l2_are_logistic_regression(tmp_path: Path, weight: str) -> None:
    table, wd = separable(), 0.01
    hyperparameters = {"predictor_type": "binary_classifier", "wd": f"{wd}", "positive_example_weight_mult": weight}
    model = trained(tmp_path, table, hyperparameters)
    features, _ = normalised(table)
    positive = table[:, 0] > 0
    multiple = np.sum(~positive) / np.sum(positive) if weight == "balanced" else float(weight)
    exact = LogisticRegression(C=1 / (COUNT * wd), tol=1e-10, max_iter=10_000, class_weight={0: 1, 1: multiple})
    exact.fit(features, table[:, 0])
    assert model.weights[0] * table[:, 1:].std(0) == pytest.approx(exact.coef_[0], rel=1e-3)
    assert model.scores(table[:, 1:]) == pytest.approx(exact.predict_proba(features)[:, 1], abs=1e-3)


def test_hinge_loss_with_l2_is_a_support_vector_machine(tmp_path: Path) -> None:
    table, wd = two_classes(COUNT, 3), 0.01
    hyperparameters = {"predictor_type": "binary_classifier", "loss": "hinge_loss", "wd": f"{wd}"}
    model = trained(tmp_path, table, hyperparameters)
    features, _ = normalised(table)
    exact = SVC(kernel="linear", C=1 / (COUNT * wd), tol=1e-8).fit(features, table[:, 0])
    assert model.weights[0] * table[:, 1:].std(0) == pytest.approx(exact.coef_[0], abs=2e-3)
    assert model.scores(table[:, 1:]) == pytest.approx(exact.decision_function(features), abs=5e-3)


@pytest.mark.parametrize("balanced", [False, True])
def test_several_classes_with_l2_are_multinomial_regression(tmp_path: Path, balanced: bool) -> None:
    table, wd = classes(COUNT, 1), 0.01
    hyperparameters = {
        "predictor_type": "multiclass_classifier",
        "num_classes": "4",
        "wd": f"{wd}",
        "balance_multiclass_weights": f"{balanced}",
    }
    table = table[np.argsort(table[:, 0])][math.floor(COUNT * 0.15) :] if balanced else table
    hyperparameters["mini_batch_size"] = f"{len(table)}"
    model = trained(tmp_path, table, hyperparameters)
    features, _ = normalised(table)
    weights = "balanced" if balanced else None
    exact = LogisticRegression(C=1 / (len(table) * wd), tol=1e-10, max_iter=10_000, class_weight=weights)
    exact.fit(features, table[:, 0])
    assert model.scores(table[:, 1:]) == pytest.approx(exact.predict_proba(features), abs=1e-3)
