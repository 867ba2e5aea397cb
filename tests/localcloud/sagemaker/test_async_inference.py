"""Asynchronous inference: answers and failures in S3, notifications, limits, and a queue that outlives the cloud."""

from __future__ import annotations

import json
import os
import signal
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.localcloud.sagemaker.conftest import Account, new_name, until
from tests.localcloud.sagemaker.embedded import meet_in_a_file
from tests.localcloud.sagemaker.serving import config_of, endpoint_of, objects
from tests.localcloud.sagemaker.test_killed_server import embedded


def options(account: Account, folder: str, at_once: int = 2, **output: Any) -> dict[str, Any]:
    paths = {
        "S3OutputPath": f"s3://{account.bucket}/{folder}/out",
        "S3FailurePath": f"s3://{account.bucket}/{folder}/failed",
    }
    return {
        "ClientConfig": {"MaxConcurrentInvocationsPerInstance": at_once},
        "OutputConfig": {**paths, **output},
    }


def invoke(account: Account, endpoint: str, body: bytes = b"hello", **more: Any) -> dict[str, Any]:
    given = more if "InputLocation" in more else {"Body": body, **more}
    return dict(account.runtime.invoke_endpoint_async(EndpointName=endpoint, **given))


def written(account: Account, address: str) -> bytes:
    """The object at an address, once it is there."""
    key = address.removeprefix(f"s3://{account.bucket}/")
    return bytes(until(lambda: objects(account, key).get(key)))


def queue_of(account: Account, topic: str) -> Any:
    """Subscribe a queue to a topic; a function that gives the next message."""
    sqs, name = account.client("sqs"), new_name("queue")
    url = sqs.create_queue(QueueName=name)["QueueUrl"]
    arn = f"arn:aws:sqs:us-east-1:123456789012:{name}"
    account.client("sns").subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)

    def message() -> dict[str, Any]:
        found = until(lambda: sqs.receive_message(QueueUrl=url).get("Messages"))
        sqs.delete_message(QueueUrl=url, ReceiptHandle=found[0]["ReceiptHandle"])
        return dict(json.loads(json.loads(found[0]["Body"])["Message"]))

    return message


def test_an_answer_goes_to_s3_and_success_to_its_topic(account: Account) -> None:
    folder = new_name("async")
    topic = account.client("sns").create_topic(Name=new_name("topic"))["TopicArn"]
    message = queue_of(account, topic)
    config = options(account, folder, NotificationConfig={"SuccessTopic": topic})
    name = endpoint_of(account, AsyncInferenceConfig=config)
    location = account.put(f"{folder}/in", b"x" * 1_000_000)
    answer = invoke(account, name, InputLocation=location, ContentType="text/csv", CustomAttributes="trace=1")
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 202
    assert answer["OutputLocation"] == f"s3://{account.bucket}/{folder}/out/{answer['InferenceId']}.out"
    arrived = json.loads(written(account, answer["OutputLocation"]))
    assert arrived["size"] == 1_000_000
    assert arrived["headers"]["Content-Type"] == "text/csv"
    assert arrived["headers"]["X-Amzn-SageMaker-Inference-Id"] == answer["InferenceId"]
    told = message()
    assert told["invocationStatus"] == "Completed"
    assert told["requestParameters"] == {
        "contentType": "text/csv",
        "customAttributes": "trace=1",
        "endpointName": name,
        "inputLocation": location,
    }
    assert told["responseParameters"] == {"contentType": "application/json", "outputLocation": answer["OutputLocation"]}
    assert told["inferenceId"] == answer["InferenceId"]
    assert (told["eventName"], told["eventSource"], told["eventVersion"]) == ("InferenceResult", "aws:sagemaker", "1.0")
    shown = account.sagemaker.describe_endpoint(EndpointName=name)["AsyncInferenceConfig"]
    assert shown["OutputConfig"]["S3OutputPath"] == config["OutputConfig"]["S3OutputPath"]


def test_a_failure_goes_to_its_own_place_and_topic(account: Account) -> None:
    folder = new_name("async")
    topic = account.client("sns").create_topic(Name=new_name("topic"))["TopicArn"]
    message = queue_of(account, topic)
    name = endpoint_of(account, AsyncInferenceConfig=options(account, folder, NotificationConfig={"ErrorTopic": topic}))
    answer = invoke(account, name, b"fail 400", InferenceId="mine")
    assert answer["InferenceId"] == "mine"
    assert answer["FailureLocation"] == f"s3://{account.bucket}/{folder}/failed/mine-error.out"
    assert written(account, answer["FailureLocation"]) == b"what went wrong"
    told = message()
    assert told["invocationStatus"] == "Failed"
    assert "Received client error (400) from primary" in told["failureReason"]
    assert objects(account, f"{folder}/out") == {}
    answer = invoke(account, name, InputLocation=f"s3://{account.bucket}/{folder}/nothing")
    assert b"there is no object at s3://" in written(account, answer["FailureLocation"])
    assert "there is no object at" in message()["failureReason"]


def test_names_of_outputs_can_be_chosen(account: Account) -> None:
    folder = new_name("async")
    name = endpoint_of(account, AsyncInferenceConfig=options(account, folder))
    answer = invoke(account, name, Filename="answer.json", S3OutputPathExtension="today/early")
    assert answer["OutputLocation"] == f"s3://{account.bucket}/{folder}/out/today/early/answer.json"
    assert json.loads(written(account, answer["OutputLocation"]))["size"] == 5


@meet_in_a_file
def test_no_more_requests_at_once_than_the_configuration_says(account: Account, tmp_path: Path) -> None:
    folder = new_name("async")
    name = endpoint_of(account, AsyncInferenceConfig=options(account, folder, at_once=2))
    waits = f"wait {tmp_path / 'go'}".encode()
    answers = [invoke(account, name, waits) for _ in range(6)]
    dimensions = [{"Name": "EndpointName", "Value": name}]
    now = datetime.now(UTC)

    def found(metric: str, statistic: str) -> float:
        points = account.client("cloudwatch").get_metric_statistics(
            Namespace="AWS/SageMaker",
            MetricName=metric,
            Dimensions=dimensions,
            StartTime=now - timedelta(minutes=10),
            EndTime=now + timedelta(minutes=10),
            Period=3600,
            Statistics=[statistic],
        )["Datapoints"]
        return max((float(point[statistic]) for point in points), default=-1.0)

    until(lambda: found("ApproximateBacklogSize", "Maximum") == 6)
    assert found("ApproximateBacklogSize", "Minimum") > 0
    (tmp_path / "go").touch()
    texts = [written(account, answer["OutputLocation"]) for answer in answers]
    assert max(texts) == b"waited, at most 2 at once"
    until(lambda: found("ApproximateBacklogSize", "Minimum") == 0)
    dimensions.append({"Name": "VariantName", "Value": "AllTraffic"})
    assert found("InvocationsProcessed", "Sum") == 6
    assert found("TimeInBacklog", "Maximum") > 0


def test_a_request_that_takes_longer_than_it_may_fails(account: Account, tmp_path: Path) -> None:
    folder = new_name("async")
    name = endpoint_of(account, AsyncInferenceConfig=options(account, folder))
    answer = invoke(account, name, f"wait {tmp_path / 'never'}".encode(), InvocationTimeoutSeconds=1)
    assert written(account, answer["FailureLocation"]).startswith(b"Your invocation timed out")


def test_each_kind_of_endpoint_is_asked_in_its_own_way_and_limits_hold(account: Account) -> None:
    queued = endpoint_of(account, AsyncInferenceConfig=options(account, new_name("async")))
    direct = endpoint_of(account)
    with pytest.raises(ClientError, match="is an asynchronous endpoint; use InvokeEndpointAsync") as caught:
        account.ask(queued)
    assert caught.value.response["Error"]["Code"] == "ValidationError"
    refusals: list[tuple[str, dict[str, Any], str]] = [
        (direct, {"Body": b"x"}, "is a real-time endpoint; use InvokeEndpoint to invoke it"),
        (queued, {}, "Exactly one of Body and InputLocation must be provided"),
        (queued, {"Body": b"x", "InputLocation": "s3://b/k"}, "Exactly one of Body and InputLocation"),
        (queued, {"InputLocation": "file:///etc/passwd"}, "'inputLocation' failed to satisfy constraint"),
        (queued, {"Body": b"x" * 128_001}, "Member must have length less than or equal to 128000"),
        (queued, {"Body": b"x", "RequestTTLSeconds": 59}, "value greater than or equal to 60"),
        (queued, {"Body": b"x", "InvocationTimeoutSeconds": 3601}, "value less than or equal to 3600"),
    ]
    for name, request, words in refusals:
        with pytest.raises(ClientError) as caught:
            account.runtime.invoke_endpoint_async(EndpointName=name, **request)
        assert caught.value.response["Error"]["Code"] == "ValidationError"
        assert words in caught.value.response["Error"]["Message"]


def test_what_a_configuration_asks_in_vain_is_refused_by_name(account: Account) -> None:
    good = options(account, "x")
    topics = {"NotificationConfig": {"IncludeInferenceResponseIn": ["SUCCESS_NOTIFICATION_TOPIC"]}}
    capture = {
        "InitialSamplingPercentage": 1,
        "DestinationS3Uri": f"s3://{account.bucket}/c",
        "CaptureOptions": [{"CaptureMode": "Input"}],
    }
    refusals: list[tuple[dict[str, Any], str]] = [
        ({"AsyncInferenceConfig": {"OutputConfig": {}}}, "OutputConfig without S3OutputPath is not implemented"),
        ({"AsyncInferenceConfig": options(account, "x", **topics)}, "IncludeInferenceResponseIn is not implemented"),
        ({"AsyncInferenceConfig": good, "DataCaptureConfig": capture}, "together with AsyncInferenceConfig"),
        (
            {
                "AsyncInferenceConfig": good,
                "container": {"Mode": "MultiModel", "ModelDataUrl": f"s3://{account.bucket}/m/"},
            },
            "with a multi-model model is not implemented",
        ),
    ]
    for more, words in refusals:
        with pytest.raises(ClientError, match=words):
            config_of(account, **more)


def test_an_expired_request_fails_without_being_asked(account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    from kindling.localcloud.sagemaker.hosting.async_request import AsyncRequest

    folder = new_name("async")
    name = endpoint_of(account, AsyncInferenceConfig=options(account, folder))
    age = AsyncRequest.age_s.fget
    assert age is not None
    monkeypatch.setattr(AsyncRequest, "age_s", property(lambda request: age(request) + 100))
    answer = invoke(account, name, RequestTTLSeconds=90)
    words = written(account, answer["FailureLocation"])
    assert words == b"The request expired: it waited longer than 90 s in the queue."
    assert objects(account, f"{folder}/out") == {}


@meet_in_a_file
def test_an_accepted_request_outlives_a_killed_cloud(tmp_path: Path) -> None:
    go = tmp_path / "go"
    with embedded(tmp_path) as (server, account):
        name = endpoint_of(account, AsyncInferenceConfig=options(account, "kept", at_once=1))
        answers = [invoke(account, name, f"wait {go}".encode()) for _ in range(2)]
        os.kill(server.pid, signal.SIGKILL)
        server.wait()
    go.touch()
    with embedded(tmp_path) as (_, account):
        for answer in answers:
            assert written(account, answer["OutputLocation"]).startswith(b"waited")


@meet_in_a_file
def test_an_accepted_request_outlives_a_cloud_that_is_ended(tmp_path: Path) -> None:
    go = tmp_path / "go"
    with embedded(tmp_path) as (server, account):
        name = endpoint_of(account, AsyncInferenceConfig=options(account, "kept"))
        started = tmp_path / "started"
        answer = invoke(account, name, f"wait {go} {started}".encode())
        until(started.exists)
        server.terminate()
        server.wait()
    go.touch()
    with embedded(tmp_path) as (_, account):
        assert written(account, answer["OutputLocation"]).startswith(b"waited")
