"""Rules of EventBridge reach functions, topics and state machines, and fire by time."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from kindling.localcloud.cloud import ACCOUNT_ID, REGION, Cloud
from tests.localcloud.conftest import ROLE

NOW = datetime(2026, 1, 1, tzinfo=UTC)
EVENT = {
    "version": "0",
    "id": "1",
    "detail-type": "Scan",
    "source": "test.scan",
    "account": ACCOUNT_ID,
    "time": NOW.timestamp(),
    "region": REGION,
    "resources": ["arn"],
    "detail": {"name": 'say "hi"', "counts": {"CRITICAL": 3}, "tags": ["a", "b"]},
    "ingestion-time": NOW.timestamp(),
}


@dataclass(frozen=True)
class Inbox:
    """A topic, and what it was sent."""

    topic: str
    queue: str
    sqs: Any
    received: list[Any] = field(default_factory=list)

    def __call__(self, expected: int, seconds: float = 15) -> list[Any]:
        """All messages until now, waited for as long as some of the expected number are missing."""
        deadline = time.monotonic() + seconds
        while len(self.received) < expected and time.monotonic() < deadline:
            for message in self.sqs.receive_message(QueueUrl=self.queue, MaxNumberOfMessages=10).get("Messages", []):
                self.received.append(json.loads(json.loads(message["Body"])["Message"]))
                self.sqs.delete_message(QueueUrl=self.queue, ReceiptHandle=message["ReceiptHandle"])
            time.sleep(0.05)
        return self.received


@pytest.fixture
def inbox(aws: Callable[[str], Any], request: pytest.FixtureRequest) -> Inbox:
    name = f"inbox-{request.node.name[:60]}"
    topic = aws("sns").create_topic(Name=name)["TopicArn"]
    queue = aws("sqs").create_queue(QueueName=name)["QueueUrl"]
    arn = aws("sqs").get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    aws("sns").subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)
    return Inbox(topic, queue, aws("sqs"))


@pytest.fixture
def rule(aws: Callable[[str], Any], request: pytest.FixtureRequest) -> Any:
    """Make a rule with targets; gives its name. It is removed in the end."""
    made: list[tuple[str, list[str]]] = []

    def make(*targets: dict[str, Any], **options: Any) -> str:
        name = f"{request.node.name[:50]}-{len(made)}"
        aws("events").put_rule(Name=name, **options)
        numbered = [{"Id": str(number), **target} for number, target in enumerate(targets)]
        aws("events").put_targets(Rule=name, Targets=numbered)
        made.append((name, [target["Id"] for target in numbered]))
        return name

    yield make
    for name, ids in made:
        aws("events").remove_targets(Rule=name, Ids=ids)
        aws("events").delete_rule(Name=name)


def put(aws: Callable[[str], Any], source: str, **detail: Any) -> None:
    entry = {"Source": source, "DetailType": "Scan", "Detail": json.dumps(detail), "Resources": ["arn:x"]}
    assert aws("events").put_events(Entries=[entry])["FailedEntryCount"] == 0


def pattern(source: str) -> str:
    return json.dumps({"source": [source], "detail": {"counts": {"CRITICAL": [{"numeric": [">", 0]}]}}})


def test_a_topic_is_sent_the_events_that_a_rule_asks_for(aws: Any, rule: Any, inbox: Inbox) -> None:
    rule({"Arn": inbox.topic}, EventPattern=pattern("test.topic"))
    for source, critical in (("test.topic", 0), ("test.other", 3), ("test.topic", 2)):
        put(aws, source, counts={"CRITICAL": critical})
    (event,) = inbox(1)
    assert event["detail"] == {"counts": {"CRITICAL": 2}}
    assert (event["source"], event["detail-type"], event["resources"]) == ("test.topic", "Scan", ["arn:x"])
    assert abs(datetime.fromisoformat(event["time"]) - datetime.now(UTC)) < timedelta(minutes=1)
    assert "ingestion-time" not in event
    assert len(inbox(2, seconds=0.5)) == 1


def test_a_function_is_invoked_with_a_filled_template(aws: Any, rule: Any, make_function: Any) -> None:
    aws("s3").create_bucket(Bucket="events-invoke")
    name = make_function(
        "import boto3, json\ndef handler(event, context):\n"
        "    boto3.client('s3').put_object(Bucket='events-invoke', Key='event', Body=json.dumps(event))\n"
    )
    transformer = {
        "InputPathsMap": {"at": "$.time", "n": "$.detail.counts.CRITICAL"},
        "InputTemplate": '{"at": <at>, "n": <n>}',
    }
    arn = f"arn:aws:lambda:{REGION}:{ACCOUNT_ID}:function:{name}"
    rule({"Arn": arn, "InputTransformer": transformer}, EventPattern=pattern("test.function"))
    put(aws, "test.function", counts={"CRITICAL": 7})
    aws("s3").get_waiter("object_exists").wait(
        Bucket="events-invoke", Key="event", WaiterConfig={"Delay": 1, "MaxAttempts": 20}
    )
    got = json.loads(aws("s3").get_object(Bucket="events-invoke", Key="event")["Body"].read())
    assert got["n"] == 7
    assert got["at"].endswith("Z")


def test_a_state_machine_is_started_with_its_constant_input(aws: Any, rule: Any) -> None:
    definition = json.dumps({"StartAt": "Say", "States": {"Say": {"Type": "Pass", "End": True}}})
    machine = aws("stepfunctions").create_state_machine(name="by-rule", definition=definition, roleArn=ROLE)
    arn = machine["stateMachineArn"]
    rule({"Arn": arn, "Input": '{"word": "hello"}'}, EventPattern=pattern("test.machine"))
    put(aws, "test.machine", counts={"CRITICAL": 1})
    deadline = time.monotonic() + 15
    while not (found := aws("stepfunctions").list_executions(stateMachineArn=arn)["executions"]):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    told = aws("stepfunctions").describe_execution(executionArn=found[0]["executionArn"])
    assert json.loads(told["input"]) == {"word": "hello"}


def test_a_target_that_is_gone_keeps_neither_the_others_nor_the_event_from_being_sent(
    aws: Any, rule: Any, inbox: Inbox
) -> None:
    gone = f"arn:aws:lambda:{REGION}:{ACCOUNT_ID}:function:gone"
    stream = f"arn:aws:kinesis:{REGION}:{ACCOUNT_ID}:stream/x"
    rule({"Arn": gone}, {"Arn": stream}, {"Arn": inbox.topic}, EventPattern=pattern("test.gone"))
    put(aws, "test.gone", counts={"CRITICAL": 1})
    assert len(inbox(1)) == 1


def test_neither_a_disabled_rule_nor_one_that_has_only_a_schedule_hears_events(
    aws: Any, rule: Any, inbox: Inbox
) -> None:
    rule({"Arn": inbox.topic}, EventPattern=pattern("test.quiet"), State="DISABLED")
    rule({"Arn": inbox.topic}, ScheduleExpression="rate(5 days)")
    put(aws, "test.quiet", counts={"CRITICAL": 1})
    assert inbox(1, seconds=0.5) == []


@pytest.mark.slow
def test_a_schedule_of_a_minute_fires_after_a_minute(aws: Any, rule: Any, inbox: Inbox) -> None:
    begun = time.monotonic()
    name = rule({"Arn": inbox.topic}, ScheduleExpression="rate(1 minute)")
    (event,) = inbox(1, seconds=75)
    assert 55 < time.monotonic() - begun < 75
    assert (event["source"], event["detail-type"], event["detail"]) == ("aws.events", "Scheduled Event", {})
    assert event["resources"] == [f"arn:aws:events:{REGION}:{ACCOUNT_ID}:rule/{name}"]


def test_schedules_fire_when_they_are_due_by_the_clock_that_is_given(tmp_path: Path) -> None:
    from moto.events.models import events_backends
    from moto.sqs.models import sqs_backends

    from kindling.localcloud.event_rules import Schedules

    rules, queues = events_backends[ACCOUNT_ID][REGION], sqs_backends[ACCOUNT_ID][REGION]
    queue = queues.create_queue("clock", {})
    for name, expression in (("hourly", "rate(1 hour)"), ("daily", "rate(2 days)")):
        rules.put_rule(name, scheduled_expression=expression)
        rules.put_targets(name, None, [{"Id": "1", "Arn": queue.queue_arn}])

    def fired() -> list[tuple[str, str]]:
        bodies = [json.loads(message.body) for message in queue._messages]
        queue._messages.clear()
        return [(body["resources"][0].rpartition("/")[2], body["time"]) for body in bodies]

    schedules = Schedules(Cloud(state=tmp_path, port=0))
    for minutes in (0, 59):
        schedules.look(NOW + timedelta(minutes=minutes))
    assert fired() == []
    schedules.look(NOW + timedelta(minutes=60, seconds=1))
    assert fired() == [("hourly", "2026-01-01T01:00:00Z")]
    schedules.look(NOW + timedelta(minutes=119))
    assert fired() == []
    # A change of the schedule begins anew; one that is disabled does not fire.
    rules.put_rule("hourly", scheduled_expression="rate(3 hours)")
    rules.put_targets("hourly", None, [{"Id": "1", "Arn": queue.queue_arn}])
    schedules.look(NOW + timedelta(hours=2))
    schedules.look(NOW + timedelta(hours=4, minutes=59))
    assert fired() == []
    schedules.look(NOW + timedelta(hours=5))
    assert [name for name, _ in fired()] == ["hourly"]
    rules.disable_rule("hourly", None)
    schedules.look(NOW + timedelta(days=2))
    assert [name for name, _ in fired()] == ["daily"]
    for name in ("hourly", "daily"):
        rules.remove_targets(name, None, ["1"])
        rules.delete_rule(name, None)


@pytest.mark.parametrize(
    ("target", "sent"),
    [
        ({"Input": '{"constant": true}'}, {"constant": True}),
        ({"InputPath": "$.detail.counts"}, {"CRITICAL": 3}),
        ({"InputPath": "$.detail.tags[1]"}, "b"),
        ({"InputPath": "$.detail.nothing[3].here"}, None),
        (
            {"InputTransformer": {"InputPathsMap": {"n": "$.detail.name"}, "InputTemplate": '{"n": <n>, "t": "<n>!"}'}},
            {"n": 'say "hi"', "t": 'say "hi"!'},
        ),
        (
            {"InputTransformer": {"InputPathsMap": {"t": "$.detail.tags"}, "InputTemplate": '{"t": <t>, "x": "<y>"}'}},
            {"t": ["a", "b"], "x": "<y>"},
        ),
        (
            {"InputTransformer": {"InputTemplate": "<aws.events.event.json>"}},
            {name: value for name, value in EVENT.items() if name != "ingestion-time"}
            | {"time": "2026-01-01T00:00:00Z"},
        ),
    ],
)
def test_a_target_is_sent_what_its_input_says(target: dict[str, Any], sent: object) -> None:
    from kindling.localcloud.event_rules import message

    assert json.loads(message(target, EVENT)) == sent
