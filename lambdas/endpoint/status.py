"""Reading an endpoint's status: may it be changed, is it ready, has it failed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lambdas.hosting.endpoints import IN_MOTION, Endpoint


class EndpointError(RuntimeError):
    """The endpoint is in no state to go on from. The message is one sentence."""


def former(endpoint: Endpoint | None) -> dict[str, Any]:
    """What is there before the deployment, and with it whether the endpoint is to be created or updated.

    Raises:
        EndpointError: there is an endpoint that cannot be updated now.
    """
    if endpoint is None:
        return {"action": "created", "config_name": None}
    if endpoint.status in IN_MOTION:
        raise EndpointError(
            f"endpoint {endpoint.name} is {endpoint.status}, so it cannot be updated; start again when it is InService."
        )
    if endpoint.status != "InService":
        raise EndpointError(
            f"endpoint {endpoint.name} is {endpoint.status}, so it cannot be updated; delete it or choose another name."
        )
    return {"action": "updated", "config_name": endpoint.config_name}


def check(
    endpoint: Endpoint | None, name: str, config_name: str, former_check: Mapping[str, Any], longest: int
) -> dict[str, Any]:
    """Whether an endpoint serves the configuration `config_name` yet.

    Args:
        former_check: what the last check gave, {"count": 0} before the first.
        longest: how many checks there may be.
    Raises:
        EndpointError: it failed, fell back to its former configuration, is gone, or takes too long.
    """
    count = int(former_check["count"]) + 1
    if endpoint is None:
        raise EndpointError(f"endpoint {name} was deleted while it was being deployed.")
    if endpoint.status in ("InService", "OutOfService", "Failed", "UpdateRollbackFailed"):
        if endpoint.status == "InService" and endpoint.config_name == config_name:
            return {"count": count, "ready": True, "arn": endpoint.arn, "status": endpoint.status}
        what = "kept its former configuration" if endpoint.status == "InService" else f"is {endpoint.status}"
        raise EndpointError(f"endpoint {name} {what}: {endpoint.failure or 'SageMaker gives no reason'}")
    if count >= longest:
        raise EndpointError(f"endpoint {name} is still {endpoint.status} after {count} checks.")
    return {"count": count, "ready": False, "arn": endpoint.arn, "status": endpoint.status}
