"""Log groups, alarms, rules, and what has nothing to do on a laptop."""

# ruff: noqa: ARG002  a resource type's methods have one signature, whatever each of them needs

from __future__ import annotations

from typing import Any

from kindling.localcloud.resources.base import Made, Properties, ResourceType, chosen, gone_is_fine, tag_map, text

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
_LONGEST_RULE = 64


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


class Dashboard(ResourceType):
    """A CloudWatch dashboard; nobody draws it here."""

    type = "AWS::CloudWatch::Dashboard"
    name_property = "DashboardName"

    def create(self, name: str, properties: Properties) -> Made:
        return self.update(Made(name), properties)

    def update(self, made: Made, properties: Properties) -> Made:
        self.aws("cloudwatch").put_dashboard(DashboardName=made.id, DashboardBody=text(properties["DashboardBody"]))
        return made

    def delete(self, made: Made, properties: Properties) -> None:
        with gone_is_fine():
            self.aws("cloudwatch").delete_dashboards(DashboardNames=[made.id])


class Rule(ResourceType):
    """A rule of EventBridge, with its targets."""

    type = "AWS::Events::Rule"
    name_property = "Name"
    attributes = ("Arn",)

    def keeps(self, before: Properties, after: Properties) -> bool:
        return before.get("EventBusName") == after.get("EventBusName")

    def create(self, name: str, properties: Properties) -> Made:
        return self.update(Made(name[-_LONGEST_RULE:].lstrip("-")), properties)

    def update(self, made: Made, properties: Properties) -> Made:
        events, rule, bus = self.aws("events"), {"Rule": made.id}, chosen(properties, "EventBusName")
        options = chosen(properties, "Description", "RoleArn", "ScheduleExpression", "State")
        if pattern := properties.get("EventPattern"):
            options["EventPattern"] = text(pattern)
        arn = events.put_rule(Name=made.id, **options, **bus)["RuleArn"]
        targets = properties.get("Targets") or []
        wanted = {target["Id"] for target in targets}
        present = events.list_targets_by_rule(**rule, **bus)["Targets"]
        if surplus := [target["Id"] for target in present if target["Id"] not in wanted]:
            events.remove_targets(**rule, **bus, Ids=surplus)
        if targets:
            events.put_targets(**rule, **bus, Targets=targets)
        tags = [{"Key": key, "Value": value} for key, value in tag_map(properties).items()]
        if tags:
            events.tag_resource(ResourceARN=arn, Tags=tags)
        return Made(made.id, {"Arn": arn})

    def delete(self, made: Made, properties: Properties) -> None:
        events, rule, bus = self.aws("events"), {"Rule": made.id}, chosen(properties, "EventBusName")
        with gone_is_fine():
            if targets := events.list_targets_by_rule(**rule, **bus)["Targets"]:
                events.remove_targets(**rule, **bus, Ids=[target["Id"] for target in targets])
            events.delete_rule(Name=made.id, **bus)


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


class AccessAnalyzer(WithoutEffect):
    """An analyser of access from outside; nobody is outside here."""

    type = "AWS::AccessAnalyzer::Analyzer"
    name_property = "AnalyzerName"
    attributes = ("Arn",)

    def create(self, name: str, properties: Properties) -> Made:
        arn = f"arn:aws:access-analyzer:{self.aws.cloud.region}:{self.aws.cloud.account_id}:analyzer/{name}"
        return Made(arn, {"Arn": arn})


TYPES = (LogGroup, Alarm, Dashboard, Rule, CdkMetadata, AccessAnalyzer)
