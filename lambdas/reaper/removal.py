"""Deleting an idle endpoint and what stands behind it."""

from __future__ import annotations

from typing import Any

from botocore.exceptions import ClientError

from lambdas.hosting.endpoints import unless_missing
from lambdas.reaper.idle import Idle
from lambdas.retire.retirement import retire


def remove(sagemaker: Any, endpoint: Idle, ours: str) -> str:
    """Deletes an endpoint, its configuration and its models; what became of it, as a sentence.

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
    except ClientError as error:
        return f"It was deleted; what stood behind it was not: {_reason(error)}."
    if left:
        return f"It was deleted. Not made by a pipeline and left alone: {', '.join(left)}."
    return "It was deleted with its configuration and its models."


def _reason(error: ClientError) -> str:
    return str(error.response["Error"]["Message"]).rstrip(".")
