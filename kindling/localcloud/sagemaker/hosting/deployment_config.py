"""How an endpoint goes over to another configuration: DeploymentConfig, read and checked."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kindling.localcloud.sagemaker.errors import InvalidRequestError
from kindling.localcloud.sagemaker.hosting.endpoint_configs import Variant

ALL_AT_ONCE, CANARY, LINEAR = "ALL_AT_ONCE", "CANARY", "LINEAR"
_COUNT = "INSTANCE_COUNT"
_ROUTING = "BlueGreenUpdatePolicy.TrafficRoutingConfiguration"
_SIZES = {CANARY: "CanarySize", LINEAR: "LinearStepSize"}
# A step in percent of the variant's instances: what the service allows.
_PERCENT = {"CanarySize": (1, 50), "LinearStepSize": (10, 50), "MaximumBatchSize": (5, 50)}


@dataclass(frozen=True)
class Size:
    """A number of instances, or a percentage of them."""

    kind: str
    value: int

    def of(self, instances: int) -> int:
        """How many of that many instances it is; at least one."""
        count = self.value if self.kind == _COUNT else math.ceil(self.value * instances / 100)
        return max(1, min(instances, count))

    def portion(self, instances: float) -> float:
        """Which part of that many instances it is."""
        return min(1.0, self.value / max(1.0, instances) if self.kind == _COUNT else self.value / 100)


@dataclass(frozen=True, kw_only=True)
class DeploymentConfig:
    """A policy. Times are in the seconds of the request."""

    rolling: bool = False
    routing: str = ALL_AT_ONCE
    step: Size | None = None
    rollback_step: Size = Size("CAPACITY_PERCENT", 100)
    wait: int = 0
    termination_wait: int = 0
    timeout: int | None = None
    alarms: tuple[str, ...] = ()

    @classmethod
    def of(cls, request: Mapping[str, Any] | None) -> DeploymentConfig:
        """The policy of a request's DeploymentConfig; without one, all at once.

        Raises:
            InvalidRequestError: its parts contradict each other, or one is missing.
        """
        if not request:
            return cls()
        alarms = tuple(
            alarm["AlarmName"]
            for alarm in request.get("AutoRollbackConfiguration", {}).get("Alarms", [])
            if "AlarmName" in alarm
        )
        blue_green, rolling = request.get("BlueGreenUpdatePolicy"), request.get("RollingUpdatePolicy")
        if blue_green and rolling:
            raise InvalidRequestError(
                "DeploymentConfig must have either BlueGreenUpdatePolicy or RollingUpdatePolicy, not both."
            )
        if rolling:
            return cls._of_rolling(rolling, alarms)
        return cls._of_blue_green(blue_green, alarms) if blue_green else cls(alarms=alarms)

    @classmethod
    def _of_blue_green(cls, policy: Mapping[str, Any], alarms: tuple[str, ...]) -> DeploymentConfig:
        routing = policy["TrafficRoutingConfiguration"]
        for kind, name in _SIZES.items():
            if (name in routing) != (routing["Type"] == kind):
                need = "is required" if routing["Type"] == kind else "must not be given"
                raise InvalidRequestError(f"{_ROUTING}.{name} {need} when its Type is {routing['Type']}.")
        size = routing.get(_SIZES.get(routing["Type"], ""))
        config = cls(
            routing=routing["Type"],
            step=Size(size["Type"], size["Value"]) if size else None,
            wait=routing["WaitIntervalInSeconds"],
            termination_wait=policy.get("TerminationWaitInSeconds", 0),
            timeout=policy.get("MaximumExecutionTimeoutInSeconds"),
            alarms=alarms,
        )
        if config.timeout is not None and config.timeout <= config.wait + config.termination_wait:
            raise InvalidRequestError(
                f"BlueGreenUpdatePolicy.MaximumExecutionTimeoutInSeconds={config.timeout} must be larger than "
                "WaitIntervalInSeconds and TerminationWaitInSeconds together."
            )
        return config

    @classmethod
    def _of_rolling(cls, policy: Mapping[str, Any], alarms: tuple[str, ...]) -> DeploymentConfig:
        step, back = policy["MaximumBatchSize"], policy.get("RollbackMaximumBatchSize")
        return cls(
            rolling=True,
            step=Size(step["Type"], step["Value"]),
            rollback_step=Size(back["Type"], back["Value"]) if back else cls.rollback_step,
            wait=policy["WaitIntervalInSeconds"],
            timeout=policy.get("MaximumExecutionTimeoutInSeconds"),
            alarms=alarms,
        )

    def check(self, present: Sequence[Variant], coming: Sequence[Variant], instances: Mapping[str, int]) -> None:
        """Refuse a policy that does not fit the variants; what goes over step by step is production's requests.

        Args:
            instances: how many each of the coming variants is to have, by name.
        Raises:
            InvalidRequestError: says what does not fit.
        """
        if self.rolling and any(variant.serverless for variant in (*present, *coming)):
            raise InvalidRequestError("RollingUpdatePolicy is not supported for serverless endpoints.")
        if self.rolling and max(len(present), len(coming)) > 1:
            raise InvalidRequestError("RollingUpdatePolicy is not supported for endpoints of several variants.")
        if self.step is None:
            return
        present, coming = ([one for one in variants if not one.shadow] for variants in (present, coming))
        if {variant.name for variant in present} != {variant.name for variant in coming}:
            raise InvalidRequestError(
                "the new endpoint configuration must have the same variant names as the old one for a deployment "
                "that shifts traffic step by step."
            )
        name = "MaximumBatchSize" if self.rolling else _SIZES[self.routing]
        for variant in coming:
            if not variant.serverless:
                _check_size(name, self.step, variant.name, instances[variant.name])

    def portions(self, instances: float) -> list[float]:
        """The parts of the requests that the new fleet takes in turn, the last of them 1.

        Args:
            instances: of each variant of the new fleet.
        """
        if self.step is None:
            return [1.0]
        portion = self.step.portion(instances)
        if self.routing == CANARY:
            return [portion, 1.0]
        return [min(1.0, portion * (step + 1)) for step in range(math.ceil(1 / portion - 1e-9))]


def _check_size(name: str, size: Size, variant: str, instances: int) -> None:
    low, high = _PERCENT[name]
    if size.kind == _COUNT:
        fits = low * instances <= 100 * size.value <= high * instances
        found = f"{size.value} of {instances} instances"
    else:
        fits = low <= size.value <= high
        found = f"{size.value} percent"
    if not fits:
        raise InvalidRequestError(
            f"{name} is {found} of variant {variant}; it must be from {low} to {high} percent of its instances."
        )
