"""Shadow variants: they get copies of production's requests, and the caller never knows."""

from __future__ import annotations

import os
import signal
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.localcloud.sagemaker.conftest import Account, new_name, until
from tests.localcloud.sagemaker.embedded import SERVING_IMAGE, looks_at_processes
from tests.localcloud.sagemaker.test_data_capture import capturing, lines
from tests.localcloud.sagemaker.test_killed_server import embedded
from tests.localcloud.sagemaker.variants import describe, greetings, pids, refused, serve, serverless, variant


def configured(account: Account, production: dict[str, Any], *shadows: dict[str, Any], **more: Any) -> str:
    """Create an endpoint configuration with shadow variants; its name."""
    name = new_name("config")
    account.sagemaker.create_endpoint_config(
        EndpointConfigName=name, ProductionVariants=[production], ShadowProductionVariants=list(shadows), **more
    )
    return name


def shadowed(account: Account, share: float = 1.0, **more: Any) -> str:
    """Create an endpoint whose variant `live` has the shadow `shadow` for a share of its requests; its name."""
    name = new_name("endpoint")
    shadow = variant(account, "shadow", InitialVariantWeight=share)
    config = configured(account, variant(account, "live"), shadow, **more)
    account.sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=config)
    assert account.endpoint(name)["EndpointStatus"] == "InService"
    return name


def total(account: Account, endpoint: str, metric: str, of: str = "shadow", statistic: str = "Sum") -> float:
    """What CloudWatch has of a variant's metric."""
    now = datetime.now(UTC)
    points = account.client("cloudwatch").get_metric_statistics(
        Namespace="AWS/SageMaker",
        MetricName=metric,
        Dimensions=[{"Name": "EndpointName", "Value": endpoint}, {"Name": "VariantName", "Value": of}],
        StartTime=now - timedelta(minutes=10),
        EndTime=now + timedelta(minutes=10),
        Period=60,
        Statistics=[statistic],
    )["Datapoints"]
    return float(sum(point[statistic] for point in points))


def copied(account: Account, endpoint: str, count: int) -> None:
    """Wait until the shadow has had so many requests."""
    until(lambda: total(account, endpoint, "Invocations") >= count)


def update(account: Account, endpoint: str, config: str, **how: Any) -> None:
    account.sagemaker.update_endpoint(EndpointName=endpoint, EndpointConfigName=config, **how)
    description = account.endpoint(endpoint)
    assert (description["EndpointStatus"], description["EndpointConfigName"]) == ("InService", config), description


def test_the_shadow_gets_a_copy_of_every_request_and_answers_none(account: Account) -> None:
    name = shadowed(account)
    assert greetings(account, name, 12) == {"live": 12}
    copied(account, name, 12)
    assert total(account, name, "Invocations") == total(account, name, "Invocations", "live") == 12
    assert total(account, name, "ModelLatency", statistic="SampleCount") == 12
    assert total(account, name, "OverheadLatency", statistic="SampleCount") == 12


def test_the_share_that_is_copied_is_the_ratio_of_the_weights_and_can_be_changed(account: Account) -> None:
    name = shadowed(account, share=0.5)
    greetings(account, name, 80)
    copied(account, name, 20)
    time.sleep(0.5)  # whatever else is on its way
    assert 20 <= total(account, name, "Invocations") <= 60
    weights = [{"VariantName": "shadow", "DesiredWeight": 0.0}]
    account.sagemaker.update_endpoint_weights_and_capacities(EndpointName=name, DesiredWeightsAndCapacities=weights)
    shadow = account.endpoint(name)["ShadowProductionVariants"][0]
    assert (shadow["CurrentWeight"], shadow["CurrentInstanceCount"]) == (0.0, 1)
    before = total(account, name, "Invocations")
    greetings(account, name, 20)
    time.sleep(0.5)
    assert total(account, name, "Invocations") == before


def test_a_shadow_that_fails_fails_no_caller_and_is_measured(account: Account) -> None:
    name = shadowed(account)
    for status, kind in ((400, "4XX"), (503, "5XX")):
        with pytest.raises(ClientError):
            account.ask(name, f"fail {status}".encode())
        until(lambda kind=kind: total(account, name, f"Invocation{kind}Errors") == 1)
    model, broken = new_name("model"), new_name("endpoint")
    container = {"Image": SERVING_IMAGE}
    account.sagemaker.create_model(ModelName=model, PrimaryContainer=container, ExecutionRoleArn=account.role)
    shadow = {**variant(account, "shadow"), "ModelName": model}
    config = configured(account, variant(account, "live"), shadow)
    account.sagemaker.create_endpoint(EndpointName=broken, EndpointConfigName=config)
    account.endpoint(broken)
    assert account.ask(broken, b"break")["greeting"] == "live"  # the shadow's container breaks the connection
    until(lambda: total(account, broken, "InvocationModelErrors") == 1)
    assert total(account, broken, "InvocationModelErrors", "live") == 0


def test_the_caller_does_not_wait_for_the_shadow(account: Account) -> None:
    name = shadowed(account)
    account.ask(name)
    copied(account, name, 1)
    began = time.perf_counter()
    account.ask(name, b"think")  # 0.7 s, by production and then by the shadow
    assert time.perf_counter() - began < 1.2
    copied(account, name, 2)


def test_a_shadow_is_not_asked_by_its_name(account: Account) -> None:
    name = shadowed(account)
    with pytest.raises(ClientError, match="is a shadow variant"):
        account.ask(name, TargetVariant="shadow")
    assert account.ask(name, TargetVariant="live")["greeting"] == "live"


def test_what_the_shadow_answers_is_captured_under_its_name(account: Account) -> None:
    folder = new_name("capture")
    name = shadowed(account, DataCaptureConfig=capturing(account, folder))
    account.ask(name)
    assert len(lines(account, f"{folder}/{name}/shadow/", 1)) == len(lines(account, f"{folder}/{name}/live/", 1)) == 1


def test_a_streamed_request_is_copied_too_and_a_sessions_is_not(account: Account) -> None:
    name = shadowed(account)
    answer = account.runtime.invoke_endpoint_with_response_stream(EndpointName=name, Body=b"hello")
    assert b"live" in b"".join(event["PayloadPart"]["Bytes"] for event in answer["Body"])
    copied(account, name, 1)
    account.ask(name, SessionId="NEW_SESSION")
    time.sleep(0.5)
    assert total(account, name, "Invocations") == 1


def test_descriptions_tell_production_and_shadow_apart(account: Account) -> None:
    name = shadowed(account, share=0.25)
    found = describe(account, name)
    [live], [shadow] = found["ProductionVariants"], found["ShadowProductionVariants"]
    assert (live["VariantName"], live["CurrentWeight"]) == ("live", 1.0)
    assert (shadow["VariantName"], shadow["CurrentWeight"], shadow["CurrentInstanceCount"]) == ("shadow", 0.25, 1)
    config = account.sagemaker.describe_endpoint_config(EndpointConfigName=found["EndpointConfigName"])
    assert [one["VariantName"] for one in config["ProductionVariants"]] == ["live"]
    assert [one["InitialVariantWeight"] for one in config["ShadowProductionVariants"]] == [0.25]


def test_a_shadow_is_added_promoted_and_removed_by_updates(account: Account) -> None:
    live, shadow = variant(account, "live"), variant(account, "shadow")
    name = serve(account, live)
    assert "ShadowProductionVariants" not in describe(account, name)
    # Step by step, too: it is production's variants that must be the same.
    routing = {
        "Type": "CANARY",
        "WaitIntervalInSeconds": 0,
        "CanarySize": {"Type": "INSTANCE_COUNT", "Value": 1},
    }
    policy = {"BlueGreenUpdatePolicy": {"TrafficRoutingConfiguration": routing}}
    live["InitialInstanceCount"] = 2
    update(account, name, configured(account, live, shadow), DeploymentConfig=policy)
    assert len(pids(account, name)) == 2
    assert greetings(account, name, 8) == {"live": 8}
    copied(account, name, 8)
    only = new_name("config")
    account.sagemaker.create_endpoint_config(EndpointConfigName=only, ProductionVariants=[shadow])
    update(account, name, only)
    assert "ShadowProductionVariants" not in describe(account, name)
    assert greetings(account, name, 8) == {"shadow": 8}


def test_an_update_retains_the_shadows_weight(account: Account) -> None:
    live, shadow = variant(account, "live"), variant(account, "shadow")
    name, weights = new_name("endpoint"), [{"VariantName": "shadow", "DesiredWeight": 0.5}]
    account.sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=configured(account, live, shadow))
    account.endpoint(name)
    account.sagemaker.update_endpoint_weights_and_capacities(EndpointName=name, DesiredWeightsAndCapacities=weights)
    account.endpoint(name)
    update(account, name, configured(account, live, shadow), RetainAllVariantProperties=True)
    assert describe(account, name)["ShadowProductionVariants"][0]["CurrentWeight"] == 0.5


def test_a_shadow_that_does_not_become_healthy_takes_the_update_back(account: Account) -> None:
    live = variant(account, "live")
    name = serve(account, live)
    sick = variant(account, "shadow", environment={"HEALTHY": "no"}, ContainerStartupHealthCheckTimeoutInSeconds=60)
    former = describe(account, name)["EndpointConfigName"]
    account.sagemaker.update_endpoint(EndpointName=name, EndpointConfigName=configured(account, live, sick))
    found = account.endpoint(name)
    assert (found["EndpointStatus"], found["EndpointConfigName"]) == ("InService", former)
    assert "FailureReason" in found
    assert greetings(account, name, 4) == {"live": 4}


def test_what_a_shadow_cannot_stand_beside_is_refused_in_words(account: Account) -> None:
    create, live = account.sagemaker.create_endpoint_config, variant(account, "live")
    shadow = variant(account, "shadow")

    def told(production: list[dict[str, Any]], shadows: list[dict[str, Any]], **more: Any) -> str:
        variants = {"ProductionVariants": production, "ShadowProductionVariants": shadows}
        return refused(create, EndpointConfigName=new_name("config"), **variants, **more)

    other = variant(account, "other")
    assert "ProductionVariants has 2 variants" in told([live, other], [shadow])
    assert "ShadowProductionVariants has 2 variants" in told([live], [shadow, other])
    assert "names of variants must differ" in told([live], [{**shadow, "VariantName": "live"}])
    assert "serverless variant quick" in told([live], [serverless(account, name="quick")])
    assert "serverless variant quick" in told([serverless(account, name="quick")], [shadow])
    assert "shadow variant shadow: InitialInstanceCount is required" in told(
        [live], [{name: value for name, value in shadow.items() if name != "InitialInstanceCount"}]
    )
    output = {"OutputConfig": {"S3OutputPath": f"s3://{account.bucket}/out"}}
    assert "AsyncInferenceConfig" in told([live], [shadow], AsyncInferenceConfig=output)
    several, model = new_name("model"), account.sagemaker.describe_model(ModelName=shadow["ModelName"])
    container = {
        "Image": model["PrimaryContainer"]["Image"],
        "Mode": "MultiModel",
        "ModelDataUrl": f"s3://{account.bucket}/several/",
    }
    account.sagemaker.create_model(ModelName=several, PrimaryContainer=container, ExecutionRoleArn=account.role)
    assert "multi-model" in told([live], [{**shadow, "ModelName": several}])


@looks_at_processes
def test_after_a_kill_the_shadow_gets_its_share_again(tmp_path: Path) -> None:
    with embedded(tmp_path) as (server, account):
        name = shadowed(account, share=1.0)
        os.kill(server.pid, signal.SIGKILL)
        server.wait()
    with embedded(tmp_path) as (_, account):
        found = account.endpoint(name)
        assert [one["VariantName"] for one in found["ShadowProductionVariants"]] == ["shadow"]
        assert greetings(account, name, 4) == {"live": 4}
        copied(account, name, 4)
