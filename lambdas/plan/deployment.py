"""The endpoint that a request asks for, in SageMaker's own terms."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from contract.specification import Algorithm, InvalidJobError
from lambdas.plan.alarms import VARIANT, endpoint_alarms
from lambdas.plan.instances import check_instance_type
from lambdas.plan.request import Endpoint, Request, Rollout
from lambdas.plan.site import Site

# A look every three seconds for one hour; the execution's history has room for it.
_LONGEST_CHECKS = 1200
_LONGEST_UPDATE_S = 3600
# What an instance serves of the algorithms' formats as text; all else is captured as base64.
_TEXT, _JSON = ("text/csv",), ("application/json", "application/jsonlines")


def deployment(algorithm: Algorithm, request: Request, site: Site, base: str) -> dict[str, Any]:
    """Names and settings of the endpoint and of what stands behind it; the same fields whether one is wanted or not.

    An endpoint that is not spoken of gets the run's `name`, or the algorithm's. `"endpoint": null` wants none.

    Raises:
        InvalidJobError: an instance type that cannot host, or parts that contradict each other.
    """
    spoken_of = "endpoint" in request.model_fields_set
    wanted = request.batch is None and (request.endpoint is not None or not spoken_of)
    endpoint = request.endpoint or Endpoint(name=request.name or algorithm.name.replace("_", "-"))
    _check(endpoint)
    if wanted and endpoint.serverless is not None and site.vpc is not None:
        raise InvalidJobError(
            "endpoint.serverless is given, but models of this deployment are in a VPC, where none is serverless; "
            "give instance_count, or deploy without a network of your own."
        )
    count = endpoint.instance_count or (endpoint.scaling and endpoint.scaling.min_instances)
    count = count or algorithm.serving.instance_count
    # Those of the model that serves are there, and a shadow's failures are not the endpoint's.
    alarms = [] if endpoint.shadow else endpoint_alarms(endpoint, site)
    return {
        "wanted": wanted,
        "endpoint_name": endpoint.name,
        "config_name": base,
        "model_name": base,
        # SageMaker refuses serverless endpoints of isolated models.
        "network_isolation": algorithm.network_isolation and endpoint.serverless is None,
        "variants": [_variant(algorithm, endpoint, base, count)],
        "shadow": endpoint.shadow.model_dump() if endpoint.shadow else None,
        "capture": _capture(algorithm, endpoint, site),
        "alarms": alarms,
        "scaling": endpoint.scaling.model_dump() if endpoint.scaling else None,
        "update": _update_policy(_rollout(endpoint), count, [alarm["AlarmName"] for alarm in alarms]),
        "longest_checks": _LONGEST_CHECKS,
    }


def _check(endpoint: Endpoint) -> None:
    if endpoint.shadow is not None:
        for field in ("serverless", "rollout", "alarms", "scaling"):
            if getattr(endpoint, field) is not None:
                raise InvalidJobError(
                    f"endpoint.{field} and endpoint.shadow are both given; beside a shadow all else stays as it is: "
                    "choose."
                )
    if endpoint.serverless is not None:
        for field in ("instance_type", "instance_count", "scaling", "capture"):
            if getattr(endpoint, field) is not None:
                raise InvalidJobError(
                    f"endpoint.{field} and endpoint.serverless are both given; a serverless endpoint has none: choose."
                )
    scaling = endpoint.scaling
    if scaling and scaling.min_instances > scaling.max_instances:
        raise InvalidJobError(
            f"endpoint.scaling.min_instances is {scaling.min_instances}; it must be at most "
            f"max_instances={scaling.max_instances}."
        )
    count = endpoint.instance_count
    if scaling and count is not None and not scaling.min_instances <= count <= scaling.max_instances:
        raise InvalidJobError(
            f"endpoint.instance_count is {count}; with endpoint.scaling it must be from "
            f"{scaling.min_instances} to {scaling.max_instances}."
        )


def _variant(algorithm: Algorithm, endpoint: Endpoint, model: str, count: int) -> dict[str, Any]:
    variant: dict[str, Any] = {"VariantName": VARIANT, "ModelName": model, "InitialVariantWeight": 1.0}
    if endpoint.serverless is not None:
        memory, concurrency = endpoint.serverless.memory_mb, endpoint.serverless.max_concurrency
        return {**variant, "ServerlessConfig": {"MemorySizeInMB": memory, "MaxConcurrency": concurrency}}
    instance_type = endpoint.instance_type or algorithm.serving.instance_type
    check_instance_type("endpoint.instance_type", instance_type, "hosting", gpu=algorithm.serving.gpu)
    return {**variant, "InstanceType": instance_type, "InitialInstanceCount": count}


def _capture(algorithm: Algorithm, endpoint: Endpoint, site: Site) -> dict[str, Any]:
    """DataCaptureConfig, which is there also where nothing is captured: a state cannot leave a field out."""
    types = algorithm.serving.content_types
    return {
        "EnableCapture": endpoint.capture is not None,
        "InitialSamplingPercentage": endpoint.capture.percent if endpoint.capture else 100,
        "DestinationS3Uri": f"s3://{site.model_bucket}/{algorithm.name}/captured",
        "KmsKeyId": site.key_arn,
        "CaptureOptions": [{"CaptureMode": "Input"}, {"CaptureMode": "Output"}],
        "CaptureContentTypeHeader": {
            name: chosen
            for name, known in (("CsvContentTypes", _TEXT), ("JsonContentTypes", _JSON))
            if (chosen := [content_type for content_type in types if content_type in known])
        },
    }


def _rollout(endpoint: Endpoint) -> Rollout | None:
    """As asked; the champion's traffic is not shifted to a shadow."""
    return Rollout(strategy="all_at_once") if endpoint.shadow else endpoint.rollout


def _update_policy(rollout: Rollout | None, count: int, alarms: list[str]) -> dict[str, Any]:
    """Blue/green: the former instances serve until the new ones do, and again when an alarm goes off.

    Where nothing is said, one of several instances takes traffic first.

    Raises:
        InvalidJobError: traffic that would be shifted step by step between single instances.
    """
    routing: dict[str, Any] = {"Type": "ALL_AT_ONCE", "WaitIntervalInSeconds": 0}
    bake = 0
    if rollout is None:
        if count > 1:
            size = {"Type": "INSTANCE_COUNT", "Value": 1}
            routing = {"Type": "CANARY", "WaitIntervalInSeconds": 60, "CanarySize": size}
    elif rollout.strategy == "all_at_once":
        bake = rollout.wait_s if alarms else 0
    else:
        if count < 2:
            raise InvalidJobError(
                f"endpoint.rollout.strategy is {rollout.strategy}, but endpoint.instance_count is {count}; "
                "traffic is shifted step by step between at least 2 instances."
            )
        size = {"Type": "CAPACITY_PERCENT", "Value": rollout.step_percent}
        field = "CanarySize" if rollout.strategy == "canary" else "LinearStepSize"
        routing = {"Type": rollout.strategy.upper(), "WaitIntervalInSeconds": rollout.wait_s, field: size}
        bake = rollout.wait_s
    return {
        "BlueGreenUpdatePolicy": {
            "TrafficRoutingConfiguration": routing,
            "TerminationWaitInSeconds": bake,
            "MaximumExecutionTimeoutInSeconds": _longest_update(routing, bake),
        },
        **({"AutoRollbackConfiguration": {"Alarms": [{"AlarmName": name} for name in alarms]}} if alarms else {}),
    }


def _longest_update(routing: Mapping[str, Any], bake: int) -> int:
    """Seconds: an hour for the instances themselves, and every wait between the steps."""
    step = routing.get("LinearStepSize", {}).get("Value", 100)
    return int(_LONGEST_UPDATE_S + -(-100 // step) * routing["WaitIntervalInSeconds"] + bake)
