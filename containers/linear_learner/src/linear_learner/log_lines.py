"""The lines of the built-in's log that its users and their metric definitions read."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from contract.environment import TrainingEnvironment
from linear_learner.scores import Measure

logger = logging.getLogger("linear_learner")


def epoch(
    environment: TrainingEnvironment,
    number: int,
    objective: str,
    splits: Mapping[str, NDArray[np.float64]],
    chosen: int,
    times: tuple[float, float],
) -> None:
    """An epoch's losses: of every model as `#metrics`, and of the best one.

    Args:
        splits: losses by model, shape (models,), by "train" and "validation".
        times: when it began and ended, seconds since 1970.
    """
    for split, values in splits.items():
        for model, value in enumerate(values.tolist()):
            of_model = {"model": model, "epoch": number}
            _metrics(environment, times, of_model, {f"{split}_{objective}": value})
    for split, values in splits.items():
        logger.info(
            "#quality_metric: host=%s, epoch=%d, %s %s <loss>=%r",
            environment.current_host,
            number,
            split,
            objective,
            float(values[chosen]),
        )


def early_stopping(
    environment: TrainingEnvironment, number: int, criterion: str, value: float, epochs_since_best: int
) -> None:
    """What early stopping looks at; of a criterion that is to be great, the negative."""
    logger.info(
        "#early_stopping_criteria_metric: host=%s, epoch=%d, criteria=%s, value=%r",
        environment.current_host,
        number,
        criterion,
        value,
    )
    logger.info("Epoch %d: Loss has not improved for %d epochs.", number, epochs_since_best)


def progress(environment: TrainingEnvironment, done: int, epochs: int, throughput: float) -> None:
    """How far training is, and how fast it was in the epoch."""
    host = environment.current_host
    logger.info("#progress_metric: host=%s, completed %s %% of epochs", host, f"{100 * done / epochs:.12g}")
    logger.info("#throughput_metric: host=%s, train throughput=%r records/second", host, throughput)


def measures(environment: TrainingEnvironment, split: str, found: Sequence[Measure]) -> None:
    """The chosen model's measures on a channel, its objective first; the one after that is the channel's score."""
    host = environment.current_host
    for measure in found:
        logger.info("#quality_metric: host=%s, %s %s <%s>=%r", host, split, measure.name, measure.kind, measure.value)
    score = found[min(1, len(found) - 1)]
    logger.info("#%s_score (%s) : (%r, %r)", split, host, score.name, score.value)


def chosen(described: Mapping[str, float | str]) -> None:
    """The settings of the best model."""
    logger.info("Best model found for hyperparameters: %s", json.dumps(described))


def _metrics(
    environment: TrainingEnvironment,
    times: tuple[float, float],
    dimensions: Mapping[str, int],
    values: Mapping[str, float],
) -> None:
    told = {
        "StartTime": times[0],
        "EndTime": times[1],
        "Dimensions": {
            "Algorithm": "Linear Learner",
            "Host": environment.current_host,
            "Operation": "training",
            **dimensions,
        },
        "Metrics": {name: {"sum": value, "count": 1, "min": value, "max": value} for name, value in values.items()},
    }
    print(f"#metrics {json.dumps(told)}")
