"""What else endpoints do: their events, lists and tags, instances that die, and downloads that take too long."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from kindling.localcloud.sagemaker.objects import Objects
from tests.localcloud.sagemaker.conftest import Account, new_name, until
from tests.localcloud.sagemaker.embedded import looks_at_processes, meet_in_a_file
from tests.localcloud.sagemaker.test_endpoints import gone, model_archive
from tests.localcloud.sagemaker.variants import configure, describe, pids, refused, serve, variant


def heard_events(account: Account) -> Any:
    """A call that gives the events of endpoints that came since the last."""
    events, sqs, name = account.client("events"), account.client("sqs"), new_name("events")
    queue = sqs.create_queue(QueueName=name)["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    events.put_rule(Name=name, EventPattern=json.dumps({"source": ["aws.sagemaker"]}))
    events.put_targets(Rule=name, Targets=[{"Id": "queue", "Arn": arn}])

    def more() -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        while messages := sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages"):
            for message in messages:
                sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
                found.append(json.loads(message["Body"]))
        return found

    return more


def test_every_change_of_an_endpoint_is_an_event(account: Account) -> None:
    more, told = heard_events(account), list[tuple[str, str, Any]]()
    name, config = new_name("endpoint"), configure(account, variant(account))
    tags = [{"Key": "team", "Value": "nlp"}]
    account.sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=config, Tags=tags)
    account.endpoint(name)
    account.sagemaker.update_endpoint(EndpointName=name, EndpointConfigName=configure(account, variant(account)))
    account.endpoint(name)
    account.sagemaker.delete_endpoint(EndpointName=name)
    details: list[dict[str, Any]] = []

    def look() -> bool:
        for event in more():
            if event["detail"].get("EndpointName") == name:
                kind, detail = event["detail-type"], event["detail"]
                steps = detail.get("PendingDeploymentSummary", {}).get("ProductionVariants", [{}])[0]
                status = [step["Status"] for step in steps.get("VariantStatus", [])]
                told.append((kind, detail["EndpointStatus"], status[0] if status else None))
                details.append(detail)
        return ("SageMaker Endpoint State Change", "DELETING", None) in told

    until(look)
    states = [status for kind, status, _ in told if kind == "SageMaker Endpoint State Change"]
    assert states == ["CREATING", "IN_SERVICE", "UPDATING", "IN_SERVICE", "DELETING"]
    steps = [step for kind, status, step in told if kind.startswith("SageMaker Endpoint Dep") and status == "UPDATING"]
    assert steps == ["Creating", "ActivatingTraffic", "Deleting"]
    assert details[0]["Tags"] == {"team": "nlp"}
    assert isinstance(details[0]["CreationTime"], int)


def test_endpoints_configurations_and_models_are_found_by_every_filter(account: Account) -> None:
    sagemaker, prefix = account.sagemaker, new_name("listed")
    names = [f"{prefix}-{letter}" for letter in "bca"]
    model = account.model()
    one = {"VariantName": "A", "ModelName": model, "InstanceType": "ml.m5.large", "InitialInstanceCount": 1}
    container = sagemaker.describe_model(ModelName=model)["PrimaryContainer"]
    for name in names:
        sagemaker.create_model(ModelName=name, PrimaryContainer=container, ExecutionRoleArn=account.role)
        sagemaker.create_endpoint_config(EndpointConfigName=name, ProductionVariants=[one])
        sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=name)
        account.endpoint(name)
    lists = [
        (sagemaker.list_models, "Models", "ModelName"),
        (sagemaker.list_endpoint_configs, "EndpointConfigs", "EndpointConfigName"),
        (sagemaker.list_endpoints, "Endpoints", "EndpointName"),
    ]
    hour = timedelta(hours=1)
    for operation, key, named in lists:

        def found(operation: Any = operation, key: str = key, named: str = named, **filters: Any) -> list[str]:
            return [item[named] for item in operation(NameContains=prefix.upper(), **filters)[key]]

        assert found() == names[::-1], "the latest first"
        assert found(SortOrder="Ascending") == names
        assert found(SortBy="Name", SortOrder="Ascending") == sorted(names)
        assert found(CreationTimeAfter=datetime.now(UTC) + hour) == []
        assert found(CreationTimeBefore=datetime.now(UTC) + hour, CreationTimeAfter=datetime.now(UTC) - hour) != []
        first = operation(NameContains=prefix, MaxResults=2)
        rest = operation(NameContains=prefix, MaxResults=2, NextToken=first["NextToken"])
        assert [item[named] for item in first[key] + rest[key]] == names[::-1]
    sagemaker.delete_endpoint(EndpointName=names[0])
    until(lambda: gone(account, names[0]))
    listed = sagemaker.list_endpoints(NameContains=prefix, StatusEquals="InService", SortBy="Status")["Endpoints"]
    assert {item["EndpointName"] for item in listed} == set(names[1:])
    assert sagemaker.list_endpoints(NameContains=prefix, StatusEquals="Failed")["Endpoints"] == []
    assert sagemaker.list_endpoints(LastModifiedTimeAfter=datetime.now(UTC) + hour)["Endpoints"] == []


def test_an_endpoint_that_is_being_updated_is_neither_deleted_nor_updated(account: Account) -> None:
    name = serve(account, variant(account))
    config = configure(account, variant(account, environment={"HEALTHY": "no"}))
    slow = configure(account, variant(account, environment={"HEALTHY": "no"}))
    account.sagemaker.update_endpoint(EndpointName=name, EndpointConfigName=config)
    for operation, more in (("update_endpoint", {"EndpointConfigName": slow}), ("delete_endpoint", {})):
        words = refused(getattr(account.sagemaker, operation), EndpointName=name, **more)
        assert words == f'Cannot update in-progress endpoint "{describe(account, name)["EndpointArn"]}".'
    container = {"Image": "nothing"}
    assert "Cannot create already existing endpoint " in refused(
        account.sagemaker.create_endpoint, EndpointName=name, EndpointConfigName=config
    )
    assert "is not implemented by the embedded cloud" in refused(
        account.sagemaker.create_model,
        ModelName="x",
        Containers=[container, container],
        ExecutionRoleArn=account.role,
    )


@looks_at_processes
def test_an_instance_that_dies_under_load_is_replaced_while_the_other_answers(account: Account) -> None:
    name = serve(account, variant(account, instances=2))
    before, ending, answers = pids(account, name, 4), threading.Event(), Counter[str]()

    def ask_on() -> None:
        while not ending.is_set():
            try:
                account.ask(name)
                answers["well"] += 1
            except ClientError as error:
                answers[error.response["Error"]["Code"]] += 1

    threads = [threading.Thread(target=ask_on) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        assert asked_to_die(account, name) == "ModelError"
        until(lambda: len(pids(account, name, 6) - before) == 1)
    finally:
        ending.set()
        for thread in threads:
            thread.join()
    assert answers["well"] > 10
    # Only what was under way on the instance that died, and on each thread no more than what met its end, is lost.
    assert answers["ModelError"] <= 2 * len(threads)


def asked_to_die(account: Account, endpoint: str) -> str:
    try:
        account.ask(endpoint, b"die")
    except ClientError as error:
        return str(error.response["Error"]["Code"])
    return ""


@meet_in_a_file
def test_an_instance_is_tried_again_when_its_replacement_fails_at_first(account: Account, tmp_path: Any) -> None:
    times = tmp_path / "times"
    environment = {"TIMES": str(times), "AT_MOST": "1"}
    name = serve(account, variant(account, environment=environment))
    pid = account.ask(name)["instance"]
    asked_to_die(account, name)
    until(lambda: times.stat().st_size >= 3)
    times.write_bytes(b"")  # from now on it can start

    def answer() -> Any:
        try:
            return account.ask(name)
        except ClientError:
            return None

    assert until(answer)["instance"] != pid


def test_a_request_under_way_is_answered_before_its_instance_ends(account: Account) -> None:
    name, answers = serve(account, variant(account, greeting="old")), list[str]()
    asking = threading.Thread(target=lambda: answers.append(account.ask(name, b"think")["greeting"]))
    asking.start()
    config = configure(account, variant(account, greeting="new"))
    account.sagemaker.update_endpoint(EndpointName=name, EndpointConfigName=config)
    account.endpoint(name)
    asking.join()
    assert answers == ["old"]


def test_a_model_that_takes_too_long_to_download_fails_the_endpoint(
    account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = account.put("slow/model.tar.gz", model_archive(words=b"the"))
    one = variant(account, ModelDataDownloadTimeoutInSeconds=60)
    one["ModelName"] = account.model(data=data)
    name = new_name("endpoint")
    config = configure(account, one)
    blocks = Objects.blocks

    def slowly(*arguments: Any) -> Iterator[bytes]:
        for block in blocks(*arguments):
            time.sleep(0.8)
            yield block

    monkeypatch.setattr(Objects, "blocks", slowly)
    account.sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=config)
    description = account.endpoint(name)
    assert description["EndpointStatus"] == "Failed"
    assert description["FailureReason"] == f"{data}: it was not downloaded within ModelDataDownloadTimeoutInSeconds=60."
