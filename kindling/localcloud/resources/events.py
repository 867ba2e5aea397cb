"""Log groups, alarms, and what has nothing to do on a laptop."""

# ruff: noqa: ARG002  a resource type's methods have one signature, whatever each of them needs

from __future__ import annotations

from typing import Any

from kindling.localcloud.resources.base import Made, Properties, ResourceType, chosen, gone_is_fine, tag_map

_ALARM = (
    "AlarmDescription",
    "ActionsEnabled",
    "OKActions",
    "AlarmActions",
    "InsufficientDataActions",
    "MetricName",
    "Namespace",
    "Statistic",
    "ExtendedStatistic",
    "Dimensions",
    "Period",
    "Unit",
    "EvaluationPeriods",
    "DatapointsToAlarm",
    "Threshold",
    "ComparisonOperator",
    "TreatMissingData",
    "Metrics",
)


class LogGroup(ResourceType):
    """A log group, with retention and key."""

    type = "AWS::Logs::LogGroup"
    name_property = "LogGroupName"
    attributes = ("Arn",)

    def create(self, name: str, properties: Properties) -> Made:
        key = properties.get("KmsKeyId")
        options: dict[str, Any] = {"kmsKeyId": key} if key else {}
        if tags := tag_map(properties):
            options["tags"] = tags
        self.aws("logs").create_log_group(logGroupName=name, **options)
        cloud = self.aws.cloud
        arn = f"arn:aws:logs:{cloud.region}:{cloud.account_id}:log-group:{name}:*"
        return self.update(Made(name, {"Arn": arn}), properties)

    def update(self, made: Made, properties: Properties) -> Made:
        logs = self.aws("logs")
        if "RetentionInDays" in properties:
            logs.put_retention_policy(logGroupName=made.id, retentionInDays=int(properties["RetentionInDays"]))
        else:
            logs.delete_retention_policy(logGroupName=made.id)
        return made

    def delete(self, made: Made, properties: Properties) -> None:
        with gone_is_fine():
            self.aws("logs").delete_log_group(logGroupName=made.id)


class Alarm(ResourceType):
    """A CloudWatch alarm."""

    type = "AWS::CloudWatch::Alarm"
    name_property = "AlarmName"
    attributes = ("Arn",)

    def create(self, name: str, properties: Properties) -> Made:
        arn = f"arn:aws:cloudwatch:{self.aws.cloud.region}:{self.aws.cloud.account_id}:alarm:{name}"
        return self.update(Made(name, {"Arn": arn}), properties)

    def update(self, made: Made, properties: Properties) -> Made:
        self.aws("cloudwatch").put_metric_alarm(AlarmName=made.id, **chosen(properties, *_ALARM))
        return made

    def delete(self, made: Made, properties: Properties) -> None:
        with gone_is_fine():
            self.aws("cloudwatch").delete_alarms(AlarmNames=[made.id])


class WithoutEffect(ResourceType):
    """Something that changes nothing here: it is there, and that is all."""

    def create(self, name: str, properties: Properties) -> Made:
        return Made(name)

    def update(self, made: Made, properties: Properties) -> Made:
        return made

    def delete(self, made: Made, properties: Properties) -> None:
        """There is nothing to remove."""


class CdkMetadata(WithoutEffect):
    """Which constructs a stack was made with, for AWS's own statistics."""

    type = "AWS::CDK::Metadata"


class Budget(WithoutEffect):
    """A limit of cost; nothing is paid for here."""

    type = "AWS::Budgets::Budget"


TYPES = (LogGroup, Alarm, CdkMetadata, Budget)
