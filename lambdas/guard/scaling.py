"""An endpoint's instances: as many as its requests need, or as many as it was given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

_DIMENSION = "sagemaker:variant:DesiredInstanceCount"
_POLICY = "requests-per-instance"


def scale(autoscaling: Any, endpoint: str, variants: Sequence[str], wanted: Mapping[str, Any] | None) -> None:
    """Registers every variant for target tracking, or takes back what an earlier run registered.

    Args:
        wanted: the request's `scaling`; None for a fixed number of instances.
    """
    for variant in variants:
        target = {
            "ServiceNamespace": "sagemaker",
            "ResourceId": f"endpoint/{endpoint}/variant/{variant}",
            "ScalableDimension": _DIMENSION,
        }
        if wanted is None:
            _forget(autoscaling, target)
            continue
        autoscaling.register_scalable_target(
            **target, MinCapacity=wanted["min_instances"], MaxCapacity=wanted["max_instances"]
        )
        autoscaling.put_scaling_policy(
            **target,
            PolicyName=_POLICY,
            PolicyType="TargetTrackingScaling",
            TargetTrackingScalingPolicyConfiguration={
                "TargetValue": wanted["invocations_per_instance"],
                "PredefinedMetricSpecification": {
                    "PredefinedMetricType": "SageMakerVariantInvocationsPerInstance",
                },
                "ScaleInCooldown": wanted["scale_in_s"],
                "ScaleOutCooldown": wanted["scale_out_s"],
            },
        )


def _forget(autoscaling: Any, target: Mapping[str, str]) -> None:
    found = autoscaling.describe_scalable_targets(
        ServiceNamespace=target["ServiceNamespace"], ResourceIds=[target["ResourceId"]]
    )
    if found["ScalableTargets"]:
        autoscaling.deregister_scalable_target(**target)
