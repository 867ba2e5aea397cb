"""The topic on which an account's alarms are raised."""

from __future__ import annotations

from aws_cdk import aws_kms as kms
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sns_subscriptions as subscriptions
from constructs import Construct

from stacks.base import removal_policy
from stacks.constructs.log_group import let_logs_use
from stacks.constructs.statements import ALARMS, service_encrypts, service_publishes
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
        services = (
            ("Budgets", "budgets", "arn:${AWS::Partition}:budgets::${AWS::AccountId}:*"),
            ("Alarms", "cloudwatch", ALARMS),
        )
        for sid, service, sources in services:
            self.key.add_to_resource_policy(service_encrypts(sid, service))
            self.topic.add_to_resource_policy(service_publishes(sid, service, self.topic, sources))
