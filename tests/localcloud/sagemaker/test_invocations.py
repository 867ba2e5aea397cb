"""Invocations in real time: headers, sessions, limits, failures and metrics."""

from __future__ import annotations

import inspect
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import psutil
import pytest
import urllib3
from botocore.exceptions import ClientError
from moto.cloudwatch import models, responses
from moto.cloudwatch.models import CloudWatchBackend

from kindling.localcloud.metric_minutes import CloudWatch, percentile
from kindling.localcloud.sagemaker.hosting.endpoint_metrics import EndpointMetrics
from kindling.localcloud.sagemaker.hosting.exchange import Outcome
from tests.localcloud.sagemaker.conftest import Account, new_name, until
from tests.localcloud.sagemaker.serving import endpoint_of


@pytest.fixture(scope="module")
def endpoint(account: Account) -> str:
    return endpoint_of(account)


def refused(account: Account, name: str, body: bytes = b"hello", **more: Any) -> dict[str, Any]:
    """The error that an invocation ends with."""
    with pytest.raises(ClientError) as caught:
        account.runtime.invoke_endpoint(EndpointName=name, Body=body, **more)
    return dict(caught.value.response)


def test_what_the_model_of_the_runtime_names_goes_to_the_container_and_back(account: Account, endpoint: str) -> None:
    answer = account.runtime.invoke_endpoint(
        EndpointName=endpoint,
        Body=b"hello",
        ContentType="text/csv",
        Accept="application/json",
        CustomAttributes="trace=1",
        InferenceId="inference-1",
        TargetVariant="AllTraffic",
    )
    arrived = json.loads(answer["Body"].read())["headers"]
    assert arrived["Content-Type"] == "text/csv"
    assert arrived["Accept"] == "application/json"
    assert arrived["X-Amzn-SageMaker-Custom-Attributes"] == "trace=1"
    assert arrived["X-Amzn-SageMaker-Inference-Id"] == "inference-1"
    assert not {name for name in arrived if name.lower().startswith(("authorization", "x-amz-"))}
    assert answer["ContentType"] == "application/json"
    assert answer["CustomAttributes"] == "from the model"
    assert answer["InvokedProductionVariant"] == "AllTraffic"
    assert answer["ResponseMetadata"]["RequestId"]


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("TargetContainerHostname", "second"),
        ("InferenceComponentName", "component"),
        ("EnableExplanations", "`true`"),
        ("PrefixAwareId", "prefix"),
    ],
)
def test_what_is_not_done_is_refused_by_its_name(account: Account, endpoint: str, member: str, value: str) -> None:
    error = refused(account, endpoint, **{member: value})["Error"]
    assert error["Code"] == "ValidationError"
    assert error["Message"] == f"{member} is not implemented by the embedded cloud."


def test_a_member_that_breaks_its_pattern_is_refused_as_the_service_words_it(account: Account, endpoint: str) -> None:
    error = refused(account, endpoint, TargetVariant="-A-")["Error"]
    assert error["Message"].startswith("1 validation error detected: Value '-A-' at 'targetVariant' failed to satisfy")
    assert refused(account, endpoint, TargetVariant="Another")["Error"]["Code"] == "ValidationError"


def test_an_endpoint_of_another_region_is_not_found(account: Account, endpoint: str) -> None:
    elsewhere = boto3.client(
        "sagemaker-runtime",
        endpoint_url=f"http://127.0.0.1:{account.cloud.port}",
        region_name="eu-west-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )
    with pytest.raises(ClientError, match="the embedded cloud is in us-east-1, but the request is for eu-west-1"):
        elsewhere.invoke_endpoint(EndpointName=endpoint, Body=b"hello")


def test_a_body_of_25_mib_is_taken_and_one_byte_more_refused(account: Account, endpoint: str) -> None:
    largest = 25 * 2**20
    assert account.ask(endpoint, b"x" * largest)["size"] == largest
    error = refused(account, endpoint, b"x" * (largest + 1))
    assert error["Error"]["Code"] == "ValidationError"
    assert (
        "'body' failed to satisfy constraint: Member must have length less than or equal to 26214400"
        in (error["Error"]["Message"])
    )


def test_a_body_sent_in_chunks_arrives_whole(account: Account, endpoint: str) -> None:
    url = f"http://127.0.0.1:{account.cloud.port}/endpoints/{endpoint}/invocations"
    answer = urllib3.request("POST", url, body=iter([b"one", b"two"]), headers={"Content-Type": "text/plain"})
    assert answer.json()["size"] == 6


def test_a_failure_tells_the_containers_status_words_and_log(account: Account, endpoint: str) -> None:
    for status, side in ((404, "client"), (503, "server")):
        error = refused(account, endpoint, f"fail {status}".encode())
        assert error["Error"]["Code"] == "ModelError"
        assert error["ResponseMetadata"]["HTTPStatusCode"] == 424
        assert error["Error"]["Message"].startswith(
            f'Received {side} error ({status}) from primary with message "what went wrong".'
        )
        assert (error["OriginalStatusCode"], error["OriginalMessage"]) == (status, "what went wrong")
        assert f"log-group:/aws/sagemaker/Endpoints/{endpoint}" in error["LogStreamArn"]


def test_a_container_that_dies_is_a_model_error_and_nothing_healthy_is_service_unavailable(account: Account) -> None:
    name = endpoint_of(account)
    died = refused(account, name, b"die")
    assert died["Error"]["Code"] == "ModelError"
    assert "could not get a response from the primary endpoint" in died["Error"]["Message"]

    def unavailable() -> bool:
        return refused(account, name, b"die")["Error"]["Code"] == "ServiceUnavailable"

    until(unavailable)
    account.sagemaker.delete_endpoint(EndpointName=name)


def test_requests_of_a_session_go_to_the_instance_that_began_it(account: Account) -> None:
    name = endpoint_of(account, instances=2)
    begun = account.runtime.invoke_endpoint(EndpointName=name, Body=b"", SessionId="NEW_SESSION")
    session, _, expires = begun["NewSessionId"].partition("; Expires=")
    pid = json.loads(begun["Body"].read())["instance"]
    assert expires == "2099-01-01T00:00:00Z"
    assert {account.ask(name, SessionId=session)["instance"] for _ in range(4)} == {pid}
    assert len({account.ask(name)["instance"] for _ in range(4)}) == 2
    closed = account.runtime.invoke_endpoint(EndpointName=name, Body=b"close", SessionId=session)
    assert closed["Body"].read() == b"closed"
    assert closed["ClosedSessionId"] == session
    assert "does not exist or has expired" in refused(account, name, SessionId=session)["Error"]["Message"]
    past = account.runtime.invoke_endpoint(EndpointName=name, Body=b"2001-01-01T00:00:00Z", SessionId="NEW_SESSION")
    past["Body"].read()
    session = past["NewSessionId"].partition(";")[0]
    assert "does not exist or has expired" in refused(account, name, SessionId=session)["Error"]["Message"]
    account.sagemaker.delete_endpoint(EndpointName=name)


def test_a_target_model_of_an_endpoint_with_one_model_is_refused_as_the_service_does(
    account: Account, endpoint: str
) -> None:
    error = refused(account, endpoint, TargetModel="one.tar.gz")["Error"]
    assert error["Message"] == (
        f"Endpoint {endpoint} is not a multi-model endpoint and does not support target model header."
    )


def test_invocations_are_counted_and_timed_in_cloudwatch(account: Account) -> None:
    name = endpoint_of(account, instances=2)
    for _ in range(6):
        account.ask(name)
    for status in (400, 400, 500):
        refused(account, name, f"fail {status}".encode())
    cloudwatch = account.client("cloudwatch")
    now = datetime.now(UTC)
    period: dict[str, Any] = {"StartTime": now - timedelta(minutes=10), "EndTime": now + timedelta(minutes=10)}
    dimensions = [{"Name": "VariantName", "Value": "AllTraffic"}, {"Name": "EndpointName", "Value": name}]

    def total(metric: str, statistic: str = "Sum") -> float:
        points = cloudwatch.get_metric_statistics(
            Namespace="AWS/SageMaker",
            MetricName=metric,
            Dimensions=dimensions,
            Period=60,
            Statistics=[statistic],
            **period,
        )["Datapoints"]
        return float(sum(point[statistic] for point in points))

    assert total("Invocations") == 9
    assert total("InvocationsPerInstance") == 4.5
    assert total("Invocation4XXErrors") == 2
    assert total("Invocation5XXErrors") == 1
    assert total("InvocationModelErrors") == 3
    assert total("ModelLatency", "SampleCount") == 9
    assert total("OverheadLatency", "Minimum") > 0
    points = cloudwatch.get_metric_statistics(
        Namespace="AWS/SageMaker",
        MetricName="ModelLatency",
        Dimensions=dimensions,
        Period=60,
        Statistics=["Minimum", "Maximum"],
        ExtendedStatistics=["p50"],
        **period,
    )["Datapoints"]
    assert points
    assert all(
        1 < point["Minimum"] <= point["ExtendedStatistics"]["p50"] <= point["Maximum"] < 60e6 for point in points
    )
    assert {point["Unit"] for point in points} == {"Microseconds"}
    stat = {"Metric": {"Namespace": "AWS/SageMaker", "MetricName": "ModelLatency", "Dimensions": dimensions}}
    queries = [{"Id": "p", "MetricStat": {**stat, "Period": 3600, "Stat": "p99"}}]
    values = cloudwatch.get_metric_data(MetricDataQueries=queries, **period)["MetricDataResults"][0]["Values"]
    assert values
    assert all(value > 1 for value in values)
    account.sagemaker.delete_endpoint(EndpointName=name)


def test_percentiles_are_right_to_one_percent() -> None:
    backend = CloudWatchBackend("us-east-1", "123456789012")
    cloudwatch = CloudWatch(backend)
    for value in range(1, 1001):
        cloudwatch.add("N", (("A", "B"),), "None", Metric=float(value))
    for share in (1, 50, 90, 99.9, 100):
        assert percentile(backend.metric_data, share) == pytest.approx(10 * share, rel=0.011)
    assert percentile([], 50) is None


def test_a_hundred_thousand_invocations_take_a_few_megabytes_of_metrics() -> None:
    backend = CloudWatchBackend("us-east-1", "123456789012")
    metrics = EndpointMetrics(CloudWatch(backend))
    before = psutil.Process().memory_info().rss
    for number in range(100_000):
        outcome = Outcome(None, 200 + number % 400, "", 1e-3 + number * 1e-6)
        metrics.invoked("endpoint", "AllTraffic", 2, outcome, 1e-4)
    assert psutil.Process().memory_info().rss - before < 5e6
    assert sum(datum.sample_count for datum in backend.metric_data if datum.name == "Invocations") == 100_000


def test_an_endpoint_that_does_not_exist_is_told_with_its_account(account: Account) -> None:
    name = new_name("nowhere")
    assert refused(account, name)["Error"]["Message"] == f"Endpoint {name} of account 123456789012 not found."


def test_moto_orders_dimensions_wrongly_and_knows_no_extended_statistics() -> None:
    """A failure here says: what `teach_percentiles` mends in moto can go, or must change."""
    assert "self.name < other.name and self.value < other.name" in inspect.getsource(models)
    unsupported = inspect.getsource(responses).partition("# Unsupported Parameters")[2]
    assert 'extended_statistics = self._get_param("ExtendedStatistics")' in unsupported
