"""The topic on which an account's alarms are raised."""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sns_subscriptions as subscriptions
from constructs import Construct

from stacks.base import removal_policy
from stacks.constructs.log_group import let_logs_use
from stacks.settings import Settings


class AlarmTopic(Construct):
    """An encrypted topic with the settings' addresses, to which budgets, CloudWatch's alarms and EventBridge publish.

    A rule of EventBridge brings its leave to publish with it, without a condition: of EventBridge's requests to an
    encrypted topic the key is not told whose they are (developer guide of SNS, "Managing encryption keys and costs").
    """

    def __init__(self, scope: Construct, id: str, settings: Settings) -> None:
        super().__init__(scope, id)
        self.key = kms.Key(
            self,
            "Key",
            description=f"{settings.name}: alarms of the account, and the logs of what watches it",
            enable_key_rotation=True,
            removal_policy=removal_policy(settings),
        )
        let_logs_use(self.key, settings)
        self.topic = sns.Topic(self, "Topic", master_key=self.key, enforce_ssl=True)
        for address in settings.alarm_email:
            self.topic.add_subscription(subscriptions.EmailSubscription(address))
        self._let_publish("Budgets", "budgets", "arn:${AWS::Partition}:budgets::${AWS::AccountId}:*")
        self._let_publish(
            "Alarms", "cloudwatch", "arn:${AWS::Partition}:cloudwatch:${AWS::Region}:${AWS::AccountId}:alarm:*"
        )

    def _let_publish(self, sid: str, service: str, sources: str) -> None:
        """Leave for a service to publish, and to encrypt what it publishes, on behalf of this account's `sources`."""
        principal = iam.ServicePrincipal(f"{service}.amazonaws.com")
        of_this_account = {"StringEquals": {"aws:SourceAccount": cdk.Aws.ACCOUNT_ID}}
        self.key.add_to_resource_policy(
            iam.PolicyStatement(
                sid=sid,
                principals=[principal],
                actions=["kms:Decrypt", "kms:GenerateDataKey"],
                resources=["*"],
                conditions=of_this_account,
            )
        )
        self.topic.add_to_resource_policy(
            iam.PolicyStatement(
                sid=sid,
                principals=[principal],
                actions=["sns:Publish"],
                resources=[self.topic.topic_arn],
                conditions={**of_this_account, "ArnLike": {"aws:SourceArn": cdk.Fn.sub(sources)}},
            )
        )
