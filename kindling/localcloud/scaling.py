"""Application Auto Scaling of endpoints: moto keeps targets and policies, this makes target tracking really scale.

A policy on SageMakerVariantInvocationsPerInstance gets the two alarms that the service makes for it: three minutes
above the target add instances, fifteen minutes below nine tenths of it take some away. Other policies are refused.
"""

from __future__ import annotations

import json
import logging
import math
import threading
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Protocol

import moto.applicationautoscaling.urls
from moto.applicationautoscaling.responses import ApplicationAutoScalingResponse
from moto.core.exceptions import ServiceException

from kindling.localcloud.alarms import ALARM, values_of
from kindling.localcloud.cloud import Cloud

_NAMESPACE, _DIMENSION = "sagemaker", "sagemaker:variant:DesiredInstanceCount"
_METRIC = "SageMakerVariantInvocationsPerInstance"
_PERIOD_S = 60
_HIGH_PERIODS, _LOW_PERIODS, _LOW_PART = 3, 15, 0.9
_COOLDOWN_S = 300  # the service's for SageMaker, in both directions

_logger = logging.getLogger(__name__)


class Variants(Protocol):
    """The endpoint variants that can be scaled."""

    def desired(self, endpoint: str, variant: str) -> int | None:
        """Instances that a variant is to have; None when there is no such variant of instances."""

    def scale(self, endpoint: str, variant: str, count: int) -> bool:
        """Begin to give a variant that many instances; False when another change of its endpoint is under way."""


def install(cloud: Cloud, variants: Variants, pause_s: float = 1.0) -> None:
    """Refuse targets and policies that would be without effect, and act on the others in a thread.

    Args:
        pause_s: between two looks at the policies' alarms.
    """

    class Api(_Api):
        pass

    Api.variants = variants
    moto.applicationautoscaling.urls.url_paths["{0}/$"] = Api.dispatch
    scaling = Scaling(cloud, variants)

    def look_forever() -> None:
        while not stopped.wait(pause_s):
            try:
                scaling.look(time.monotonic())
            except Exception:  # one policy that cannot be acted upon must not end the others
                _logger.exception("scaling")

    stopped = threading.Event()
    threading.Thread(target=look_forever, name="scaling", daemon=True).start()


class Scaling:
    """The policies of one cloud and when each variant was last scaled."""

    def __init__(self, cloud: Cloud, variants: Variants) -> None:
        self._cloud = cloud
        self._variants = variants
        self._scaled: dict[str, float] = {}

    def look(self, now: float) -> None:
        """Scale each variant whose policy has an alarm that is on, unless that was done a cooldown ago.

        Args:
            now: seconds of a clock that never goes back.
        """
        from moto.applicationautoscaling.models import applicationautoscaling_backends

        backend = applicationautoscaling_backends[self._cloud.account_id][self._cloud.region]
        targets = backend.targets.get(_DIMENSION, {})
        for policy in list(backend.policies.values()):
            target = targets.get(policy.resource_id)
            if policy.service_namespace == _NAMESPACE and target is not None and len(policy.alarms) == 2:
                self._follow(policy, target, now)

    def _follow(self, policy: Any, target: Any, now: float) -> None:
        tracking = policy.target_tracking_scaling_policy_configuration
        suspended = target.suspended_state or {}
        high, low = policy.alarms
        if high.state_value == ALARM and not suspended.get("DynamicScalingOutSuspended"):
            alarm, cooldown = high, tracking.get("ScaleOutCooldown", _COOLDOWN_S)
        elif low.state_value == ALARM and not (
            tracking.get("DisableScaleIn") or suspended.get("DynamicScalingInSuspended")
        ):
            alarm, cooldown = low, tracking.get("ScaleInCooldown", _COOLDOWN_S)
        else:
            return
        if now < self._scaled.get(target.resource_id, -math.inf) + cooldown:
            return
        _, endpoint, _, variant = target.resource_id.split("/")
        present, metric = self._variants.desired(endpoint, variant), self._latest(alarm)
        if present is None or metric is None:
            return
        count = capacity(present, metric, float(tracking["TargetValue"]), target.min_capacity, target.max_capacity)
        if count != present and self._variants.scale(endpoint, variant, count):
            self._scaled[target.resource_id] = now

    def _latest(self, alarm: Any) -> float | None:
        from moto.cloudwatch.models import cloudwatch_backends

        data = list(cloudwatch_backends[self._cloud.account_id][self._cloud.region].metric_data)
        return next(iter(values_of(alarm, data, datetime.now(UTC), int(alarm.evaluation_periods))), None)


def capacity(present: int, metric: float, target: float, least: int, most: int) -> int:
    """Instances with which each gets at most `target` of what `present` instances get `metric` each now."""
    return max(least, min(most, math.ceil(present * metric / target - 1e-9)))


class _Api(ApplicationAutoScalingResponse):
    variants: Variants

    def register_scalable_target(self) -> str:
        """Register a variant that exists."""
        if self._get_param("ServiceNamespace") == _NAMESPACE:
            resource_id, dimension = self._get_param("ResourceId"), self._get_param("ScalableDimension")
            parts = resource_id.split("/")
            if len(parts) != 4 or self.variants.desired(parts[1], parts[3]) is None:
                raise InvalidScalingError(f"SageMaker endpoint variant doesn't exist: {resource_id}")
            known = resource_id in self.applicationautoscaling_backend.targets.get(dimension, {})
            for name in () if known else ("MinCapacity", "MaxCapacity"):
                if self._get_int_param(name) is None:
                    raise InvalidScalingError(f"{name} must be specified for a new scalable target.")
        return super().register_scalable_target()

    def put_scaling_policy(self) -> str:
        """Keep a policy that can be acted upon, and make its alarms."""
        if self._get_param("ServiceNamespace") != _NAMESPACE:
            return super().put_scaling_policy()
        backend, resource_id = self.applicationautoscaling_backend, self._get_param("ResourceId")
        body = self._get_param("TargetTrackingScalingPolicyConfiguration", {})
        _check_policy(self._get_param("PolicyType"), body)
        if resource_id not in backend.targets.get(_DIMENSION, {}):
            raise InvalidScalingError(f"No scalable target registered for resource ID: {resource_id}.")
        key = "\t".join([_NAMESPACE, resource_id, _DIMENSION, self._get_param("PolicyName")])
        if (former := backend.policies.get(key)) is not None:
            former.delete_alarms(backend.account_id, backend.region_name)
        super().put_scaling_policy()
        policy = backend.policies[key]
        policy.alarms.extend(_alarms(policy))
        alarms = [{"AlarmARN": alarm.alarm_arn, "AlarmName": alarm.name} for alarm in policy.alarms]
        return json.dumps({"PolicyARN": policy.policy_arn, "Alarms": alarms})

    def put_scheduled_action(self) -> str:
        """Refused for endpoints: nothing would come of it."""
        if self._get_param("ServiceNamespace") == _NAMESPACE:
            raise InvalidScalingError("PutScheduledAction is not implemented by the embedded cloud for endpoints.")
        return super().put_scheduled_action()


def _check_policy(kind: str | None, body: Mapping[str, Any]) -> None:
    if kind != "TargetTrackingScaling":
        raise InvalidScalingError(f"PolicyType={kind} is not implemented by the embedded cloud for endpoints.")
    found = body.get("PredefinedMetricSpecification", {}).get("PredefinedMetricType")
    if found != _METRIC:
        raise InvalidScalingError(
            f"a target tracking policy of an endpoint must have PredefinedMetricType={_METRIC}; others are not "
            "implemented by the embedded cloud."
        )
    if body.get("TargetValue", 0) <= 0:
        raise InvalidScalingError("TargetValue must be greater than 0.")


def _alarms(policy: Any) -> list[Any]:
    from moto.cloudwatch.models import cloudwatch_backends

    cloudwatch = cloudwatch_backends[policy.account_id][policy.region_name]
    target = float(policy.target_tracking_scaling_policy_configuration["TargetValue"])
    _, endpoint, _, variant = policy.resource_id.split("/")
    return [
        cloudwatch.put_metric_alarm(
            name=f"TargetTracking-{policy.resource_id}-{kind}-{policy._guid}",
            namespace="AWS/SageMaker",
            metric_name="InvocationsPerInstance",
            comparison_operator=comparison,
            evaluation_periods=periods,
            period=_PERIOD_S,
            threshold=threshold,
            statistic="Sum",
            description=f"DO NOT EDIT OR DELETE. For TargetTrackingScaling policy {policy.policy_arn}.",
            dimensions=[{"Name": "EndpointName", "Value": endpoint}, {"Name": "VariantName", "Value": variant}],
            alarm_actions=[policy.policy_arn],
        )
        for kind, comparison, periods, threshold in (
            ("AlarmHigh", "GreaterThanThreshold", _HIGH_PERIODS, target),
            ("AlarmLow", "LessThanThreshold", _LOW_PERIODS, _LOW_PART * target),
        )
    ]


class InvalidScalingError(ServiceException):
    """ValidationException of Application Auto Scaling."""

    code = "ValidationException"


def forget(cloud: Cloud, endpoint: str) -> None:
    """Deregister the targets of an endpoint that is deleted, with their policies and alarms, as the service does."""
    from moto.applicationautoscaling.models import applicationautoscaling_backends

    backend = applicationautoscaling_backends[cloud.account_id][cloud.region]
    prefix = f"endpoint/{endpoint}/variant/"
    for key, policy in list(backend.policies.items()):
        if policy.resource_id.startswith(prefix):
            policy.delete_alarms(cloud.account_id, cloud.region)
            del backend.policies[key]
    targets = backend.targets.get(_DIMENSION, {})
    for resource_id in [one for one in targets if one.startswith(prefix)]:
        del targets[resource_id]
