"""The function that looks for endpoints which nobody asks."""

from __future__ import annotations

from dataclasses import dataclass

import aws_cdk as cdk
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_cloudwatch_actions as actions
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_iam as iam
from constructs import Construct

from stacks.constructs.alarm_topic import AlarmTopic
from stacks.constructs.pipeline_function import PipelineFunction, PipelineFunctionProps
from stacks.constructs.statements import sagemaker_operations
from stacks.settings import Settings


@dataclass(frozen=True, kw_only=True)
class ReaperProps:
    """What the settings want done, and who is told."""

    settings: Settings
    alarms: AlarmTopic


class Reaper(Construct):
    """Looks once a day; once an hour where idle endpoints are deleted. When it fails itself, the topic is told, too."""

    def __init__(self, scope: Construct, id: str, props: ReaperProps) -> None:
        super().__init__(scope, id)
        self._settings, self._alarms = props.settings, props.alarms
        ours = f"{props.settings.name}-*"
        self._endpoints, self._configs = (self._arn(kind, "*") for kind in ("endpoint", "endpoint-config"))
        self._own_configs, self._own_models = (self._arn(kind, ours) for kind in ("endpoint-config", "model"))
        self._groups = cdk.Stack.of(self).format_arn(
            service="logs",
            resource="log-group",
            resource_name="/aws/sagemaker/*",
            arn_format=cdk.ArnFormat.COLON_RESOURCE_NAME,
        )
        self._alarms_there_are, self._own_alarms = (
            cdk.Stack.of(self).format_arn(
                service="cloudwatch", resource="alarm", resource_name=name, arn_format=cdk.ArnFormat.COLON_RESOURCE_NAME
            )
            for name in ("*", ours)
        )
        statements = [*self._looking(), *self._telling(), *self._expiring()]
        if props.settings.idle_endpoint_action == "delete":
            statements += self._deleting()
        used = {arn for statement in statements for arn in statement.resources}
        self.function = PipelineFunction(
            self,
            "Reaper",
            PipelineFunctionProps(
                settings=props.settings,
                folder="reaper",
                page="docs/account.md",
                imports=("hosting", "retire"),
                statements=statements,
                wildcards={arn: reason for arn, reason in self._reasons().items() if arn in used},
                timeout_s=600,
            ),
        ).function
        self._schedule()
        self._raise_alarm()

    def _looking(self) -> list[iam.PolicyStatement]:
        return [
            sagemaker_operations("FindEndpoints", ["ListEndpoints"], ["*"]),
            sagemaker_operations("LookAtEndpoints", ["DescribeEndpoint", "ListTags"], [self._endpoints]),
            sagemaker_operations("LookAtConfigs", ["DescribeEndpointConfig"], [self._configs]),
            iam.PolicyStatement(sid="CountInvocations", actions=["cloudwatch:GetMetricStatistics"], resources=["*"]),
        ]

    def _telling(self) -> list[iam.PolicyStatement]:
        return [
            iam.PolicyStatement(sid="Tell", actions=["sns:Publish"], resources=[self._alarms.topic.topic_arn]),
            iam.PolicyStatement(
                sid="Encrypt",
                actions=["kms:Decrypt", "kms:GenerateDataKey"],
                resources=[self._alarms.key.key_arn],
            ),
        ]

    def _expiring(self) -> list[iam.PolicyStatement]:
        return [
            iam.PolicyStatement(sid="FindLogs", actions=["logs:DescribeLogGroups"], resources=["*"]),
            iam.PolicyStatement(
                sid="ExpireLogs",
                actions=["logs:ListTagsForResource", "logs:PutRetentionPolicy"],
                resources=[self._groups],
            ),
        ]

    def _deleting(self) -> list[iam.PolicyStatement]:
        return [
            iam.PolicyStatement(
                sid="DeleteEndpoints",
                actions=["sagemaker:DeleteEndpoint"],
                resources=[self._endpoints],
                # Also were the function mistaken: only what a pipeline made and nobody wants kept.
                conditions={
                    "Null": {"aws:ResourceTag/kindling:algorithm": "false"},
                    "StringNotEqualsIgnoreCase": {"aws:ResourceTag/kindling:keep": "true"},
                },
            ),
            sagemaker_operations("DeleteConfigs", ["DeleteEndpointConfig"], [self._own_configs]),
            sagemaker_operations("DeleteModels", ["DeleteModel"], [self._own_models]),
            iam.PolicyStatement(
                sid="FindAlarms", actions=["cloudwatch:DescribeAlarms"], resources=[self._alarms_there_are]
            ),
            iam.PolicyStatement(sid="DeleteAlarms", actions=["cloudwatch:DeleteAlarms"], resources=[self._own_alarms]),
        ]

    def _reasons(self) -> dict[str, str]:
        return {
            self._endpoints: "The users of pipelines name their endpoints; tags tell whose they are.",
            self._configs: "Whether an endpoint is a pipeline's is told by the name of its configuration.",
            self._own_configs: "Endpoint configurations are named after executions.",
            self._own_models: "Models are named after executions.",
            self._alarms_there_are: "Alarms are looked for by what they watch.",
            self._own_alarms: "Alarms are named after the endpoints that they watch.",
            self._groups: "SageMaker makes one log group for each endpoint.",
        }

    def _schedule(self) -> None:
        settings = self._settings
        period = cdk.Duration.hours(1) if settings.idle_endpoint_action == "delete" else cdk.Duration.days(1)
        asked = {
            "at": events.EventField.time,
            "ours": f"{settings.name}-",
            "action": settings.idle_endpoint_action,
            "idle_hours": settings.idle_endpoint_hours,
            "topic_arn": self._alarms.topic.topic_arn,
            "log_retention_days": settings.log_retention_days,
            "prices_usd_per_hour": dict(settings.prices_usd_per_hour),
        }
        events.Rule(
            self,
            "Schedule",
            description=f"{settings.name}: when to look for idle endpoints",
            schedule=events.Schedule.rate(period),
            targets=[targets.LambdaFunction(self.function, event=events.RuleTargetInput.from_object(asked))],
        )

    def _raise_alarm(self) -> None:
        failed = cloudwatch.Alarm(
            self,
            "Failed",
            alarm_description="The look for idle endpoints has failed; its log says why (docs/account.md).",
            metric=self.function.metric_errors(statistic="Sum", period=cdk.Duration.hours(1)),
            threshold=1,
            evaluation_periods=1,
            comparison_operator=cloudwatch.ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
            treat_missing_data=cloudwatch.TreatMissingData.NOT_BREACHING,
        )
        failed.add_alarm_action(actions.SnsAction(self._alarms.topic))

    def _arn(self, kind: str, name: str) -> str:
        return cdk.Stack.of(self).format_arn(service="sagemaker", resource=kind, resource_name=name)
