"""EventBridge rules that act: functions, topics and state machines are reached, and schedules fire.

moto delivers whole events, whatever a target's input says, to queues, log groups and buses; a target of another kind is
an error there, and a rule with a schedule hears every event instead of the time. Schedules by `rate` fire for the first
time a period after they are first seen. A delivery that fails is not tried again: it goes to the target's queue of dead
letters, where there is one.
"""

from __future__ import annotations

import copy
import json
import logging
import re
import threading
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from botocore.exceptions import ClientError
from moto.events.exceptions import ValidationException
from moto.events.models import EventsBackend, Rule, events_backends
from moto.utilities.arns import parse_arn

from kindling.localcloud.cloud import Cloud
from kindling.localcloud.resources.base import Clients
from kindling.localcloud.schedule_expressions import BadExpressionError, next_time
from kindling.localcloud.seams import replace

_PLACEHOLDER = re.compile(r"<([\w.-]+)>")
_STEP = re.compile(r"\.([^.\[]+)|\[(\d+)\]")
_OF_MOTO = frozenset({"logs", "events"})

_logger = logging.getLogger(__name__)


def install(cloud: Cloud, pause_s: float = 1.0) -> None:
    """Deliver to what moto does not deliver to, and look at the schedules in a thread.

    Args:
        pause_s: between two looks.
    """
    aws = Clients(cloud)
    deliveries = _deliveries(aws)

    def send_to_targets(self: Rule, original_event: Any, transform_input: bool = True) -> None:
        scheduled = original_event["detail-type"] == "Scheduled Event" and self.arn in original_event["resources"]
        if self.state != "ENABLED" or not (scheduled or _hears(self, original_event)):
            return
        for target in list(self.targets):
            service = parse_arn(target["Arn"]).service
            try:
                if service in _OF_MOTO:
                    alone = copy.copy(self)
                    alone.targets = [target]
                    send(alone, original_event, transform_input)
                elif service in deliveries:
                    deliveries[service](target, message(target, original_event))
                else:
                    _logger.warning("%s: targets of %s are not implemented", self.name, service)
            except Exception as error:  # a target that fails must fail neither the others nor what the event is about
                _logger.exception("target %s of rule %s", target["Id"], self.name)
                bury(aws, self, target, original_event, error)

    send = replace(Rule, "send_to_targets", send_to_targets)
    _refuse_bad_schedules()
    schedules = Schedules(cloud)

    def look_forever() -> None:
        while not stopped.wait(pause_s):
            try:
                schedules.look(datetime.now(UTC))
            except Exception:  # one rule that cannot be read must not keep the others from firing
                _logger.exception("schedules")

    stopped = threading.Event()
    threading.Thread(target=look_forever, name="schedules", daemon=True).start()


def _hears(rule: Rule, event: Any) -> bool:
    """Whether an event concerns a rule; one that has only a schedule hears none."""
    return bool(rule.event_pattern.get_pattern()) and rule.event_pattern.matches_event(event)


def _deliveries(aws: Clients) -> dict[str, Callable[[dict[str, Any], str], object]]:
    """How a message reaches a target, by the service in its ARN."""
    return {
        "lambda": lambda to, text: aws("lambda").invoke(FunctionName=to["Arn"], InvocationType="Event", Payload=text),
        "sns": lambda to, text: aws("sns").publish(TopicArn=to["Arn"], Message=text),
        "sqs": lambda to, text: _send(aws, to["Arn"], text, **to.get("SqsParameters", {})),
        "states": lambda to, text: aws("stepfunctions").start_execution(stateMachineArn=to["Arn"], input=text),
    }


def _send(aws: Clients, queue: str, text: str, **options: Any) -> None:
    """Send a message to a queue, given its ARN."""
    url = aws("sqs").get_queue_url(QueueName=parse_arn(queue).resource_id)["QueueUrl"]
    aws("sqs").send_message(QueueUrl=url, MessageBody=text, **options)


def _refuse_bad_schedules() -> None:
    """A schedule that could never fire is refused with the service's own words; moto takes any cron(...)."""

    def put_rule(self: EventsBackend, *given: Any, **named: Any) -> Rule:
        try:
            if expression := named.get("scheduled_expression"):
                next_time(expression, datetime.now(UTC))
        except BadExpressionError:
            raise ValidationException("Parameter ScheduleExpression is not valid.") from None
        made: Rule = put(self, *given, **named)
        return made

    put = replace(EventsBackend, "put_rule", put_rule)


def bury(aws: Clients, rule: Rule, target: dict[str, Any], event: Any, error: Exception) -> None:
    """Put an event that could not be delivered into the target's queue of dead letters, and count it."""
    counted = ["FailedInvocations"]
    if arn := (target.get("DeadLetterConfig") or {}).get("Arn"):
        code = error.response["Error"]["Code"] if isinstance(error, ClientError) else type(error).__name__
        told = {"RULE_ARN": rule.arn, "TARGET_ARN": target["Arn"], "ERROR_CODE": code, "ERROR_MESSAGE": str(error)}
        attributes = {name: {"DataType": "String", "StringValue": value} for name, value in told.items() if value}
        try:
            _send(aws, arn, json.dumps(_whole(event)), MessageAttributes=attributes)
            counted.append("InvocationsSentToDlq")
        except ClientError:
            _logger.exception("the dead letters of rule %s", rule.name)
            counted.append("InvocationsFailedToBeSentToDlq")
    dimensions = [{"Name": "RuleName", "Value": rule.name}]
    data = [{"MetricName": name, "Dimensions": dimensions, "Value": 1, "Unit": "Count"} for name in counted]
    aws("cloudwatch").put_metric_data(Namespace="AWS/Events", MetricData=data)


class Schedules:
    """The rules of one cloud that fire by time.

    When a rule is due stands in the rule, so that it outlives the cloud with it: one that fell due meanwhile fires once
    when the cloud is up again.
    """

    def __init__(self, cloud: Cloud) -> None:
        self._account_id, self._region = cloud.account_id, cloud.region
        self._persistence = cloud.persistence

    def look(self, now: datetime) -> None:
        """Fire each rule that is due."""
        backend = events_backends[self._account_id][self._region]
        for bus in list(backend.event_buses.values()):
            for rule in list(bus.rules.values()):
                if rule.scheduled_expression:
                    self._look_at(rule, rule.scheduled_expression, now)

    def _look_at(self, rule: Any, expression: str, now: datetime) -> None:
        known = "due" in rule.__dict__
        if rule.state != "ENABLED":
            if known:
                del rule.due
            return
        if not known:
            rule.due = next_time(expression, now)
        elif rule.due is not None and now >= rule.due:
            fired, rule.due = rule.due, next_time(expression, rule.due)
            if rule.due is not None and rule.due <= now:
                rule.due = next_time(expression, now)
            rule.send_to_targets(self._event(rule, fired))
        else:
            return
        self._persistence.soon()

    def _event(self, rule: Rule, due: datetime) -> Any:
        return {
            "version": "0",
            "id": str(uuid.uuid4()),
            "detail-type": "Scheduled Event",
            "source": "aws.events",
            "account": self._account_id,
            "time": due.timestamp(),
            "region": self._region,
            "resources": [rule.arn],
            "detail": {},
            "ingestion-time": due.timestamp(),
        }


def message(target: dict[str, Any], event: dict[str, Any]) -> str:
    """What a target is sent of an event: its constant input, a part, a filled template, or all of it."""
    whole = _whole(event)
    if "Input" in target:
        return str(target["Input"])
    if "InputPath" in target:
        return json.dumps(_at(target["InputPath"], whole))
    if transformer := target.get("InputTransformer"):
        values = {name: _at(path, whole) for name, path in transformer.get("InputPathsMap", {}).items()}
        return filled(transformer["InputTemplate"], values | {"aws.events.event.json": whole})
    return json.dumps(whole)


def _whole(event: dict[str, Any]) -> dict[str, Any]:
    """An event as targets see it."""
    whole = {name: value for name, value in event.items() if name != "ingestion-time"}
    whole["time"] = datetime.fromtimestamp(float(event["time"]), UTC).isoformat(timespec="seconds")[:19] + "Z"
    return whole


def filled(template: str, values: dict[str, Any]) -> str:
    """A template with its placeholders replaced: by JSON, or by bare text where one stands within quotation marks."""

    def value(found: re.Match[str]) -> str:
        if found[1] not in values:
            return found[0]
        text = json.dumps(values[found[1]])
        quoted = template[: found.start()].replace('\\"', "").count('"') % 2 == 1
        return text[1:-1] if quoted and text.startswith('"') else text

    return _PLACEHOLDER.sub(value, template)


def _at(path: str, event: Any) -> Any:
    """The part of an event at a path such as `$.detail.resources[0].arn`; None where there is none."""
    for name, index in _STEP.findall(path.removeprefix("$")):
        try:
            event = event[name] if name else event[int(index)]
        except (KeyError, IndexError, TypeError):
            return None
    return event
