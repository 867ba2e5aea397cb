"""What requests make of the variants that serve: other weights and capacities, and what an update retains."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from kindling.localcloud.sagemaker.errors import InvalidRequestError
from kindling.localcloud.sagemaker.hosting.endpoint_configs import EndpointConfig
from kindling.localcloud.sagemaker.hosting.fleet import Fleet
from kindling.localcloud.sagemaker.hosting.inference_options import PRODUCTION, SHADOWS

_COUNT, _WEIGHT, _CAPTURE = "DesiredInstanceCount", "DesiredWeight", "DataCaptureConfig"


def adapted(wanted: Sequence[Mapping[str, Any]], fleet: Fleet) -> dict[str, dict[str, Any]]:
    """The records that a fleet's variants are to have by DesiredWeightsAndCapacities.

    Raises:
        InvalidRequestError: a variant is unknown or named twice, or cannot be given what is wanted.
    """
    records = fleet.variant_records()
    names = [one["VariantName"] for one in wanted]
    unknown = [name for name in names if name not in records]
    if unknown:
        raise InvalidRequestError(
            f'The variant name(s) "{", ".join(unknown)}" is/are not present within endpoint configuration '
            f'"{fleet.config.name}".'
        )
    if len(set(names)) < len(names):
        raise InvalidRequestError("DesiredWeightsAndCapacities must name each variant once.")
    for one in wanted:
        records[one["VariantName"]] |= _adapted(one, fleet)
    return records


def retained(
    request: Mapping[str, Any], present: Fleet, config: EndpointConfig
) -> tuple[EndpointConfig, dict[str, dict[str, Any]] | None]:
    """What UpdateEndpoint's RetainAllVariantProperties makes of a configuration, and the records of its variants.

    Raises:
        InvalidRequestError: something is excluded from what is retained, but nothing is retained.
    """
    excluded = {one["VariantPropertyType"] for one in request.get("ExcludeRetainedVariantProperties", [])}
    if not request.get("RetainAllVariantProperties"):
        if excluded:
            raise InvalidRequestError(
                "ExcludeRetainedVariantProperties must not be given unless RetainAllVariantProperties is true."
            )
        return config, None
    if _CAPTURE not in excluded:
        config = config.with_capture_of(present.config)
    records = {}
    for variant in (*config.request[PRODUCTION], *config.request.get(SHADOWS, [])):
        former = present.running.get(variant["VariantName"])
        if former is None or bool(former.variant.serverless) != ("ServerlessConfig" in variant):
            continue
        records[variant["VariantName"]] = {
            "weight": variant.get("InitialVariantWeight", 1.0) if _WEIGHT in excluded else former.weight,
            "desired": variant.get("InitialInstanceCount", 0) if _COUNT in excluded else former.desired,
            "serverless": variant.get("ServerlessConfig"),
        }
    return config, records


def _adapted(wanted: Mapping[str, Any], fleet: Fleet) -> dict[str, Any]:
    variant = fleet.running[wanted["VariantName"]].variant
    where = f"DesiredWeightsAndCapacities: variant {variant.name}: "
    changes: dict[str, Any] = {}
    if _WEIGHT in wanted:
        changes["weight"] = wanted[_WEIGHT]
    if (count := wanted.get(_COUNT)) is not None:
        if variant.serverless:
            raise InvalidRequestError(f"{where}DesiredInstanceCount must not be given for a serverless variant.")
        # Only what comes from a queue can wait until there is an instance again.
        if count < 1 and "AsyncInferenceConfig" not in fleet.config.request:
            raise InvalidRequestError(f"{where}DesiredInstanceCount must be at least 1.")
        changes["desired"] = count
    if (serverless := wanted.get("ServerlessUpdateConfig")) is not None:
        if not variant.serverless:
            raise InvalidRequestError(f"{where}ServerlessUpdateConfig must not be given unless it is serverless.")
        changes["serverless"] = {**variant.serverless, **serverless}
    if not changes:
        raise InvalidRequestError(f"{where}DesiredWeight or DesiredInstanceCount is required.")
    return changes
