"""Log groups with the settings' retention and the stack's key."""

from __future__ import annotations

from typing import cast

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_logs as logs
from constructs import Construct

from stacks.base import HouseStack, removal_policy
from stacks.settings import Settings


def log_group(scope: Construct, id: str, settings: Settings, name: str | None = None) -> logs.LogGroup:
    """A log group that is kept for `log_retention_days` and encrypted with its stack's `logs_key`."""
    stack = cdk.Stack.of(scope)
    group = logs.LogGroup(
        scope,
        id,
        log_group_name=name,
        encryption_key=stack.logs_key if isinstance(stack, HouseStack) else None,
        removal_policy=removal_policy(settings),
    )
    # The L2 takes one enum member per period; CloudFormation takes the number that the setting already is.
    cast(logs.CfnLogGroup, group.node.default_child).retention_in_days = settings.log_retention_days
    return group


def let_logs_use(key: kms.Key, settings: Settings) -> None:
    """Let CloudWatch Logs use a key, for log groups that CloudFormation named after the app's stacks and no other.

    https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/encrypt-log-data-kms.html
    """
    stack = cdk.Stack.of(key)
    groups = stack.format_arn(
        service="logs",
        resource="log-group",
        resource_name=f"{settings.prefix}*",
        arn_format=cdk.ArnFormat.COLON_RESOURCE_NAME,
    )
    key.add_to_resource_policy(
        iam.PolicyStatement(
            sid="EncryptLogs",
            principals=[iam.ServicePrincipal(f"logs.{stack.region}.amazonaws.com")],
            actions=["kms:Encrypt*", "kms:Decrypt*", "kms:ReEncrypt*", "kms:GenerateDataKey*"],
            resources=["*"],
            conditions={"StringLike": {"kms:EncryptionContext:aws:logs:arn": groups}},
        )
    )
