"""What starts by itself: objects that arrive, times, and what becomes of a start that fails."""

from __future__ import annotations

import io
import json
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from kindling.localcloud import lifecycle
from kindling.localcloud.cloud import ACCOUNT_ID, REGION, Cloud
from kindling.localcloud.schedule_expressions import BadExpressionError, next_time
from kindling.ports import free_port
from tests.localcloud.conftest import ROLE, client_of

NOW = datetime(2026, 11, 29, 14, 12, 30, tzinfo=UTC)  # a Sunday
PASS = json.dumps({"StartAt": "Say", "States": {"Say": {"Type": "Pass", "End": True}}})
BRIDGE = {"EventBridgeConfiguration": {}}


class Heard:
    """A bucket that tells EventBridge of its objects, a rule for some of them, and what the rule started."""

    def __init__(self, aws: Callable[[str], Any], name: str) -> None:
        self.aws, self.name = aws, name
        self.s3, self.states = aws("s3"), aws("stepfunctions")
        self.s3.create_bucket(Bucket=name)
        self.s3.put_bucket_notification_configuration(Bucket=name, NotificationConfiguration=BRIDGE)
        machine = self.states.create_state_machine(name=name, definition=PASS, roleArn=ROLE)
        self.machine = machine["stateMachineArn"]

    def rule(self, key: list[Any], target: dict[str, Any], **more: Any) -> None:
        detail = {"bucket": {"name": [self.name]}, "object": {"key": key}, **more}
        pattern = {"source": ["aws.s3"], "detail-type": ["Object Created"], "detail": detail}
        self.aws("events").put_rule(Name=self.name, EventPattern=json.dumps(pattern))
        self.aws("events").put_targets(Rule=self.name, Targets=[{"Id": "1", "Arn": self.machine, **target}])

    def put(self, key: str, body: bytes = b"text") -> None:
        self.s3.put_object(Bucket=self.name, Key=key, Body=body)

    def inputs(self) -> list[Any]:
        """The inputs of the executions so far, in order."""
        found = self.states.list_executions(stateMachineArn=self.machine)["executions"]
        described = [self.states.describe_execution(executionArn=one["executionArn"]) for one in found]
        return [json.loads(one["input"]) for one in sorted(described, key=lambda one: one["startDate"])]

    def remove(self) -> None:
        self.aws("events").remove_targets(Rule=self.name, Ids=["1"])
        self.aws("events").delete_rule(Name=self.name)


@pytest.fixture
def heard(aws: Callable[[str], Any], request: pytest.FixtureRequest) -> Iterator[Heard]:
    found = Heard(aws, request.node.name.replace("_", "-")[5:60].strip("-"))
    yield found
    found.remove()


def test_an_object_that_arrives_starts_a_state_machine_with_its_key(heard: Heard) -> None:
    template = '{"train": "s3://data/<key>", "name": <key>, "endpoint": null}'
    transformer = {"InputPathsMap": {"key": "$.detail.object.key"}, "InputTemplate": template}
    heard.rule(["in/_SUCCESS", {"wildcard": "in/*/_SUCCESS"}], {"InputTransformer": transformer})
    for key in ("in/part-0", "out/_SUCCESS", "in/day 1/_SUCCESS", "in/_SUCCESS", "in/not_SUCCESS"):
        heard.put(key)
    assert heard.inputs() == [
        {"train": f"s3://data/{key}", "name": key, "endpoint": None} for key in ("in/day 1/_SUCCESS", "in/_SUCCESS")
    ]


def test_events_of_objects_have_the_service_s_form(heard: Heard) -> None:
    heard.s3.put_bucket_versioning(Bucket=heard.name, VersioningConfiguration={"Status": "Enabled"})
    heard.rule([{"prefix": "in/"}], {})
    heard.put("in/a", b"four")
    heard.s3.copy_object(Bucket=heard.name, Key="in/b", CopySource={"Bucket": heard.name, "Key": "in/a"})
    upload = {"Bucket": heard.name, "Key": "in/c"}
    part = heard.s3.create_multipart_upload(**upload)
    given = {**upload, "UploadId": part["UploadId"]}
    etag = heard.s3.upload_part(**given, PartNumber=1, Body=io.BytesIO(b"part"))["ETag"]
    heard.s3.complete_multipart_upload(**given, MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": etag}]})

    events = heard.inputs()
    assert [event["detail"]["object"]["key"] for event in events] == ["in/a", "in/b", "in/c"]
    assert [event["detail"]["reason"] for event in events] == ["PutObject", "CopyObject", "CompleteMultipartUpload"]
    assert len({event["id"] for event in events}) == 3
    sequencers = [event["detail"]["object"]["sequencer"] for event in events]
    assert sequencers == sorted(set(sequencers))
    head = heard.s3.head_object(Bucket=heard.name, Key="in/a")
    object_ = events[0]["detail"]["object"]
    assert (object_["size"], object_["version-id"]) == (4, head["VersionId"])
    assert object_["etag"] == head["ETag"].strip('"')
    assert events[0]["resources"] == [f"arn:aws:s3:::{heard.name}"]
    assert (events[0]["account"], events[0]["region"]) == (ACCOUNT_ID, REGION)


def test_a_deleted_object_is_told_of_too(heard: Heard) -> None:
    pattern = {"source": ["aws.s3"], "detail-type": ["Object Deleted"], "detail": {"bucket": {"name": [heard.name]}}}
    heard.aws("events").put_rule(Name=heard.name, EventPattern=json.dumps(pattern))
    heard.aws("events").put_targets(Rule=heard.name, Targets=[{"Id": "1", "Arn": heard.machine}])
    heard.put("a")
    heard.s3.delete_object(Bucket=heard.name, Key="a")
    heard.s3.put_bucket_versioning(Bucket=heard.name, VersioningConfiguration={"Status": "Enabled"})
    heard.put("b")
    heard.s3.delete_object(Bucket=heard.name, Key="b")
    versions = heard.s3.list_object_versions(Bucket=heard.name)
    for found in (
        *versions["Versions"],
        *versions["DeleteMarkers"],
    ):  # the marker last: it has no size
        heard.s3.delete_object(Bucket=heard.name, Key="b", VersionId=found["VersionId"])
    details = [event["detail"] for event in heard.inputs()]
    assert [detail["object"]["key"] for detail in details] == ["a", "b"]
    assert {detail["deletion-type"] for detail in details} == {"Permanently Deleted"}
    assert "Versions" not in heard.s3.list_object_versions(Bucket=heard.name)


def test_a_bucket_tells_only_while_it_is_switched_on_and_shows_whether_it_is(heard: Heard) -> None:
    heard.rule([{"prefix": "in/"}], {})
    assert heard.s3.get_bucket_notification_configuration(Bucket=heard.name)["EventBridgeConfiguration"] == {}
    heard.s3.put_bucket_notification_configuration(Bucket=heard.name, NotificationConfiguration={})
    assert "EventBridgeConfiguration" not in heard.s3.get_bucket_notification_configuration(Bucket=heard.name)
    heard.put("in/a")
    assert heard.inputs() == []


def test_a_start_that_fails_is_a_dead_letter_with_its_reason_and_sets_off_an_alarm(heard: Heard) -> None:
    sqs, cloudwatch = heard.aws("sqs"), heard.aws("cloudwatch")
    queue = sqs.create_queue(QueueName=heard.name[:60])["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    cloudwatch.put_metric_alarm(
        AlarmName=heard.name,
        Namespace="AWS/Events",
        MetricName="InvocationsSentToDlq",
        Dimensions=[{"Name": "RuleName", "Value": heard.name}],
        Statistic="Sum",
        Period=60,
        EvaluationPeriods=1,
        Threshold=1,
        ComparisonOperator="GreaterThanOrEqualToThreshold",
        TreatMissingData="notBreaching",
    )
    heard.rule([{"prefix": "in/"}], {"DeadLetterConfig": {"Arn": arn}})
    heard.states.delete_state_machine(stateMachineArn=heard.machine)

    heard.put("in/a")  # which succeeds

    (message,) = sqs.receive_message(QueueUrl=queue, MessageAttributeNames=["All"])["Messages"]
    assert json.loads(message["Body"])["detail"]["object"]["key"] == "in/a"
    told = {name: value["StringValue"] for name, value in message["MessageAttributes"].items()}
    assert told["RULE_ARN"].endswith(f"rule/{heard.name}")
    assert (told["TARGET_ARN"], told["ERROR_CODE"]) == (heard.machine, "StateMachineDoesNotExist")
    deadline = time.monotonic() + 15
    while cloudwatch.describe_alarms(AlarmNames=[heard.name])["MetricAlarms"][0]["StateValue"] != "ALARM":
        assert time.monotonic() < deadline
        time.sleep(0.2)


def test_a_queue_is_sent_what_the_target_s_input_says(heard: Heard) -> None:
    sqs = heard.aws("sqs")
    options = {"FifoQueue": "true", "ContentBasedDeduplication": "true"}
    queue = sqs.create_queue(QueueName=f"{heard.name[:60]}.fifo", Attributes=options)["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    heard.rule([{"prefix": "in/"}], {"Arn": arn, "Input": '{"a": 1}', "SqsParameters": {"MessageGroupId": "g"}})
    heard.put("in/a")
    (message,) = sqs.receive_message(QueueUrl=queue, AttributeNames=["MessageGroupId"])["Messages"]
    assert (json.loads(message["Body"]), message["Attributes"]["MessageGroupId"]) == ({"a": 1}, "g")


@pytest.mark.parametrize(
    ("expression", "due"),
    [
        ("rate(5 minutes)", "2026-11-29T14:17:30"),
        ("rate(1 hour)", "2026-11-29T15:12:30"),
        ("rate(2 days)", "2026-12-01T14:12:30"),
        ("cron(13 14 * * ? *)", "2026-11-29T14:13:00"),
        ("cron(12 14 * * ? *)", "2026-11-30T14:12:00"),
        ("cron(0/20 * * * ? *)", "2026-11-29T14:20:00"),
        ("cron(10,50 9-17/4 * * ? *)", "2026-11-29T17:10:00"),
        ("cron(0 9 ? * MON-FRI *)", "2026-11-30T09:00:00"),
        ("cron(0 9 ? * FRI-SUN *)", "2026-12-04T09:00:00"),
        ("cron(15 10 ? * 6L 2026-2028)", "2026-12-25T10:15:00"),
        ("cron(0 9 ? * MON#2 *)", "2026-12-14T09:00:00"),
        ("cron(0 9 ? * L *)", "2026-12-05T09:00:00"),
        ("cron(0 9 L * ? *)", "2026-11-30T09:00:00"),
        ("cron(0 9 LW JAN ? *)", "2027-01-29T09:00:00"),
        ("cron(0 9 1W 8 ? *)", "2027-08-02T09:00:00"),
        ("cron(0 9 31W 1 ? *)", "2027-01-29T09:00:00"),
        ("cron(0 9 15W 1 ? *)", "2027-01-15T09:00:00"),
        ("cron(0 0 29 2 ? *)", "2028-02-29T00:00:00"),
        ("cron(0 0 1 1 ? 2020)", None),
        ("cron(0 0 30 2 ? *)", None),
    ],
)
def test_a_schedule_s_next_time(expression: str, due: str | None) -> None:
    expected = datetime.fromisoformat(due).replace(tzinfo=UTC) if due else None
    assert next_time(expression, NOW) == expected


@pytest.mark.parametrize(
    "expression",
    [
        *("rate(1 days)", "rate(2 day)", "rate(0 days)", "rate(1 week)", "every day"),
        *("cron(60 3 * * ? *)", "cron(0 24 * * ? *)", "cron(0 3 * * * *)", "cron(0 3 ? * ? *)", "cron(0 3 * * ?)"),
        *("cron(0 3 ? * 8 *)", "cron(0 3 ? * MON#6 *)", "cron(0/0 3 * * ? *)", "cron(0 3 32W * ? *)"),
        *("cron(0 3 * FOO ? *)", "cron(0 3 1,L * ? *)", "cron(0 3 * * ? 1900)"),
    ],
)
def test_what_is_no_schedule_is_refused(expression: str, aws: Callable[[str], Any]) -> None:
    with pytest.raises(BadExpressionError):
        next_time(expression, NOW)
    with pytest.raises(ClientError, match=r"ScheduleExpression is not valid"):
        aws("events").put_rule(Name="never", ScheduleExpression=expression)


@pytest.fixture
def clock(tmp_path: Path) -> Iterator[Any]:
    """Look at the schedules at a time; gives the names of the rules that fired."""
    from moto.events.models import events_backends
    from moto.sqs.models import sqs_backends

    from kindling.localcloud.event_rules import Schedules

    queue = sqs_backends[ACCOUNT_ID][REGION].create_queue("by-the-clock", {})
    rules = events_backends[ACCOUNT_ID][REGION]
    schedules = Schedules(Cloud(state=tmp_path, port=0))
    made = []

    def look(now: datetime) -> list[str]:
        schedules.look(now)
        bodies = [json.loads(message.body) for message in queue._messages]
        queue._messages.clear()
        return [body["time"] for body in bodies]

    def make(expression: str) -> Any:
        made.append(f"rule-{len(made)}")
        rules.put_rule(made[-1], scheduled_expression=expression)
        rules.put_targets(made[-1], None, [{"Id": "1", "Arn": queue.queue_arn}])
        return rules.describe_rule(made[-1], None)

    look.make = make  # type: ignore[attr-defined]
    yield look
    for name in made:
        rules.remove_targets(name, None, ["1"])
        rules.delete_rule(name, None)


def test_cron_fires_at_its_time_once(clock: Any) -> None:
    clock.make("cron(0 3 * * ? *)")
    assert clock(NOW) == []
    assert clock(datetime(2026, 11, 30, 2, 59, 59, tzinfo=UTC)) == []
    assert clock(datetime(2026, 11, 30, 3, 0, 1, tzinfo=UTC)) == ["2026-11-30T03:00:00Z"]
    assert clock(datetime(2026, 11, 30, 3, 0, 2, tzinfo=UTC)) == []
    assert clock(datetime(2026, 12, 1, 3, 0, 0, tzinfo=UTC)) == ["2026-12-01T03:00:00Z"]


def test_a_rate_does_not_drift_and_what_was_missed_fires_once(clock: Any) -> None:
    clock.make("rate(1 hour)")
    assert clock(NOW) == []
    assert clock(NOW + timedelta(hours=1, minutes=10)) == ["2026-11-29T15:12:30Z"]
    assert clock(NOW + timedelta(hours=2)) == ["2026-11-29T16:12:30Z"]
    assert len(clock(NOW + timedelta(hours=9, minutes=30))) == 1
    assert clock(NOW + timedelta(hours=10)) == []
    assert len(clock(NOW + timedelta(hours=10, minutes=30))) == 1


def test_a_rule_that_is_switched_on_again_waits_for_its_next_time(clock: Any) -> None:
    rule = clock.make("rate(1 hour)")
    clock(NOW)
    rule.disable()
    assert clock(NOW + timedelta(hours=2)) == []
    rule.enable()
    assert clock(NOW + timedelta(hours=3)) == []
    assert len(clock(NOW + timedelta(hours=4))) == 1


@pytest.mark.slow
def test_rules_and_their_times_outlive_the_cloud(tmp_path: Path) -> None:
    cloud = lifecycle.up(tmp_path, free_port())
    try:
        before = Heard(lambda service: client_of(cloud, service), "outlive")
        before.rule([{"prefix": "in/"}], {"Input": '{"by": "object"}'})
        soon = datetime.now(UTC) + timedelta(seconds=75)
        events = client_of(cloud, "events")
        minute = f"cron({soon.minute} {soon.hour} * * ? *)"
        events.put_rule(Name="soon", ScheduleExpression=minute)
        events.put_targets(Rule="soon", Targets=[{"Id": "1", "Arn": before.machine, "Input": '{"by": "time"}'}])
        time.sleep(2)  # for a look at the schedules, and its being kept
        lifecycle.down(tmp_path)
        while datetime.now(UTC) < soon.replace(second=0):
            time.sleep(1)
        cloud = lifecycle.up(tmp_path, free_port())
        states = client_of(cloud, "stepfunctions")
        deadline = time.monotonic() + 20
        while not states.list_executions(stateMachineArn=before.machine)["executions"]:
            assert time.monotonic() < deadline, "the time that passed while there was no cloud"
            time.sleep(0.2)
        client_of(cloud, "s3").put_object(Bucket="outlive", Key="in/a", Body=b"a")
        found = states.list_executions(stateMachineArn=before.machine)["executions"]
        inputs = [states.describe_execution(executionArn=one["executionArn"])["input"] for one in found]
        assert sorted(inputs) == ['{"by": "object"}', '{"by": "time"}']
    finally:
        lifecycle.down(tmp_path)
