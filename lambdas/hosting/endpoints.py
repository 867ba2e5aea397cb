"""What stands behind an endpoint, asked of SageMaker."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

# Something else is being done to an endpoint in one of these; it cannot be changed until that is over.
IN_MOTION = frozenset({"Creating", "Updating", "SystemUpdating", "RollingBack", "Deleting"})


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """An endpoint as DescribeEndpoint tells it."""

    name: str
    arn: str
    status: str
    config_name: str
    failure: str | None


def find_endpoint(sagemaker: Any, name: str) -> Endpoint | None:
    """The endpoint of that name, or None where there is none."""
    found = unless_missing(lambda: sagemaker.describe_endpoint(EndpointName=name))
    if found is None:
        return None
    return Endpoint(
        name=name,
        arn=found["EndpointArn"],
        status=found["EndpointStatus"],
        config_name=found.get("EndpointConfigName", ""),
        failure=found.get("FailureReason"),
    )


def models_of(sagemaker: Any, config_name: str) -> list[str] | None:
    """The names of the models of an endpoint configuration, or None where there is no such configuration.

    Those of production variants, which answer, come before those of shadow variants.
    """
    found = unless_missing(lambda: sagemaker.describe_endpoint_config(EndpointConfigName=config_name))
    if found is None:
        return None
    variants = (*found["ProductionVariants"], *found.get("ShadowProductionVariants", ()))
    return [variant["ModelName"] for variant in variants]


def unless_missing(ask: Callable[[], Any]) -> Any | None:
    """What `ask` gives, or None when SageMaker says that there is no such thing."""
    try:
        return ask()
    except ClientError as error:
        if not _is_missing(error):
            raise
        return None


def _is_missing(error: ClientError) -> bool:
    """SageMaker calls a missing resource a ValidationException like many others; only the message tells them apart."""
    code, message = error.response["Error"]["Code"], error.response["Error"]["Message"].lower()
    if code in ("ResourceNotFound", "ResourceNotFoundException"):
        return True
    return code == "ValidationException" and any(
        words in message for words in ("could not find", "cannot find", "does not exist", "not found")
    )
