"""Deleting an idle endpoint and what stands behind it."""

from __future__ import annotations

from typing import Any

from botocore.exceptions import ClientError

from lambdas.hosting.endpoints import unless_missing
from lambdas.reaper.idle import Idle
from lambdas.retire.retirement import retire


def remove(sagemaker: Any, cloudwatch: Any, endpoint: Idle, ours: str) -> str:
    """Deletes an endpoint, its configuration, its models and its alarms; what became of it, as a sentence.

    One that cannot be deleted is told and keeps no other from being looked at.

    Args:
        ours: what the names of the pipelines' own resources begin with; others made by hand are left alone.
    """
    try:
        unless_missing(lambda: sagemaker.delete_endpoint(EndpointName=endpoint.name))
    except ClientError as error:
        return f"It could not be deleted: {_reason(error)}."
    try:
        left = retire(sagemaker, endpoint.config_name, ours)
        _remove_alarms(cloudwatch, endpoint, ours)
    except ClientError as error:
        return f"It was deleted; what belonged to it was not: {_reason(error)}."
    if left:
        return f"It was deleted. Not made by a pipeline and left alone: {', '.join(left)}."
    return "It was deleted with its configuration and its models."


def _remove_alarms(cloudwatch: Any, endpoint: Idle, ours: str) -> None:
    """Deletes the alarms that pipelines made of the endpoint's metrics; its scaling goes with it by itself."""
    of_it = {"Name": "EndpointName", "Value": endpoint.name}
    pages = cloudwatch.get_paginator("describe_alarms").paginate(AlarmNamePrefix=ours, AlarmTypes=["MetricAlarm"])
    found = [alarm for page in pages for alarm in page["MetricAlarms"] if of_it in alarm.get("Dimensions", ())]
    if found:
        cloudwatch.delete_alarms(AlarmNames=[alarm["AlarmName"] for alarm in found])


def _reason(error: ClientError) -> str:
    return str(error.response["Error"]["Message"]).rstrip(".")
