"""Linear models of other programs, as many as ours and side by side on all cores; benchmarks/linear_learner.py runs it.

`python -m benchmarks.linear_peer PROGRAM TRAIN VALIDATION SETTINGS`, in Linear Learner's environment. Features, and the
labels of a regression, are brought to mean 0 and deviation 1 before the clock starts. The last line is JSON: the
seconds of all fits, and the best model's measure on the validation data.
"""

from __future__ import annotations

import json
import sys
import time
import warnings
from concurrent.futures import ProcessPoolExecutor
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

_RATES = (0.03, 0.01, 0.003, 0.001)
_WEIGHTS = (1e-4, 1e-2, 1e-6, 0.0)
_data: Any = None  # of a worker process: features, labels, and those to validate on


def main(program: str, train: str, validation: str, settings: str) -> None:
    """Fit all models, and say what it took."""
    given: dict[str, Any] = json.loads(settings)
    grid = list(product(_RATES, _WEIGHTS, (False, True)))[: given["models"]]
    tables = _scaled(np.loadtxt(train, delimiter=","), np.loadtxt(validation, delimiter=","), given)
    if program == "scikit-learn":
        found, seconds = _fit_all(_scikit_learn, tables, grid, given)
    else:
        paths = [Path(path).with_suffix(".vw") for path in (train, validation)]
        for path, table in zip(paths, tables, strict=False):
            _write_vowpal_text(path, table)
        found, seconds = _fit_all(_vowpal_wabbit, (*paths, tables[1], tables[2]), grid, given)
    best = min(found) if given["task"] == "regression" else max(found)
    print(json.dumps({"seconds": seconds, "measure": best}))


def _scaled(train: NDArray[np.float64], validation: NDArray[np.float64], given: dict[str, Any]) -> Any:
    """Both tables with features of mean 0 and deviation 1, and the label's deviation; the classes are -1 and 1."""
    means, deviations = train.mean(0), train.std(0)
    if given["task"] != "regression":
        means[0], deviations[0] = 0.5, 0.5
    return (train - means) / deviations, (validation - means) / deviations, float(deviations[0])


def _fit_all(fit: Any, data: Any, grid: list[Any], given: dict[str, Any]) -> tuple[list[float], float]:
    with ProcessPoolExecutor(given["processes"], initializer=_keep, initargs=(data,)) as pool:
        list(pool.map(_ready, range(given["processes"])))
        began = time.perf_counter()
        found = list(pool.map(fit, grid, [given] * len(grid)))
        return [value for value in found if np.isfinite(value)], time.perf_counter() - began


def _keep(data: Any) -> None:
    global _data
    _data = data


def _ready(_number: int) -> None:
    import sklearn.linear_model  # noqa: F401 - before the clock starts


def _scikit_learn(model: tuple[float, float, bool], given: dict[str, Any]) -> float:
    from sklearn.linear_model import SGDClassifier, SGDRegressor

    warnings.simplefilter("ignore")  # that it has not converged is the same for all programs
    train, validation, scale = _data
    rate, alpha, sparse = model
    settings = {
        "alpha": alpha,
        "eta0": rate,
        "learning_rate": "invscaling",
        "penalty": "elasticnet" if sparse else "l2",
        "max_iter": given["epochs"],
        "tol": None,
        "random_state": given["seed"],
    }
    if given["task"] == "regression":
        fitted = SGDRegressor(**settings).fit(train[:, 1:], train[:, 0])
        return float(np.mean((fitted.predict(validation[:, 1:]) - validation[:, 0]) ** 2) * scale**2)
    fitted = SGDClassifier(loss="log_loss", power_t=0.25, **settings).fit(train[:, 1:], train[:, 0])
    return float(np.mean(fitted.predict(validation[:, 1:]) == validation[:, 0]))


def _write_vowpal_text(path: Path, table: NDArray[np.float64]) -> None:
    with path.open("w") as file:
        for row in table.tolist():
            features = " ".join(f"{number}:{value:.6g}" for number, value in enumerate(row[1:]))
            file.write(f"{row[0]:g} | {features}\n")


def _vowpal_wabbit(model: tuple[float, float, bool], given: dict[str, Any]) -> float:
    from vowpalwabbit import Workspace

    train_text, validation_text, validation, scale = _data
    rate, weight, sparse = model
    name = f"{rate}-{weight}-{sparse}"
    kept, answers = train_text.with_name(f"{name}.model"), train_text.with_name(f"{name}.answers")
    loss = "squared" if given["task"] == "regression" else "logistic"
    # Its rates are greater, being divided by the gradients' sizes, and regularisation counts at every record.
    weights = f"--{'l1' if sparse else 'l2'} {weight / 1e5}"
    Workspace(
        f"-d {train_text} --passes {given['epochs']} --holdout_off --cache_file {train_text}.{name}.cache -k"
        f" -l {rate * 16} --loss_function {loss} {weights} -f {kept} --quiet"
    ).finish()
    Workspace(f"-d {validation_text} -t -i {kept} -p {answers} --quiet").finish()
    scores = np.loadtxt(answers)
    if given["task"] == "regression":
        return float(np.mean((scores - validation[:, 0]) ** 2) * scale**2)
    return float(np.mean((scores > 0) == (validation[:, 0] > 0)))


if __name__ == "__main__":
    main(*sys.argv[1:])
