"""The time that a training job may take."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from kindling.localcloud.sagemaker.training.job import OVER_WAIT, OVERTIME, Outcome


class Clock:
    """MaxRuntimeInSeconds of all attempts together, and MaxWaitTimeInSeconds from now on with all waiting.

    Times are those of the monotonic clock.
    """

    def __init__(self, condition: Mapping[str, Any]) -> None:
        self._runtime_left_s: float = condition["MaxRuntimeInSeconds"]
        self._end_of_wait: float = time.monotonic() + condition.get("MaxWaitTimeInSeconds", float("inf"))
        self._end_of_runtime = float("inf")

    @contextmanager
    def running(self) -> Iterator[None]:
        """Count what is done meanwhile as runtime."""
        begun = time.monotonic()
        self._end_of_runtime = begun + self._runtime_left_s
        try:
            yield
        finally:
            self._runtime_left_s -= time.monotonic() - begun
            self._end_of_runtime = float("inf")

    @property
    def deadline(self) -> float:
        """When the job must have ended, as things are now."""
        return min(self._end_of_runtime, self._end_of_wait)

    @property
    def is_over(self) -> bool:
        """Whether that time has come."""
        return time.monotonic() >= self.deadline

    @property
    def outcome(self) -> Outcome:
        """How a job ends whose time is over."""
        return OVER_WAIT if time.monotonic() >= self._end_of_wait else OVERTIME
