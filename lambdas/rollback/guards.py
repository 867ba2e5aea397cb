"""What stands around a model: its version in the registry, the endpoint's alarms and its scaling."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from lambdas.guard.scaling import scale
from lambdas.rollback.cause import in_words

# The longest text that the registry takes.
_LONGEST = 1024

Client = Callable[[str], Any]


def reject_package(client: Client, document: Mapping[str, Any], cause: str) -> list[str]:
    """Has the registry say that the run failed, so that nobody deploys its model; what hinders it, in words."""
    arn = document["made"]["package"]
    if arn is None:
        return []
    return _attempt(
        f"model package {arn.split('/', 1)[1]}",
        lambda: client("sagemaker").update_model_package(
            ModelPackageArn=arn, ModelApprovalStatus="Rejected", ApprovalDescription=cause[:_LONGEST]
        ),
    )


def remove_guards(client: Client, document: Mapping[str, Any]) -> list[str]:
    """Removes the alarms and the scaling of an endpoint that was created and is gone; what hinders it, in words."""
    if (document.get("former") or {}).get("action") != "created":
        return []
    deployment = document["plan"]["deployment"]
    names = [alarm["AlarmName"] for alarm in deployment["alarms"]]
    variants = [variant["VariantName"] for variant in deployment["variants"]]
    hindrances = []
    if names:
        hindrances += _attempt("alarms", lambda: client("cloudwatch").delete_alarms(AlarmNames=names))
    if deployment["scaling"]:
        autoscaling, endpoint = client("application-autoscaling"), deployment["endpoint_name"]
        hindrances += _attempt("scaling", lambda: scale(autoscaling, endpoint, variants, None))
    return hindrances


def _attempt(what: str, change: Callable[[], Any]) -> list[str]:
    try:
        change()
    except (ClientError, BotoCoreError) as error:
        return [f"{what}: {in_words({'Cause': str(error)})}"]
    return []
