"""Log groups with the settings' retention."""

from __future__ import annotations

from typing import cast

from aws_cdk import aws_logs as logs
from constructs import Construct

from stacks.base import removal_policy
from stacks.settings import Settings


def log_group(scope: Construct, id: str, settings: Settings, name: str | None = None) -> logs.LogGroup:
    """A log group that is kept for `log_retention_days`."""
    group = logs.LogGroup(scope, id, log_group_name=name, removal_policy=removal_policy(settings))
    # The L2 takes one enum member per period; CloudFormation takes the number that the setting already is.
    cast(logs.CfnLogGroup, group.node.default_child).retention_in_days = settings.log_retention_days
    return group
