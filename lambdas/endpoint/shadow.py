"""A new model as the shadow of the one that serves: the variants of a configuration that has both."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lambdas.endpoint.status import EndpointError
from lambdas.hosting.endpoints import Endpoint

_NAME = "Shadow"


def beside(sagemaker: Any, endpoint: Endpoint | None, deployment: Mapping[str, Any]) -> dict[str, Any]:
    """The production variants that stay as they are, and the new model's as their shadow; neither without a shadow.

    Args:
        endpoint: the one that serves, fit to be updated.
        deployment: the plan's.
    Raises:
        EndpointError: there is no endpoint to be beside, or not one that has a single model on instances.
    """
    if deployment["shadow"] is None:
        return {"variants": None, "shadow_variants": None}
    name = deployment["endpoint_name"]
    if endpoint is None:
        raise EndpointError(f"there is no endpoint {name} that a shadow could stand beside; deploy a model first.")
    config = sagemaker.describe_endpoint_config(EndpointConfigName=endpoint.config_name)
    serving = config["ProductionVariants"]
    if len(serving) != 1 or "ServerlessConfig" in serving[0] or "AsyncInferenceConfig" in config:
        raise EndpointError(f"endpoint {name} has not one variant on instances, which is all that can have a shadow.")
    (production,), (new,) = serving, deployment["variants"]
    weight = production.get("InitialVariantWeight", 1.0)
    described = sagemaker.describe_endpoint(EndpointName=name)["ProductionVariants"]
    # As many instances as it has now, which scaling may have changed.
    counts = {one["VariantName"]: one.get("DesiredInstanceCount") for one in described}
    count = counts.get(production["VariantName"]) or production["InitialInstanceCount"]
    return {
        "variants": [{**production, "InitialInstanceCount": count}],
        # The share of requests that is copied is the weights' ratio.
        "shadow_variants": [
            {**new, "VariantName": _NAME, "InitialVariantWeight": weight * deployment["shadow"]["percent"] / 100}
        ],
    }
