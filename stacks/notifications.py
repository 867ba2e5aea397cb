"""Who is told how an execution ended."""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sns_subscriptions as subscriptions
from constructs import Construct

from stacks.base import HouseStack
from stacks.settings import Settings


class NotificationsStack(HouseStack):
    """One encrypted topic, published to over TLS only, by alarms, too; and the settings' address as its subscriber."""

    def __init__(self, scope: Construct, id: str, *, settings: Settings, key: kms.IKey) -> None:
        super().__init__(scope, id, settings=settings, description="Kindling: notifications of executions that ended")
        self.topic = sns.Topic(self, "Topic", master_key=key, enforce_ssl=True)
        if settings.notification_email is not None:
            self.topic.add_subscription(subscriptions.EmailSubscription(settings.notification_email))
        alarms = self.format_arn(
            service="cloudwatch", resource="alarm", resource_name="*", arn_format=cdk.ArnFormat.COLON_RESOURCE_NAME
        )
        # Those of endpoints and triggers; what it encrypts is the key's own to allow.
        self.topic.add_to_resource_policy(
            iam.PolicyStatement(
                sid="Alarms",
                principals=[iam.ServicePrincipal("cloudwatch.amazonaws.com")],
                actions=["sns:Publish"],
                resources=[self.topic.topic_arn],
                conditions={
                    "StringEquals": {"aws:SourceAccount": cdk.Aws.ACCOUNT_ID},
                    "ArnLike": {"aws:SourceArn": alarms},
                },
            )
        )
        cdk.CfnOutput(self, "TopicArn", value=self.topic.topic_arn)
