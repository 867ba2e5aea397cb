"""Logs that SageMaker would keep for ever."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from botocore.exceptions import ClientError

from lambdas.reaper.idle import KEEP

# The log groups that SageMaker makes by itself for what pipelines start, or what their names begin with.
MADE_BY_SAGEMAKER = (
    "/aws/sagemaker/TrainingJobs",
    "/aws/sagemaker/ProcessingJobs",
    "/aws/sagemaker/TransformJobs",
    "/aws/sagemaker/Endpoints/",
)


def limit_retention(logs: Any, days: int) -> list[str]:
    """Has the events of SageMaker's log groups that have no retention expire after so many days.

    A group that has one keeps it; one that is tagged `kindling:keep` = true is left alone.

    Returns:
        The names of the groups that were changed.
    """
    changed = []
    for name, arn in _without_retention(logs):
        try:
            tags = logs.list_tags_for_resource(resourceArn=arn.removesuffix(":*"))["tags"]
            if tags.get(KEEP, "").lower() == "true":
                continue
            logs.put_retention_policy(logGroupName=name, retentionInDays=days)
        except ClientError as error:
            if error.response["Error"]["Code"] != "ResourceNotFoundException":  # deleted since it was listed
                raise
            continue
        changed.append(name)
    return changed


def _without_retention(logs: Any) -> Iterator[tuple[str, str]]:
    for prefix in MADE_BY_SAGEMAKER:
        for page in logs.get_paginator("describe_log_groups").paginate(logGroupNamePrefix=prefix):
            for group in page["logGroups"]:
                named = prefix.endswith("/") or group["logGroupName"] == prefix
                if named and "retentionInDays" not in group:
                    yield group["logGroupName"], group["arn"]
