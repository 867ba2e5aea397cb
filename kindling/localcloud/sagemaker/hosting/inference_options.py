"""What an endpoint configuration says about data capture, asynchronous inference and shadow variants."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from kindling.localcloud.sagemaker.errors import DataError, InvalidRequestError
from kindling.localcloud.sagemaker.hosting.models import Model
from kindling.localcloud.sagemaker.objects import Address
from kindling.localcloud.sagemaker.validation import Supported

# The members of a configuration, and of an endpoint's description, that list variants.
PRODUCTION, SHADOWS = "ProductionVariants", "ShadowProductionVariants"
CAPTURE: Supported = {
    "EnableCapture": None,
    "InitialSamplingPercentage": None,
    "DestinationS3Uri": None,
    "KmsKeyId": None,
    "CaptureOptions": {"CaptureMode": None},
    "CaptureContentTypeHeader": {"CsvContentTypes": None, "JsonContentTypes": None},
}
ASYNCHRONOUS: Supported = {
    "ClientConfig": {"MaxConcurrentInvocationsPerInstance": None},
    "OutputConfig": {
        "KmsKeyId": None,
        "S3OutputPath": None,
        "S3FailurePath": None,
        "NotificationConfig": {"SuccessTopic": None, "ErrorTopic": None},
    },
}


def capture_of(request: Mapping[str, Any]) -> dict[str, Any] | None:
    """The DataCaptureConfig of a configuration that captures, else None."""
    config: dict[str, Any] | None = request.get("DataCaptureConfig")
    return config if config and config.get("EnableCapture", True) else None


def capture_summary(request: Mapping[str, Any]) -> dict[str, Any] | None:
    """What DescribeEndpoint tells of data capture."""
    config = request.get("DataCaptureConfig")
    if not config:
        return None
    enabled = capture_of(request) is not None
    return {
        "EnableCapture": enabled,
        "CaptureStatus": "Started" if enabled else "Stopped",
        "CurrentSamplingPercentage": config["InitialSamplingPercentage"],
        "DestinationS3Uri": config["DestinationS3Uri"],
        "KmsKeyId": config.get("KmsKeyId", ""),
    }


def check_options(request: Mapping[str, Any], models: Sequence[Model]) -> None:
    """Refuse a DataCaptureConfig or an AsyncInferenceConfig that cannot be followed.

    Args:
        models: of the configuration's variants.
    Raises:
        InvalidRequestError: names the member.
    """
    if capture := request.get("DataCaptureConfig"):
        _check_address("DataCaptureConfig.DestinationS3Uri", capture["DestinationS3Uri"])
    asynchronous = request.get("AsyncInferenceConfig")
    if not asynchronous:
        return
    output = asynchronous["OutputConfig"]
    if not output.get("S3OutputPath"):
        raise InvalidRequestError(
            "AsyncInferenceConfig.OutputConfig without S3OutputPath is not implemented by the embedded cloud."
        )
    _check_address("AsyncInferenceConfig.OutputConfig.S3OutputPath", output["S3OutputPath"])
    if failures := output.get("S3FailurePath"):
        _check_address("AsyncInferenceConfig.OutputConfig.S3FailurePath", failures)
    if len(models) > 1:
        raise InvalidRequestError(
            "AsyncInferenceConfig with several production variants is not implemented by the embedded cloud."
        )
    if models[0].multi:
        raise InvalidRequestError(
            "AsyncInferenceConfig with a multi-model model is not implemented by the embedded cloud."
        )
    if capture:
        raise InvalidRequestError(
            "DataCaptureConfig together with AsyncInferenceConfig is not implemented by the embedded cloud."
        )


def check_shadow(request: Mapping[str, Any], models: Sequence[Model]) -> None:
    """Refuse a shadow variant where the service has none.

    Args:
        models: of all of the configuration's variants.
    Raises:
        InvalidRequestError: says what a shadow variant cannot stand beside.
    """
    for member in (PRODUCTION, SHADOWS):
        if (count := len(request[member])) != 1:
            raise InvalidRequestError(
                f"{member} has {count} variants; with {SHADOWS} there must be one production variant and one shadow."
            )
    [production], [shadow] = request[PRODUCTION], request[SHADOWS]
    for variant in (production, shadow):
        if "ServerlessConfig" in variant:
            raise InvalidRequestError(f"{SHADOWS} is not supported with serverless variant {variant['VariantName']}.")
    if "AsyncInferenceConfig" in request:
        raise InvalidRequestError(f"{SHADOWS} is not supported together with AsyncInferenceConfig.")
    if any(model.multi for model in models):
        raise InvalidRequestError(f"{SHADOWS} is not supported with a multi-model model.")


def _check_address(path: str, text: str) -> None:
    try:
        Address.parse(text)
    except DataError as error:
        raise InvalidRequestError(f"{path}: {error}") from None
