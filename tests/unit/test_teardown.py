"""What belongs to a deployment, what is an orphan, and what becomes of what cannot be deleted."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import requests
from botocore.exceptions import ClientError
from moto.server import ThreadedMotoServer

from containers.catalogue import algorithms
from kindling.cli import teardown as cli
from kindling.errors import UserError
from kindling.targets import EmbeddedTarget
from kindling.teardown import account, data, executions, made, orphans, ownership, plan, removal, stacks
from kindling.teardown.attempts import Attempts, Failure
from kindling.teardown.made import Thing
from kindling.teardown.ownership import Ownership
from kindling.teardown.stacks import Holding
from stacks.constructs import training_pipeline
from stacks.settings import Settings

pytestmark = pytest.mark.wide

OURS = Ownership("kindling", "Kindling", ("blazingtext", "gluon-fasttext"))


@pytest.mark.parametrize(
    ("name", "whose"),
    [
        ("kindling-blazingtext-words-1a2b3c4d", True),
        ("kindling-experiment-words-arm-0-1a2b3c4d", True),
        ("kindling-gluon-fasttex-0123456", True),  # a tuning job's
        ("kindling-dev-blazingtext-words-1a2b3c4d", False),
        ("kindling-blazingtexts", False),
        ("by-hand", False),
    ],
)
def test_names_tell_what_is_of_a_deployment(name: str, *, whose: bool) -> None:
    assert OURS.named(name) is whose


@pytest.mark.parametrize("name", [*algorithms()])
def test_every_name_that_a_pipeline_gives_is_known_and_its_algorithm_in_it(name: str) -> None:
    settings = Settings(name="a-longer-name")
    prefix = training_pipeline.name_prefix(settings, algorithms()[name])
    tuning = f"{prefix[: training_pipeline._TUNING_PREFIX]}-"
    found = Ownership("a-longer-name", "ALongerName", tuple(one.replace("_", "-") for one in algorithms()))
    assert found.named(f"{prefix}-run-12345678-0")
    assert found.named(f"{tuning}123456789")
    assert prefix in found.pipelines
    assert found.algorithm_of(f"{prefix}-run-12345678-0") == name.replace("_", "-")


@pytest.mark.parametrize(
    ("stack", "whose"),
    [
        ("KindlingStorage", True),
        ("KindlingAccount", False),
        ("KindlingDevStorage", False),
        ("Kindling2Storage", False),
        ("CDKToolkit", False),
    ],
)
def test_stacks_of_other_deployments_and_of_the_account_are_not_taken(stack: str, *, whose: bool) -> None:
    assert OURS.stack(stack) is whose


def test_every_stack_of_the_app_has_a_name_that_teardown_knows() -> None:
    source = (Path(__file__).resolve().parents[2] / "app.py").read_text(encoding="utf-8")
    names = re.findall(r'named\("(\w+)"\)', source)
    assert len(names) >= 7
    assert [name for name in names if not OURS.stack(f"Kindling{name}")] == []


@pytest.mark.parametrize(
    ("run", "experiment", "is_arm"),
    [
        ("air-1a2b-arm-0", "air-1a2b", True),
        ("air-1a2b-arm-10", "air-1a2b", True),
        ("air-1a2b", "air-1a2b", False),
        ("air-1a2b-arm-0", "air", False),
        (f"{'x' * 73}-arm-12", "x" * 80, True),
        (f"{'x' * 74}-arm-1", "x" * 80, True),
        (f"{'x' * 20}-arm-1", "x" * 80, False),
    ],
)
def test_an_arm_is_told_by_its_experiments_name(run: str, experiment: str, *, is_arm: bool) -> None:
    assert executions.is_arm_of(run, experiment) is is_arm


def silent(_text: str) -> None:
    """Tells nobody."""


class Refusing:
    """A SageMaker whose model cannot be deleted, and whose jobs are gone when they are to be stopped."""

    def delete_model(self, **request: str) -> None:
        raise ClientError({"Error": {"Code": "AccessDenied", "Message": f"{request['ModelName']}: no."}}, "DeleteModel")

    def delete_endpoint_config(self, **_request: str) -> None:
        raise ClientError({"Error": {"Code": "ValidationException", "Message": "Could not find it."}}, "Delete")


class Target:
    """A target of one client."""

    kind = "embedded"
    state = Path()

    def __init__(self, client: Any) -> None:
        self._client = client

    def client(self, service: str) -> Any:
        return self._client


def test_what_cannot_be_deleted_is_noted_and_the_rest_goes_on_and_what_is_gone_is_fine() -> None:
    attempts = Attempts(Target(Refusing()), silent)  # type: ignore[arg-type]
    attempts.end(OURS, [Thing(kind="model", name="one"), Thing(kind="model", name="two")])
    attempts.end(OURS, [Thing(kind="endpoint configuration", name="gone")])
    assert attempts.failures == [Failure("model", "one", "one: no"), Failure("model", "two", "two: no")]


class Stuck:
    """A SageMaker whose endpoint is never done with being made."""

    def get_paginator(self, operation: str) -> Any:
        listed = {"EndpointName": "words", "EndpointArn": "arn", "CreationTime": None}
        answers = {
            "list_endpoints": {"Endpoints": [listed]},
            "list_tags": {"Tags": [{"Key": "kindling:algorithm", "Value": "blazingtext"}]},
        }

        class Pages:
            def paginate(self, **_request: str) -> Iterator[Any]:
                yield answers[operation]

        return Pages()

    def describe_endpoint(self, **_request: str) -> dict[str, str]:
        return {"EndpointStatus": "Creating", "EndpointConfigName": "kindling-blazingtext-words-1"}


def test_an_endpoint_that_stays_in_motion_is_a_failure_and_not_waited_for_for_ever() -> None:
    target = Target(Stuck())
    found = made.find(target, OURS, [made.ENDPOINT])  # type: ignore[arg-type]
    attempts = Attempts(target, silent, longest_s=0)  # type: ignore[arg-type]
    attempts.end(OURS, found)
    assert [(one.name, one.reason) for one in attempts.failures] == [("words", "it is still Creating after 0 minutes")]


@pytest.fixture
def target(tmp_path: Path) -> Iterator[EmbeddedTarget]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    names = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_REGION": "us-east-1"}
    requests.post(f"http://{host}:{port}/moto-api/reset", timeout=10)  # other tests use the same moto
    yield EmbeddedTarget(state=tmp_path, endpoint_url=f"http://{host}:{port}", environment=names)
    requests.post(f"http://{host}:{port}/moto-api/reset", timeout=10)
    server.stop()


def test_a_bucket_is_deleted_with_every_version_delete_marker_and_unfinished_upload(target: EmbeddedTarget) -> None:
    s3 = target.client("s3")
    s3.create_bucket(Bucket="full")
    s3.put_bucket_versioning(Bucket="full", VersioningConfiguration={"Status": "Enabled"})
    for number in range(3):
        s3.put_object(Bucket="full", Key="key", Body=b"x" * number)
    s3.delete_object(Bucket="full", Key="key")
    s3.create_multipart_upload(Bucket="full", Key="unfinished")
    bucket = data.DATA[data.BUCKET]
    assert bucket.look(target, "full") == "3 objects, old versions included, 0.0 MB: 0.023 USD a GB and month"
    bucket.delete(target, "full")
    assert bucket.look(target, "full") is None
    assert s3.list_buckets()["Buckets"] == []


def test_a_key_is_to_be_deleted_in_thirty_days_and_counts_as_gone_then(target: EmbeddedTarget) -> None:
    kms = target.client("kms")
    key = kms.create_key()["KeyMetadata"]["KeyId"]
    kind = data.DATA[data.KEY]
    assert str(kind.look(target, key)).startswith("1 USD a month")
    kind.delete(target, key)
    described = kms.describe_key(KeyId=key)["KeyMetadata"]
    assert described["KeyState"] == "PendingDeletion"
    assert kind.look(target, key) is None


def test_in_aws_data_that_a_stack_would_destroy_is_not_lost_without_a_word(
    target: EmbeddedTarget, monkeypatch: pytest.MonkeyPatch
) -> None:
    target.client("s3").create_bucket(Bucket="mine")
    held = {Holding(data.BUCKET, "mine", "KindlingStorage", retained=False, live=True)}
    aws = Target(target.client("s3"))
    monkeypatch.setattr(aws, "kind", "aws", raising=False)
    # Empty: nothing is lost.
    plan._refuse_to_lose(aws, held, include_data=False)  # type: ignore[arg-type]
    target.client("s3").put_object(Bucket="mine", Key="a", Body=b"a")
    with pytest.raises(Exception, match=r"mine would go with its stack .* is not empty; add --include-data"):
        plan._refuse_to_lose(aws, held, include_data=False)  # type: ignore[arg-type]
    plan._refuse_to_lose(aws, held, include_data=True)  # type: ignore[arg-type]


def test_rules_and_schedules_of_a_pipelines_name_are_found_and_deleted(target: EmbeddedTarget) -> None:
    events, scheduler = target.client("events"), target.client("scheduler")
    for name in ("kindling-blazingtext-nightly", "kindling-dev-blazingtext-nightly"):
        events.put_rule(Name=name, ScheduleExpression="rate(1 day)")
        events.put_targets(Rule=name, Targets=[{"Id": "1", "Arn": "arn:aws:sqs:us-east-1:123456789012:queue"}])
        scheduler.create_schedule(
            Name=name,
            ScheduleExpression="rate(1 day)",
            FlexibleTimeWindow={"Mode": "OFF"},
            Target={"Arn": "arn:aws:sqs:us-east-1:123456789012:queue", "RoleArn": "arn:aws:iam::123456789012:role/r"},
        )
    attempts = Attempts(target, silent)
    for kind in (made.SCHEDULE, made.RULE):
        attempts.end(OURS, made.find(target, OURS, [kind]))
    assert attempts.failures == []
    assert [rule["Name"] for rule in events.list_rules()["Rules"]] == ["kindling-dev-blazingtext-nightly"]
    assert [one["Name"] for one in scheduler.list_schedules()["Schedules"]] == ["kindling-dev-blazingtext-nightly"]


def test_the_deployment_is_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KINDLING_ENVIRONMENT", "dev")
    found = ownership.ownership()
    assert (found.name, found.prefix) == ("kindling", "Kindling")
    assert json.dumps(found.pipelines).count("kindling-") == len(algorithms())


NOW = datetime.now(UTC)
TAGS = {"kindling:algorithm": "blazingtext"}


class Known(executions.Machines):
    """A pipeline whose state machine is ten days old, the ends of its runs, and what runs."""

    def running(self, _target: object) -> list[executions.Execution]:
        return [
            executions.Execution("busy", "arn", "blazingtext"),
            executions.Execution("air", "arn", None),
        ]

    def status(self, _target: object, _algorithm: str, run: str) -> str | None:
        return {"good": "SUCCEEDED", "busy": "RUNNING", "broken": "ABORTED"}.get(run)

    def made_at(self, _target: object, _algorithm: str) -> datetime:
        return NOW - timedelta(days=10)


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> orphans._Runs:
    known = Known({"blazingtext": "arn:machine"}, "arn:experiments")
    monkeypatch.setattr(executions.Machines, "of", lambda *_: known)
    return orphans._Runs(Target(None), OURS)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("first", "latest", "days", "algorithm", "reason"),
    [
        ("good", "good", 1, "blazingtext", None),
        ("busy", "busy", 0, "blazingtext", None),
        # An update that was broken off leaves an endpoint that somebody may use.
        ("good", "broken", 1, "blazingtext", None),
        ("broken", "good", 1, "blazingtext", None),
        ("broken", "broken", 1, "blazingtext", "was left by run broken, which ended as ABORTED"),
        ("never", "never", 1, "blazingtext", "bears the tag of run never, which there is not"),
        # The state machine, or Step Functions, need not know so old a run.
        ("never", "never", 11, "blazingtext", None),
        ("good", "good", 1, "gluon_fasttext", "was left by run good, whose pipeline is not deployed"),
    ],
)
def test_an_endpoint_is_an_orphan_only_when_no_run_of_it_can_have_succeeded(
    runs: orphans._Runs, first: str, latest: str, days: int, algorithm: str, reason: str | None
) -> None:
    endpoint = Thing(kind="endpoint", name="words", created=NOW - timedelta(days=days))
    tags = [{"kindling:algorithm": algorithm, "kindling:run": run} for run in (first, latest)]
    assert runs.unwanted(endpoint, tags) == reason


@pytest.mark.parametrize(
    ("name", "tags", "reason"),
    [
        ("kindling-blazingtext-a", {**TAGS, "kindling:run": "busy"}, None),
        ("kindling-blazingtext-a", {**TAGS, "kindling:run": "good"}, "was left by run good, which ended as SUCCEEDED"),
        ("kindling-blazingtext-a", {**TAGS, "kindling:run": "never"}, "was left by run never, which there is not"),
        ("kindling-blazingtext-a", {}, "bears the tag of no run"),
        ("kindling-experiment-air-arm-0", {**TAGS, "kindling:run": "air-arm-0"}, None),
        ("kindling-experiment-air-arm-0", {}, None),
        (
            "kindling-experiment-sea-arm-0",
            {**TAGS, "kindling:run": "sea-arm-0"},
            "was left by an experiment that has ended",
        ),
    ],
)
def test_a_run_that_runs_has_use_for_what_it_made(
    runs: orphans._Runs, name: str, tags: dict[str, str], reason: str | None
) -> None:
    assert runs.over(Thing(kind="model", name=name), tags) == reason


def empty_plan(**changes: Any) -> plan.Plan:
    nothing: dict[str, Any] = {
        **dict.fromkeys((field.name for field in fields(plan.Plan)), ()),
        "ours": OURS,
        "include_data": True,
        "stacks": (stacks.Stack("KindlingStorage", "arn", protected=False),),
        "job_logs": {},
    }
    return plan.Plan(**(nothing | changes))


def test_the_rules_of_the_stacks_start_nothing_more(target: EmbeddedTarget) -> None:
    rule = {"Type": "AWS::Events::Rule", "Properties": {"Name": "nightly", "ScheduleExpression": "rate(1 day)"}}
    for stack, name in (("KindlingTriggers", "nightly"), ("KindlingDevTriggers", "theirs")):
        rule["Properties"]["Name"] = name  # type: ignore[index]
        template = json.dumps({"Resources": {"Nightly": rule}})
        target.client("cloudformation").create_stack(StackName=stack, TemplateBody=template)
    attempts = Attempts(target, silent)
    removal._stop_triggers(target, empty_plan(), attempts)
    assert attempts.failures == []
    states = {one["Name"]: one["State"] for one in target.client("events").list_rules()["Rules"]}
    assert states == {"nightly": "DISABLED", "theirs": "ENABLED"}


def test_what_an_account_has_once_stays_while_others_have_stacks(target: EmbeddedTarget) -> None:
    topic = json.dumps({"Resources": {"Topic": {"Type": "AWS::SNS::Topic"}}})
    cloudformation = target.client("cloudformation")
    for name in ("CDKToolkit", "KindlingStorage", "kindling-deployment-policies"):
        cloudformation.create_stack(StackName=name, TemplateBody=topic)
    account.require_alone(target, OURS)
    cloudformation.create_stack(StackName="Payroll", TemplateBody=topic)
    with pytest.raises(UserError, match=r"^nothing was deleted: Payroll may need CDKToolkit .*; leave out --account"):
        account.require_alone(target, OURS)


def test_the_stacks_stay_while_something_is_left_that_may_need_their_roles(
    target: EmbeddedTarget, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_target: object, thing: Thing) -> None:
        raise ClientError({"Error": {"Code": "AccessDenied", "Message": f"Not {thing.name}."}}, "DeleteModel")

    left = made.Kind(
        title="model", cost="nothing", find=lambda *_: iter([Thing(kind="model", name="stuck")]), delete=refuse
    )
    destroyed: list[object] = []
    monkeypatch.setattr(made, "KINDS", (left,))
    monkeypatch.setattr("kindling.teardown.attempts.BY_TITLE", {"model": left})
    monkeypatch.setattr("kindling.deployment.destroy", lambda *arguments: destroyed.append(arguments))
    failures = removal.remove(target, empty_plan(), {}, silent)
    assert failures == [Failure("model", "stuck", "Not stuck")]
    assert destroyed == []
    with pytest.raises(UserError, match=r"^not all could be deleted: model stuck: Not stuck. What comes after it"):
        cli._raise(failures)
    monkeypatch.setattr(made, "KINDS", ())
    assert removal.remove(target, empty_plan(), {}, silent) == []
    assert len(destroyed) == 1


@pytest.mark.parametrize(
    ("changes", "question"),
    [
        ({}, "Delete all listed above, DATA INCLUDED, in the cloud?"),
        ({"include_data": False}, "Delete all listed above in the cloud?"),
        (
            {
                "include_data": False,
                "executions": (executions.Execution("busy", "arn", None),),
                "things": (Thing(kind="endpoint", name="words"), Thing(kind="model", name="a")),
            },
            "Stop busy, delete endpoint words, and delete all else listed above in the cloud?",
        ),
    ],
)
def test_the_question_names_what_runs_and_what_serves(changes: dict[str, Any], question: str) -> None:
    assert cli._question(empty_plan(**changes), "the cloud") == question
