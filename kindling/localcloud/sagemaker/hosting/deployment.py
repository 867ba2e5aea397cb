"""One change-over of an endpoint: a new fleet is started, takes the requests step by step, and the old one goes."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

from kindling.localcloud.alarms import AlarmWatch
from kindling.localcloud.sagemaker.hosting.deployment_config import CANARY, LINEAR, DeploymentConfig
from kindling.localcloud.sagemaker.hosting.fleet import Fleet
from kindling.localcloud.sagemaker.limits import Limits

_LOOK_S = 0.1  # between two looks at the alarms
_CAPACITY = {CANARY: "canary", LINEAR: "linear"}

Tell = Callable[[str, str], None]


class RollbackNeededError(Exception):
    """The deployment must not go on. The message is the endpoint's FailureReason."""


class Deployment:
    """A change-over from `old`, which is None for an endpoint's first fleet, to `new`.

    Args:
        tell: hears each step as DescribeEndpoint's VariantStatus: its Status and its StatusMessage.
    """

    def __init__(
        self, config: DeploymentConfig, old: Fleet | None, new: Fleet, alarms: AlarmWatch, limits: Limits, tell: Tell
    ) -> None:
        self.old, self.new = old, new
        self._config = config
        self._alarms = alarms
        self._limits = limits
        self._tell = tell
        self._deadline = math.inf if config.timeout is None else time.monotonic() + limits.seconds(config.timeout)

    def run(self) -> None:
        """Go over to the new fleet and end the old one; to be followed by `roll_back` when it raises.

        Raises:
            DataError, NotHealthyError: the new fleet could not be started.
            RollbackNeededError: an alarm went off, or the time is over.
        """
        self._check()
        if self._config.rolling and self.old is not None:
            self._roll(self.old)
        else:
            self._flip()
        if self.old is not None:
            self._tell("Deleting", f"Terminating {self.old.current} instance(s).")
            self.old.stop()

    def roll_back(self) -> None:
        """Have the old fleet answer all requests again, and end the new one.

        Raises:
            DataError, NotHealthyError: instances that a rolling deployment had ended could not be started again.
        """
        old = self.old
        if old is not None:
            self._shift(1 - old.current / max(1, old.desired))  # what is left of it answers at once
            while old.current < old.desired:
                count = min(old.desired, old.current + self._config.rollback_step.of(old.desired))
                old.scale(count)
                self._shift(1 - count / old.desired)
                left = min(self.new.current, math.ceil(self.new.desired * self.new.portion))
                self.new.scale(left)
        self._shift(0.0)
        self.new.stop()

    def _flip(self) -> None:
        """Blue/green: all of the new fleet is started before the first request goes to it."""
        self._tell("Creating", f"Launching {self.new.desired} instance(s).")
        self.new.start()
        for portion in self._portions():
            self._check()
            what = _CAPACITY.get(self._config.routing, "full") if portion < 1 else "full"
            capacity = f"{what} capacity of {math.ceil(portion * self.new.desired - 1e-9)} instance(s)."
            self._tell("ActivatingTraffic", f"Activating traffic on {capacity}")
            self._shift(portion)
            if portion < 1:
                self._bake(self._config.wait, "WaitIntervalInSeconds", capacity)
            elif self.old is not None and not self._excluded:
                self._bake(self._config.termination_wait, "TerminationWaitInSeconds", capacity)

    def _roll(self, old: Fleet) -> None:
        """Rolling: a batch of new instances is started, watched, and as many old ones are ended."""
        assert self._config.step is not None
        new, batch = self.new, self._config.step.of(self.new.desired)
        while new.current < new.desired:
            self._check()
            count = min(new.desired, new.current + batch)
            self._tell("Creating", f"Launching {count - new.current} instance(s).")
            new.scale(count)
            self._shift(count / new.desired)
            self._bake(self._config.wait, "WaitIntervalInSeconds", f"batch capacity of {count} instance(s).")
            left = min(old.current, math.ceil(old.desired * old.portion - 1e-9))
            self._tell("Deleting", f"Terminating {old.current - left} instance(s).")
            old.scale(left)

    @property
    def _excluded(self) -> bool:
        """Serverless endpoints go over at once and without baking, whatever the policy."""
        fleets = [fleet for fleet in (self.old, self.new) if fleet is not None]
        return any(variant.serverless for fleet in fleets for variant in fleet.variants)

    def _portions(self) -> list[float]:
        if self.old is None or self._excluded:
            return [1.0]
        return self._config.portions(self.new.instances_each)

    def _shift(self, portion: float) -> None:
        """Have the new fleet take a part of the requests, and the old one the rest."""
        self.new.portion = portion
        if self.old is not None:
            self.old.portion = 1 - portion

    def _bake(self, seconds: int, name: str, capacity: str) -> None:
        """Wait and watch the alarms."""
        if seconds:
            self._tell("Baking", f"Baking for {seconds} seconds ({name}) with traffic enabled on {capacity}")
        until = time.monotonic() + self._limits.seconds(seconds)
        while (left := until - time.monotonic()) > 0:
            time.sleep(min(left, _LOOK_S))
            self._check()

    def _check(self) -> None:
        if tripped := self._alarms.tripped():
            raise RollbackNeededError(
                f"One or more configured alarm(s) have transitioned into 'Alarm' state: {', '.join(tripped)}."
            )
        if time.monotonic() > self._deadline:
            raise RollbackNeededError(
                f"The deployment was not done within MaximumExecutionTimeoutInSeconds={self._config.timeout}."
            )
