"""Serverless variants: a process only while somebody asks, no more requests at a time than MaxConcurrency."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from tests.localcloud.sagemaker.conftest import Account, until
from tests.localcloud.sagemaker.embedded import client, is_running, meet_in_a_file
from tests.localcloud.sagemaker.variants import configure, describe, refused, serve, serverless, variant


def refusals_at_once(account: Account, endpoint: str, requests: int) -> list[str]:
    """The refusals' codes of requests that last until they are given up. Each is sent once: the client would try
    again what is throttled, when the others have ended perhaps."""
    runtime = client("sagemaker-runtime", account.cloud.port, retries=0)

    def refusal(_: int) -> str:
        with pytest.raises(ClientError) as caught:
            runtime.invoke_endpoint(EndpointName=endpoint, Body=b"sleep")
        return str(caught.value.response["Error"]["Code"])

    with ThreadPoolExecutor(requests) as pool:
        return sorted(pool.map(refusal, range(requests)))


def test_a_container_starts_with_the_first_request_and_ends_when_idle(account: Account) -> None:
    name = serve(account, serverless(account, greeting="cold"))
    folder = account.cloud.state / "endpoints" / name
    assert not list(folder.rglob("AllTraffic-*")), "nothing runs yet"
    first = account.ask(name)
    assert first["greeting"] == "cold"
    assert account.ask(name)["instance"] == first["instance"], "the next request finds it running"
    until(lambda: not is_running(first["instance"]))
    assert account.ask(name)["instance"] != first["instance"]

    (shown,) = describe(account, name)["ProductionVariants"]
    config = {"MemorySizeInMB": 2048, "MaxConcurrency": 2}
    assert shown["CurrentServerlessConfig"] == shown["DesiredServerlessConfig"] == config
    assert shown["CurrentInstanceCount"] == 0


def test_more_requests_than_its_concurrency_are_throttled(account: Account) -> None:
    name = serve(account, serverless(account, concurrency=2))
    account.ask(name)
    throttled = ["ThrottlingException"] * 2
    assert refusals_at_once(account, name, 4) == ["ModelError", "ModelError", *throttled]

    wanted = [{"VariantName": "AllTraffic", "ServerlessUpdateConfig": {"MaxConcurrency": 4}}]
    account.sagemaker.update_endpoint_weights_and_capacities(EndpointName=name, DesiredWeightsAndCapacities=wanted)
    (shown,) = account.endpoint(name)["ProductionVariants"]
    assert shown["CurrentServerlessConfig"]["MaxConcurrency"] == 4
    account.ask(name)
    assert refusals_at_once(account, name, 4) == ["ModelError"] * 4, "all of them were passed on"


def test_requests_that_come_before_the_container_runs_start_it_once(account: Account) -> None:
    name = serve(account, serverless(account, concurrency=8))
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: account.ask(name)["instance"], range(4)))
    assert len(set(answers)) == 1


@meet_in_a_file
def test_a_container_that_cannot_start_is_told_and_tried_again(account: Account, tmp_path: Path) -> None:
    limit = tmp_path / "times"
    name = serve(account, serverless(account, environment={"TIMES": str(limit), "AT_MOST": "0"}))
    with pytest.raises(ClientError, match="ServiceUnavailable"):
        account.ask(name)
    with pytest.raises(ClientError, match="ServiceUnavailable"):
        account.ask(name)
    assert limit.stat().st_size == 4, "each request tried, and once more by the client"
    lines = account.log_lines(f"/aws/sagemaker/Endpoints/{name}", "AllTraffic/")
    assert any("exited with code 9" in line for line in lines)


def test_an_update_between_instances_and_serverless_goes_over_at_once(account: Account) -> None:
    name = serve(account, variant(account, greeting="instance"))
    pid = account.ask(name)["instance"]
    config = configure(account, serverless(account, greeting="serverless"))
    routing = {"Type": "ALL_AT_ONCE", "WaitIntervalInSeconds": 0}
    policy = {"BlueGreenUpdatePolicy": {"TrafficRoutingConfiguration": routing, "TerminationWaitInSeconds": 3600}}
    account.sagemaker.update_endpoint(EndpointName=name, EndpointConfigName=config, DeploymentConfig=policy)
    assert account.endpoint(name)["EndpointConfigName"] == config
    assert account.ask(name)["greeting"] == "serverless"
    assert not is_running(pid)


def test_what_does_not_go_together_is_refused(account: Account) -> None:
    good = serverless(account)
    create = account.sagemaker.create_endpoint_config
    refusals = [
        ({**good, "InstanceType": "ml.m5.large"}, "InstanceType must not be given together with ServerlessConfig"),
        ({**good, "ServerlessConfig": {"MemorySizeInMB": 1500, "MaxConcurrency": 1}}, "MemorySizeInMB=1500 must be"),
        ({**good, "ServerlessConfig": {"MemorySizeInMB": 1024, "MaxConcurrency": 201}}, "less than or equal to 200"),
        (
            {**good, "ServerlessConfig": {**good["ServerlessConfig"], "ProvisionedConcurrency": 1}},
            "ServerlessConfig.ProvisionedConcurrency is not implemented by the embedded cloud",
        ),
    ]
    for wrong, words in refusals:
        assert words in refused(create, EndpointConfigName="x", ProductionVariants=[wrong])
    name = serve(account, good)
    assert "DesiredInstanceCount must not be given for a serverless variant" in refused(
        account.sagemaker.update_endpoint_weights_and_capacities,
        EndpointName=name,
        DesiredWeightsAndCapacities=[{"VariantName": "AllTraffic", "DesiredInstanceCount": 1}],
    )
