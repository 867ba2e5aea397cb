"""Who is told how an execution ended."""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_kms as kms
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sns_subscriptions as subscriptions
from constructs import Construct

from stacks.base import HouseStack
from stacks.constructs.statements import ALARMS, service_publishes
from stacks.settings import Settings


class NotificationsStack(HouseStack):
    """One encrypted topic, published to over TLS only, by alarms, too; and the settings' address as its subscriber."""

    def __init__(self, scope: Construct, id: str, *, settings: Settings, key: kms.IKey) -> None:
        super().__init__(scope, id, settings=settings, description="Kindling: notifications of executions that ended")
        self.topic = sns.Topic(self, "Topic", master_key=key, enforce_ssl=True)
        if settings.notification_email is not None:
            self.topic.add_subscription(subscriptions.EmailSubscription(settings.notification_email))
        # Those of endpoints and triggers; that they may use the key stands with the key.
        self.topic.add_to_resource_policy(service_publishes("Alarms", "cloudwatch", self.topic, ALARMS))
        cdk.CfnOutput(self, "TopicArn", value=self.topic.topic_arn)
