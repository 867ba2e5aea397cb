"""What starts training pipelines by itself: times, and objects that arrive (docs/triggers.md)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import aws_cdk as cdk
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_cloudwatch_actions as actions
from aws_cdk import aws_events as events
from aws_cdk import aws_iam as iam
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sqs as sqs
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from stacks.acknowledgements import acknowledge
from stacks.settings import Settings
from stacks.trigger import EVERY_OBJECT, Trigger, filled, placeholders

# As long as SQS keeps anything.
_KEPT = cdk.Duration.days(14)


@dataclass(frozen=True, kw_only=True)
class TriggersProps:
    """The triggers are the settings'; `machines` by algorithm, objects arrive in `data`; `topic` hears of failures."""

    settings: Settings
    machines: Mapping[str, sfn.StateMachine]
    data: s3.IBucket
    topic: sns.ITopic


class Triggers(Construct):
    """A rule of EventBridge for each trigger, and one queue for the starts that did not come about."""

    def __init__(self, scope: Construct, id: str, props: TriggersProps) -> None:
        super().__init__(scope, id)
        self._props = props
        self.undelivered = self._undelivered()
        rules = [self._rule(trigger) for trigger in props.settings.triggers]
        self.undelivered.add_to_resource_policy(
            iam.PolicyStatement(
                sid="TakeUndelivered",
                principals=[iam.ServicePrincipal("events.amazonaws.com")],
                actions=["sqs:SendMessage"],
                resources=[self.undelivered.queue_arn],
                conditions={"ArnEquals": {"aws:SourceArn": [rule.attr_arn for rule in rules]}},
            )
        )

    def _undelivered(self) -> sqs.Queue:
        # With a key of ours EventBridge's leave to use it could not be held to these rules.
        queue = sqs.Queue(
            self, "Undelivered", encryption=sqs.QueueEncryption.SQS_MANAGED, enforce_ssl=True, retention_period=_KEPT
        )
        acknowledge(queue, {"AwsSolutions-SQS3": "It is itself the queue of what could not be delivered."})
        return queue

    def _rule(self, trigger: Trigger) -> events.CfnRule:
        within = Construct(self, "".join(part.capitalize() for part in trigger.name.split("-")))
        machine = self._props.machines[trigger.algorithm]
        name = f"{self._props.settings.name}-{trigger.name}"
        # Not the rule of the CDK's second level, whose inputs lose what is null: an endpoint of null means none.
        rule = events.CfnRule(
            within,
            "Rule",
            name=name,
            description=f"{self._props.settings.name}: starts the pipeline of {trigger.algorithm} (docs/triggers.md)",
            state="ENABLED" if trigger.enabled else "DISABLED",
            schedule_expression=trigger.schedule,
            event_pattern=self._pattern(trigger) if trigger.arrival else None,
            targets=[
                events.CfnRule.TargetProperty(
                    id="Pipeline",
                    arn=machine.state_machine_arn,
                    role_arn=self._role(within, name, machine).role_arn,
                    dead_letter_config=events.CfnRule.DeadLetterConfigProperty(arn=self.undelivered.queue_arn),
                    **self._input(trigger),
                )
            ],
        )
        self._raise_alarm(within, trigger, name)
        return rule

    def _pattern(self, trigger: Trigger) -> dict[str, Any]:
        return {
            "source": ["aws.s3"],
            "detail-type": ["Object Created"],
            "detail": {"bucket": {"name": [self._props.data.bucket_name]}, "object": _arrived(trigger)},
        }

    def _input(self, trigger: Trigger) -> dict[str, Any]:
        """The target's input: constant, or with what arrived filled in by EventBridge."""
        values = {"data": self._props.data.bucket_name, "prefix": trigger.arrival or "", "key": "<key>"}
        text = json.dumps(filled(trigger.input, values))
        if "key" not in placeholders(trigger.input):
            return {"input": text}
        return {
            "input_transformer": events.CfnRule.InputTransformerProperty(
                input_paths_map={"key": "$.detail.object.key"}, input_template=text
            )
        }

    def _role(self, within: Construct, rule: str, machine: sfn.StateMachine) -> iam.Role:
        ours = cdk.Stack.of(self).format_arn(service="events", resource="rule", resource_name=rule)
        start = iam.PolicyStatement(
            sid="StartPipeline", actions=["states:StartExecution"], resources=[machine.state_machine_arn]
        )
        return iam.Role(
            within,
            "Role",
            description=f"Rule {rule}",
            assumed_by=iam.ServicePrincipal(
                "events.amazonaws.com",
                conditions={
                    "StringEquals": {"aws:SourceAccount": cdk.Aws.ACCOUNT_ID},
                    "ArnEquals": {"aws:SourceArn": ours},
                },
            ),
            inline_policies={"Trigger": iam.PolicyDocument(statements=[start])},
        )

    def _raise_alarm(self, within: Construct, trigger: Trigger, rule: str) -> None:
        lost = cloudwatch.Alarm(
            within,
            "Undelivered",
            alarm_description=f"Trigger {trigger.name} could not start its pipeline; see docs/triggers.md.",
            metric=cloudwatch.Metric(
                namespace="AWS/Events",
                metric_name="InvocationsSentToDlq",
                dimensions_map={"RuleName": rule},
                statistic="Sum",
                period=cdk.Duration.minutes(5),
            ),
            threshold=1,
            evaluation_periods=1,
            comparison_operator=cloudwatch.ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
            treat_missing_data=cloudwatch.TreatMissingData.NOT_BREACHING,
        )
        lost.add_alarm_action(actions.SnsAction(self._props.topic))


def _arrived(trigger: Trigger) -> dict[str, Any]:
    """Which objects start a run, as an event's `detail.object` must be: the patterns of one field are alternatives."""
    folder, marker = trigger.arrival, trigger.marker
    if marker == EVERY_OBJECT:
        # Consoles make folders as empty objects, of which nothing could be learned.
        return {"key": [{"prefix": folder}], "size": [{"numeric": [">", 0]}]}
    if marker.startswith(EVERY_OBJECT):
        return {"key": [{"wildcard": f"{folder}{marker}"}]}
    return {"key": [f"{folder}{marker}", {"wildcard": f"{folder}*/{marker}"}]}
