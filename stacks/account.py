"""What an account has once, whatever is deployed to it: money, access and leftovers are watched (docs/account.md)."""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_accessanalyzer as accessanalyzer
from constructs import Construct

from stacks.base import HouseStack
from stacks.constructs.alarm_topic import AlarmTopic
from stacks.constructs.budgets import Budgets
from stacks.constructs.image_scanning import ImageScanning
from stacks.constructs.permission_boundary import PermissionBoundary
from stacks.constructs.reaper import Reaper, ReaperProps
from stacks.settings import Settings


class AccountStack(HouseStack):
    """Alarm topic, budgets, access analyser, image scanning, the reaper of idle endpoints, the roles' boundary."""

    def __init__(self, scope: Construct, id: str, *, settings: Settings) -> None:
        super().__init__(scope, id, settings=settings, description="Kindling: what the account has once")
        self.alarms = AlarmTopic(self, "Alarms", settings)
        self.logs_key = self.alarms.key
        # AWS tries the topic when it makes a budget: it must be there, with its policy.
        Budgets(self, "Budgets", settings, self.alarms.topic).node.add_dependency(self.alarms)
        ImageScanning(self, "Images", settings, self.alarms.topic)
        if settings.access_analyzer:
            accessanalyzer.CfnAnalyzer(self, "AccessAnalyzer", type="ACCOUNT", analyzer_name=f"{settings.name}-account")
        boundary = PermissionBoundary(self, "Boundary", settings)
        # Its role may be bound by the very policy.
        Reaper(self, "Idle", ReaperProps(settings=settings, alarms=self.alarms)).node.add_dependency(boundary)
        cdk.CfnOutput(self, "AlarmTopicArn", value=self.alarms.topic.topic_arn)
        cdk.CfnOutput(self, "BoundaryName", value=boundary.name)
