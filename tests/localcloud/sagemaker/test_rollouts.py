"""UpdateEndpoint with a DeploymentConfig: requests go over step by step, and back when something goes wrong.

A second of a request lasts a two-hundredth of a second here (embedded.LIMITS).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.localcloud.sagemaker.conftest import Account, new_name, until
from tests.localcloud.sagemaker.embedded import is_running, meet_in_a_file
from tests.localcloud.sagemaker.variants import (
    configure,
    describe,
    greetings,
    pids,
    refused,
    serve,
    serverless,
    step,
    variant,
)


def blue_green(kind: str, wait: int = 0, termination: int = 0, **more: Any) -> dict[str, Any]:
    routing = {"Type": kind, "WaitIntervalInSeconds": wait, **more.pop("sizes", {})}
    policy = {"TrafficRoutingConfiguration": routing, "TerminationWaitInSeconds": termination}
    return {"BlueGreenUpdatePolicy": {**policy, **more}}


def canary(wait: int, termination: int = 0, **more: Any) -> dict[str, Any]:
    sizes = {"CanarySize": {"Type": "INSTANCE_COUNT", "Value": 1}}
    return blue_green("CANARY", wait, termination, sizes=sizes, **more)


def rolling(wait: int, **more: Any) -> dict[str, Any]:
    size = {"Type": "INSTANCE_COUNT", "Value": 1}
    return {"RollingUpdatePolicy": {"MaximumBatchSize": size, "WaitIntervalInSeconds": wait, **more}}


def update(account: Account, endpoint: str, policy: dict[str, Any], instances: int = 1, **environment: str) -> str:
    """Begin to go over to a new configuration; its name."""
    config = configure(account, variant(account, instances=instances, environment={"GREETING": "new", **environment}))
    account.sagemaker.update_endpoint(EndpointName=endpoint, EndpointConfigName=config, DeploymentConfig=policy)
    return config


@contextmanager
def alarm(account: Account) -> Iterator[str]:
    """An alarm on a metric of its own, which is OK at first."""
    name, cloudwatch = new_name("alarm"), account.client("cloudwatch")
    cloudwatch.put_metric_alarm(
        AlarmName=name,
        Namespace="Tests",
        MetricName=name,
        Statistic="Sum",
        Period=60,
        EvaluationPeriods=1,
        Threshold=5,
        ComparisonOperator="GreaterThanThreshold",
        TreatMissingData="notBreaching",
    )
    until(lambda: state_of(account, name) == "OK")
    yield name
    cloudwatch.delete_alarms(AlarmNames=[name])


def state_of(account: Account, name: str) -> str:
    (found,) = account.client("cloudwatch").describe_alarms(AlarmNames=[name])["MetricAlarms"]
    return str(found["StateValue"])


def trip(account: Account, name: str) -> None:
    """Put what makes the alarm go off."""
    account.client("cloudwatch").put_metric_data(Namespace="Tests", MetricData=[{"MetricName": name, "Value": 6}])


def guarded(policy: dict[str, Any], *alarms: str) -> dict[str, Any]:
    return {**policy, "AutoRollbackConfiguration": {"Alarms": [{"AlarmName": name} for name in alarms]}}


def test_a_canary_takes_its_part_and_then_all(account: Account) -> None:
    name = serve(account, variant(account, instances=2, greeting="old"))
    before = pids(account, name, 4)
    former = describe(account, name)["EndpointConfigName"]
    config = update(account, name, canary(wait=400, termination=100), instances=2)

    baking = step(account, name, "Baking")
    assert baking["VariantStatus"][0]["StatusMessage"] == (
        "Baking for 400 seconds (WaitIntervalInSeconds) with traffic enabled on canary capacity of 1 instance(s)."
    )
    assert (baking["CurrentInstanceCount"], baking["DesiredInstanceCount"]) == (2, 2)
    under_way = describe(account, name)
    assert (under_way["EndpointStatus"], under_way["EndpointConfigName"]) == ("Updating", former)
    assert under_way["PendingDeploymentSummary"]["EndpointConfigName"] == config
    for needed in (former, config):
        assert "Cannot delete endpoint configuration" in refused(
            account.sagemaker.delete_endpoint_config, EndpointConfigName=needed
        )
    counts = greetings(account, name, 20)
    assert set(counts) == {"old", "new"}, "both fleets answer"

    done = account.endpoint(name)
    assert (done["EndpointStatus"], done["EndpointConfigName"]) == ("InService", config)
    assert "PendingDeploymentSummary" not in done
    assert done["LastDeploymentConfig"] == canary(wait=400, termination=100)
    assert set(greetings(account, name, 6)) == {"new"}
    assert not any(is_running(pid) for pid in before)


def test_linear_steps_grow_until_the_new_fleet_takes_all(account: Account) -> None:
    name = serve(account, variant(account, greeting="old"))
    sizes = {"LinearStepSize": {"Type": "CAPACITY_PERCENT", "Value": 50}}
    update(account, name, blue_green("LINEAR", wait=80, termination=80, sizes=sizes), instances=2)
    messages: list[str] = []

    def look() -> bool:
        pending = describe(account, name).get("PendingDeploymentSummary")
        for status in pending["ProductionVariants"][0]["VariantStatus"] if pending else []:
            if status["StatusMessage"] not in messages:
                messages.append(status["StatusMessage"])
        return pending is None

    until(look)
    baked = [message for message in messages if message.startswith("Baking")]
    assert baked == [
        "Baking for 80 seconds (WaitIntervalInSeconds) with traffic enabled on linear capacity of 1 instance(s).",
        "Baking for 80 seconds (TerminationWaitInSeconds) with traffic enabled on full capacity of 2 instance(s).",
    ]
    assert "Launching 2 instance(s)." in messages
    assert set(greetings(account, name, 6)) == {"new"}


def test_a_rolling_update_replaces_batch_by_batch(account: Account) -> None:
    name = serve(account, variant(account, instances=2, greeting="old"))
    config = update(account, name, rolling(wait=240), instances=2)
    step(account, name, "Baking")
    assert set(greetings(account, name, 20)) == {"old", "new"}
    until(lambda: len(describe(account, name)["ProductionVariants"]) and _counts(account, name) == (1, 1))
    done = account.endpoint(name)
    assert (done["EndpointConfigName"], done["ProductionVariants"][0]["CurrentInstanceCount"]) == (config, 2)
    assert len(pids(account, name, 6)) == 2
    assert set(greetings(account, name, 6)) == {"new"}


def _counts(account: Account, endpoint: str) -> tuple[int, int] | None:
    """Instances of the old and of the new fleet."""
    found = describe(account, endpoint)
    if "PendingDeploymentSummary" not in found:
        return None
    pending = found["PendingDeploymentSummary"]["ProductionVariants"]
    return found["ProductionVariants"][0]["CurrentInstanceCount"], pending[0]["CurrentInstanceCount"]


def test_an_alarm_during_a_canary_brings_the_old_fleet_back(account: Account) -> None:
    name = serve(account, variant(account, instances=2, greeting="old"))
    former, before = describe(account, name)["EndpointConfigName"], pids(account, name, 4)
    with alarm(account) as other, alarm(account) as alarmed:
        config = update(account, name, guarded(canary(wait=3000), other, alarmed), instances=2)
        step(account, name, "Baking")
        until(lambda: "new" in greetings(account, name, 1))
        trip(account, alarmed)
        description = account.endpoint(name)
    assert (description["EndpointStatus"], description["EndpointConfigName"]) == ("InService", former)
    assert description["FailureReason"] == (
        f"One or more configured alarm(s) have transitioned into 'Alarm' state: {alarmed}."
    )
    assert set(greetings(account, name, 6)) == {"old"}
    assert pids(account, name, 4) == before
    account.sagemaker.delete_endpoint_config(EndpointConfigName=config)


def test_an_alarm_while_the_old_fleet_still_waits_brings_it_back(account: Account) -> None:
    name = serve(account, variant(account, greeting="old"))
    with alarm(account) as alarmed:
        update(account, name, guarded(blue_green("ALL_AT_ONCE", termination=3000), alarmed))
        step(account, name, "Baking")
        assert set(greetings(account, name, 4)) == {"new"}
        account.client("cloudwatch").set_alarm_state(AlarmName=alarmed, StateValue="ALARM", StateReason="a test")
        assert alarmed in account.endpoint(name)["FailureReason"]
    assert set(greetings(account, name, 4)) == {"old"}


def test_an_alarm_during_a_rolling_update_starts_the_old_instances_again(account: Account) -> None:
    name = serve(account, variant(account, instances=2, greeting="old"))
    with alarm(account) as alarmed:
        update(account, name, guarded(rolling(wait=200), alarmed), instances=2)
        until(lambda: _counts(account, name) == (1, 1))
        trip(account, alarmed)
        description = account.endpoint(name)
    assert alarmed in description["FailureReason"]
    assert description["ProductionVariants"][0]["CurrentInstanceCount"] == 2
    assert len(pids(account, name, 6)) == 2
    assert set(greetings(account, name, 6)) == {"old"}


@meet_in_a_file
def test_a_rollback_that_fails_leaves_both_configurations_serving(account: Account, tmp_path: Any) -> None:
    # An old instance can be started twice, for the two that there are, and no third time.
    names = {"GREETING": "old", "TIMES": str(tmp_path / "times"), "AT_MOST": "2"}
    name = serve(account, variant(account, instances=2, environment=names))
    with alarm(account) as alarmed:
        update(account, name, guarded(rolling(wait=200), alarmed), instances=2)
        until(lambda: _counts(account, name) == (1, 1))
        trip(account, alarmed)
        description = until(
            lambda: (found := describe(account, name))["EndpointStatus"] == "UpdateRollbackFailed" and found
        )
    assert alarmed in description["FailureReason"]
    assert "exited with code 9" in description["FailureReason"]
    assert set(greetings(account, name, 20)) == {"old", "new"}
    config = configure(account, variant(account, greeting="newest"))
    account.sagemaker.update_endpoint(EndpointName=name, EndpointConfigName=config)
    assert account.endpoint(name)["EndpointConfigName"] == config
    assert set(greetings(account, name, 6)) == {"newest"}


def test_an_alarm_that_was_on_before_ends_the_update(account: Account) -> None:
    name = serve(account, variant(account, greeting="old"))
    with alarm(account) as alarmed:
        trip(account, alarmed)
        until(lambda: state_of(account, alarmed) == "ALARM")
        update(account, name, guarded(blue_green("ALL_AT_ONCE"), alarmed))
        assert alarmed in account.endpoint(name)["FailureReason"]
    assert set(greetings(account, name, 4)) == {"old"}


def test_a_deployment_that_takes_too_long_goes_back(account: Account) -> None:
    name = serve(account, variant(account, greeting="old"))
    sizes = {"LinearStepSize": {"Type": "CAPACITY_PERCENT", "Value": 10}}
    policy = blue_green("LINEAR", wait=200, sizes=sizes, MaximumExecutionTimeoutInSeconds=600)
    update(account, name, policy)
    reason = account.endpoint(name)["FailureReason"]
    assert reason == "The deployment was not done within MaximumExecutionTimeoutInSeconds=600."
    assert set(greetings(account, name, 4)) == {"old"}


def test_the_last_deployment_config_is_used_again_when_it_is_retained(account: Account) -> None:
    name = serve(account, variant(account, greeting="old"))
    policy = blue_green("ALL_AT_ONCE", termination=100)
    update(account, name, policy)
    account.endpoint(name)
    config = configure(account, variant(account))
    retain = {"EndpointName": name, "EndpointConfigName": config, "RetainDeploymentConfig": True}
    assert "DeploymentConfig must not be given" in refused(
        account.sagemaker.update_endpoint, **retain, DeploymentConfig=policy
    )
    account.sagemaker.update_endpoint(**retain)
    assert "TerminationWaitInSeconds" in step(account, name, "Baking")["VariantStatus"][0]["StatusMessage"]
    assert account.endpoint(name)["LastDeploymentConfig"] == policy


@pytest.mark.parametrize(
    ("policy", "words"),
    [
        (blue_green("CANARY"), "CanarySize is required when its Type is CANARY"),
        (blue_green("LINEAR"), "LinearStepSize is required when its Type is LINEAR"),
        (
            blue_green("ALL_AT_ONCE", sizes={"CanarySize": {"Type": "INSTANCE_COUNT", "Value": 1}}),
            "CanarySize must not be given when its Type is ALL_AT_ONCE",
        ),
        (canary(0), "CanarySize is 1 of 1 instances of variant AllTraffic; it must be from 1 to 50 percent"),
        (
            blue_green("LINEAR", sizes={"LinearStepSize": {"Type": "CAPACITY_PERCENT", "Value": 5}}),
            "LinearStepSize is 5 percent of variant AllTraffic; it must be from 10 to 50 percent",
        ),
        (rolling(0), "MaximumBatchSize is 1 of 1 instances"),
        ({**canary(0), **rolling(0)}, "either BlueGreenUpdatePolicy or RollingUpdatePolicy, not both"),
        (
            blue_green("ALL_AT_ONCE", 300, 300, MaximumExecutionTimeoutInSeconds=600),
            "MaximumExecutionTimeoutInSeconds=600 must be larger",
        ),
        (guarded(blue_green("ALL_AT_ONCE"), "no-such-alarm"), "could not find alarm no-such-alarm"),
        (blue_green("SOMETIMES"), "enum"),
    ],
)
def test_a_policy_that_does_not_fit_is_refused(account: Account, policy: dict[str, Any], words: str) -> None:
    name = shared(account)
    config = configure(account, variant(account))
    request = {"EndpointName": name, "EndpointConfigName": config, "DeploymentConfig": policy}
    assert words in refused(account.sagemaker.update_endpoint, **request)
    assert describe(account, name)["EndpointStatus"] == "InService"


def test_variants_that_do_not_fit_are_refused(account: Account) -> None:
    name = shared(account)
    others = [variant(account, "A", 2), variant(account, "B", 2)]
    refusals = [
        (others, canary(0), "must have the same variant names"),
        (others, rolling(0), "RollingUpdatePolicy is not supported for endpoints of several variants"),
        ([serverless(account)], rolling(0), "RollingUpdatePolicy is not supported for serverless endpoints"),
    ]
    for variants, policy, words in refusals:
        config = configure(account, *variants)
        request = {"EndpointName": name, "EndpointConfigName": config, "DeploymentConfig": policy}
        assert words in refused(account.sagemaker.update_endpoint, **request)


_shared: dict[int, str] = {}


def shared(account: Account) -> str:
    """An endpoint that no test changes."""
    if id(account) not in _shared:
        _shared[id(account)] = serve(account, variant(account))
    return _shared[id(account)]
