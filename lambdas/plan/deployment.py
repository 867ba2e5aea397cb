"""The endpoint that a request asks for, in SageMaker's own terms."""

from __future__ import annotations

from typing import Any

from contract.specification import Algorithm
from lambdas.plan.instances import check_instance_type
from lambdas.plan.request import Endpoint, Request

_VARIANT = "AllTraffic"
# A look every three seconds for one hour; the execution's history has room for it.
_LONGEST_CHECKS = 1200


def deployment(algorithm: Algorithm, request: Request, base: str) -> dict[str, Any]:
    """Names and settings of the endpoint and of what stands behind it; the same fields whether one is wanted or not.

    An endpoint that is not spoken of gets the run's `name`, or the algorithm's. `"endpoint": null` wants none.

    Raises:
        InvalidJobError: an instance type that cannot host.
    """
    wanted = "endpoint" not in request.model_fields_set or request.endpoint is not None
    endpoint = request.endpoint or Endpoint(name=request.name or algorithm.name.replace("_", "-"))
    instance_type = endpoint.instance_type or algorithm.serving.instance_type
    check_instance_type("endpoint.instance_type", instance_type, "hosting", gpu=algorithm.serving.gpu)
    count = endpoint.instance_count or algorithm.serving.instance_count
    return {
        "wanted": wanted,
        "endpoint_name": endpoint.name,
        "config_name": base,
        "model_name": base,
        "variants": [
            {
                "VariantName": _VARIANT,
                "ModelName": base,
                "InstanceType": instance_type,
                "InitialInstanceCount": count,
                "InitialVariantWeight": 1.0,
            }
        ],
        "update": _update_policy(count),
        "longest_checks": _LONGEST_CHECKS,
    }


def _update_policy(count: int) -> dict[str, Any]:
    """Blue/green: the former instances serve until the new ones do; with several, one takes traffic first."""
    routing: dict[str, Any] = {"Type": "ALL_AT_ONCE", "WaitIntervalInSeconds": 0}
    if count > 1:
        canary = {"Type": "INSTANCE_COUNT", "Value": 1}
        routing = {"Type": "CANARY", "WaitIntervalInSeconds": 60, "CanarySize": canary}
    return {
        "BlueGreenUpdatePolicy": {
            "TrafficRoutingConfiguration": routing,
            "TerminationWaitInSeconds": 0,
            "MaximumExecutionTimeoutInSeconds": 3600,
        }
    }
