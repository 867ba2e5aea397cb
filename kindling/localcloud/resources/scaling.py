"""Application Auto Scaling: what is scaled, and by which policy."""

# ruff: noqa: ARG002  a resource type's methods have one signature, whatever each of them needs

from __future__ import annotations

from typing import Any

from kindling.localcloud.resources.base import Made, Properties, ResourceType, chosen, gone_is_fine

_TARGET = ("ServiceNamespace", "ResourceId", "ScalableDimension")
_GONE = ("No scalable target found", "No scaling policy found")


class ScalableTarget(ResourceType):
    """What may be scaled, from how many to how many. Ref gives its three names, as a policy's ScalingTargetId is."""

    type = "AWS::ApplicationAutoScaling::ScalableTarget"
    attributes = ("Id",)

    def keeps(self, before: Properties, after: Properties) -> bool:
        return chosen(before, *_TARGET) == chosen(after, *_TARGET)

    def create(self, name: str, properties: Properties) -> Made:
        made = "|".join(properties[one] for one in ("ResourceId", "ScalableDimension", "ServiceNamespace"))
        return self.update(Made(made, {"Id": made}), properties)

    def update(self, made: Made, properties: Properties) -> Made:
        if properties.get("ScheduledActions"):
            raise ValueError("ScheduledActions is not implemented by the embedded cloud.")
        capacities = {name: int(properties[name]) for name in ("MinCapacity", "MaxCapacity")}
        others = chosen(properties, *_TARGET, "RoleARN", "SuspendedState")
        self.aws("application-autoscaling").register_scalable_target(**others, **capacities)
        return made

    def delete(self, made: Made, properties: Properties) -> None:
        with gone_is_fine(*_GONE):
            self.aws("application-autoscaling").deregister_scalable_target(**chosen(properties, *_TARGET))


class ScalingPolicy(ResourceType):
    """How a target is scaled. Ref gives the ARN."""

    type = "AWS::ApplicationAutoScaling::ScalingPolicy"
    name_property = "PolicyName"
    attributes = ("Arn", "PolicyName")

    def keeps(self, before: Properties, after: Properties) -> bool:
        return _target(before) == _target(after)

    def create(self, name: str, properties: Properties) -> Made:
        return self._put(name, properties)

    def update(self, made: Made, properties: Properties) -> Made:
        return self._put(made.attributes["PolicyName"], properties)

    def delete(self, made: Made, properties: Properties) -> None:
        with gone_is_fine(*_GONE):
            policy = {"PolicyName": made.attributes["PolicyName"]}
            self.aws("application-autoscaling").delete_scaling_policy(**policy, **_target(properties))

    def _put(self, name: str, properties: Properties) -> Made:
        options: dict[str, Any] = chosen(properties, "PolicyType", "StepScalingPolicyConfiguration")
        if tracking := properties.get("TargetTrackingScalingPolicyConfiguration"):
            options["TargetTrackingScalingPolicyConfiguration"] = _tracking(tracking)
        answer = self.aws("application-autoscaling").put_scaling_policy(
            PolicyName=name, **_target(properties), **options
        )
        return Made(answer["PolicyARN"], {"Arn": answer["PolicyARN"], "PolicyName": name})


def _target(properties: Properties) -> dict[str, str]:
    if "ScalingTargetId" not in properties:
        return chosen(properties, *_TARGET)
    resource, dimension, namespace = properties["ScalingTargetId"].split("|")
    return {"ServiceNamespace": namespace, "ResourceId": resource, "ScalableDimension": dimension}


def _tracking(given: dict[str, Any]) -> dict[str, Any]:
    numbers = {"TargetValue": float, "ScaleInCooldown": int, "ScaleOutCooldown": int}
    return {**given, **{name: convert(given[name]) for name, convert in numbers.items() if name in given}}


TYPES = (ScalableTarget, ScalingPolicy)
