"""The metric that a tuning job makes as large or as small as it can."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from statistics import median
from typing import Any

_IMPROVEMENT = 0.01  # of the best value so far; less does not count as an improvement


@dataclass(frozen=True)
class Objective:
    """A metric and the direction in which it is better."""

    metric: str
    maximize: bool

    @classmethod
    def of(cls, given: dict[str, Any]) -> Objective:
        """The objective of a request's HyperParameterTuningJobObjective."""
        return cls(given["MetricName"], given["Type"] == "Maximize")

    @property
    def type(self) -> str:
        """As the API names the direction."""
        return "Maximize" if self.maximize else "Minimize"

    def better(self, value: float, other: float) -> bool:
        """Whether a value is better than another."""
        return value > other if self.maximize else value < other

    def reached(self, value: float, target: float) -> bool:
        """Whether a value is as good as a target."""
        return value == target or self.better(value, target)

    def not_improving(self, values: Iterable[float]) -> int:
        """How many of the last values did not improve on the best before them by 1 % or more."""
        best: float | None = None
        since = 0
        for value in values:
            if best is None or self.better(value, best):
                enough = best is None or abs(value - best) >= _IMPROVEMENT * abs(best)
                since = 0 if enough else since + 1
                best = value
            else:
                since += 1
        return since


def falls_behind(objective: Objective, history: list[float], others: Iterable[list[float]]) -> bool:
    """Whether a training job is to be stopped early: the median rule of the service's documentation.

    Its latest value is worse than the median of the running averages, up to the same epoch, of the jobs before it.
    Where none of those had more epochs it is let alone: it is about to end by itself.

    Args:
        history: the job's values, one an epoch.
        others: those of the training jobs that ended before; one with fewer epochs has no say.
    """
    epoch = len(history)
    others = list(others)
    if all(len(other) <= epoch for other in others):
        return False
    averages = [sum(other[:epoch]) / epoch for other in others if len(other) >= epoch]
    return objective.better(median(averages), history[-1])
