"""Application Auto Scaling of an endpoint's variant: target tracking adds and takes away real instances."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from kindling.localcloud.scaling import capacity
from tests.localcloud.sagemaker.conftest import Account, until
from tests.localcloud.sagemaker.variants import describe, pids, serve, serverless, variant


def target_of(endpoint: str, name: str = "AllTraffic") -> dict[str, str]:
    return {
        "ServiceNamespace": "sagemaker",
        "ResourceId": f"endpoint/{endpoint}/variant/{name}",
        "ScalableDimension": "sagemaker:variant:DesiredInstanceCount",
    }


def tracking(**changes: Any) -> dict[str, Any]:
    metric = {"PredefinedMetricType": "SageMakerVariantInvocationsPerInstance"}
    body = {"TargetValue": 10.0, "PredefinedMetricSpecification": metric, "ScaleOutCooldown": 0, "ScaleInCooldown": 0}
    return {"PolicyType": "TargetTrackingScaling", "TargetTrackingScalingPolicyConfiguration": {**body, **changes}}


def invoked(account: Account, endpoint: str, per_minute: Sequence[float]) -> None:
    """Say how many invocations each instance had in the last minutes, the latest first."""
    dimensions = [{"Name": "EndpointName", "Value": endpoint}, {"Name": "VariantName", "Value": "AllTraffic"}]
    data = [
        {
            "MetricName": "InvocationsPerInstance",
            "Dimensions": dimensions,
            "Value": value,
            "Timestamp": datetime.now(UTC) - timedelta(seconds=60 * minute + 30),
        }
        for minute, value in enumerate(per_minute)
    ]
    account.client("cloudwatch").put_metric_data(Namespace="AWS/SageMaker", MetricData=data)


def counts(account: Account, endpoint: str) -> tuple[int, int]:
    (shown,) = describe(account, endpoint)["ProductionVariants"]
    return shown["CurrentInstanceCount"], shown["DesiredInstanceCount"]


def test_much_asked_instances_get_help_which_goes_with_the_endpoint(account: Account) -> None:
    name, scaling = serve(account, variant(account)), account.client("application-autoscaling")
    scaling.register_scalable_target(**target_of(name), MinCapacity=1, MaxCapacity=2)
    policy = scaling.put_scaling_policy(PolicyName="p", **target_of(name), **tracking())
    high, low = (alarm["AlarmName"] for alarm in policy["Alarms"])
    assert "AlarmHigh" in high
    assert "AlarmLow" in low
    invoked(account, name, [35, 35, 35])
    until(lambda: counts(account, name) == (2, 2))
    until(lambda: describe(account, name)["EndpointStatus"] == "InService")
    assert len(pids(account, name, 6)) == 2, "35 a minute would need four, but two is the most"

    account.sagemaker.delete_endpoint(EndpointName=name)
    assert scaling.describe_scalable_targets(ServiceNamespace="sagemaker")["ScalableTargets"] == []
    assert account.client("cloudwatch").describe_alarms(AlarmNames=[high, low])["MetricAlarms"] == []


def test_instances_that_nobody_asks_go_unless_scale_in_is_off(account: Account) -> None:
    scaling = account.client("application-autoscaling")
    going, staying = serve(account, variant(account, instances=2)), serve(account, variant(account, instances=2))
    for name, off in ((staying, True), (going, False)):
        scaling.register_scalable_target(**target_of(name), MinCapacity=1, MaxCapacity=3)
        scaling.put_scaling_policy(PolicyName="p", **target_of(name), **tracking(DisableScaleIn=off))
        invoked(account, name, [1] * 15)
    until(lambda: counts(account, going) == (1, 1))
    assert counts(account, staying) == (2, 2)


def test_what_cannot_be_scaled_is_refused(account: Account) -> None:
    scaling = account.client("application-autoscaling")
    name, without = serve(account, variant(account)), serve(account, serverless(account))
    bounds = {"MinCapacity": 1, "MaxCapacity": 2}
    step = {"PolicyType": "StepScaling", "StepScalingPolicyConfiguration": {"AdjustmentType": "ChangeInCapacity"}}
    other = tracking(PredefinedMetricSpecification={"PredefinedMetricType": "ECSServiceAverageCPUUtilization"})
    refusals: list[tuple[Any, dict[str, Any], str]] = [
        (scaling.register_scalable_target, {**target_of("no"), **bounds}, "doesn't exist: endpoint/no/variant"),
        (scaling.register_scalable_target, {**target_of(name, "B"), **bounds}, "doesn't exist"),
        (scaling.register_scalable_target, {**target_of(without), **bounds}, "doesn't exist"),
        (scaling.register_scalable_target, target_of(name), "MinCapacity must be specified"),
        (scaling.put_scaling_policy, {"PolicyName": "p", **target_of(name), **tracking()}, "No scalable target"),
        (scaling.put_scaling_policy, {"PolicyName": "p", **target_of(name), **step}, "StepScaling is not implemented"),
        (scaling.put_scaling_policy, {"PolicyName": "p", **target_of(name), **other}, "others are not implemented"),
        (
            scaling.put_scheduled_action,
            {"ScheduledActionName": "a", **target_of(name), "Schedule": "rate(1 hour)"},
            "PutScheduledAction is not implemented",
        ),
    ]
    for operation, request, words in refusals:
        with pytest.raises(ClientError, match=words) as caught:
            operation(**request)
        assert caught.value.response["Error"]["Code"] == "ValidationException"


@pytest.mark.parametrize(
    ("present", "metric", "wanted"), [(1, 35, 4), (2, 10, 2), (2, 10.1, 3), (4, 2, 1), (2, 0, 1), (3, 90, 5)]
)
def test_the_capacity_is_what_brings_the_metric_to_its_target(present: int, metric: float, wanted: int) -> None:
    assert capacity(present, metric, target=10, least=1, most=5) == wanted
