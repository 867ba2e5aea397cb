"""What a CreateTransformJob request asks for, checked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kindling.localcloud.sagemaker.errors import InvalidRequestError
from kindling.localcloud.sagemaker.sources import address_of
from kindling.localcloud.sagemaker.transform.records import media_type
from kindling.localcloud.sagemaker.validation import IGNORED, members_of, refuse_unsupported, require

# What a request may ask for. Encryption changes nothing here.
_SUPPORTED = members_of(
    "CreateTransformJob",
    {
        "TransformJobName": None,
        "ModelName": None,
        "MaxConcurrentTransforms": None,
        "ModelClientConfig": None,
        "MaxPayloadInMB": None,
        "BatchStrategy": None,
        "Environment": None,
        "TransformInput": {
            "DataSource": {"S3DataSource": {"S3DataType": None, "S3Uri": None}},
            "ContentType": None,
            "CompressionType": None,
            "SplitType": None,
        },
        "TransformOutput": {"S3OutputPath": None, "Accept": None, "AssembleWith": None, "KmsKeyId": None},
        "TransformResources": {"InstanceType": None, "InstanceCount": None, "VolumeKmsKeyId": IGNORED},
        "DataProcessing": None,
        "Tags": None,
    },
)
_MAX_INSTANCES = 20
_MAX_MB = 100
_FORMATS = ("text/csv", "application/json", "application/jsonlines")


def check(request: Mapping[str, Any]) -> None:
    """Refuse what the service refuses, or the embedded cloud does not do.

    Raises:
        InvalidRequestError: names the member.
    """
    refuse_unsupported(request, _SUPPORTED)
    given, wanted = request["TransformInput"], request["TransformOutput"]
    source = given["DataSource"]["S3DataSource"]
    where = "TransformInput.DataSource.S3DataSource"
    require(f"{where}.S3DataType", source["S3DataType"], "S3Prefix", "ManifestFile")
    require("TransformInput.SplitType", given.get("SplitType"), "None", "Line", "RecordIO")
    address_of(f"{where}.S3Uri", source["S3Uri"])
    address_of("TransformOutput.S3OutputPath", wanted["S3OutputPath"])
    count = request["TransformResources"]["InstanceCount"]
    if count > _MAX_INSTANCES:
        raise InvalidRequestError(
            f"TransformResources.InstanceCount={count} is out of range; it must be from 1 to {_MAX_INSTANCES}."
        )
    _check_payload(request)
    _check_processing(request.get("DataProcessing", {}), given, wanted)


def _check_payload(request: Mapping[str, Any]) -> None:
    payload, transforms = request.get("MaxPayloadInMB"), request.get("MaxConcurrentTransforms")
    if payload and payload > _MAX_MB:
        raise InvalidRequestError(f"MaxPayloadInMB={payload} is out of range; it must be from 0 to {_MAX_MB}.")
    if payload and transforms and payload * transforms > _MAX_MB:
        raise InvalidRequestError(
            f"MaxConcurrentTransforms={transforms} times MaxPayloadInMB={payload} must not exceed {_MAX_MB} MB."
        )


def _check_processing(processing: Mapping[str, Any], given: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
    """Records are only taken apart and joined where their formats are known, and are the same on both sides."""
    joined = processing.get("JoinSource") == "Input"
    filtered = processing.get("OutputFilter", "$") != "$"
    if joined or processing.get("InputFilter", "$") != "$":
        _check_format("TransformInput.ContentType", given.get("ContentType"))
        _check_lines("TransformInput.ContentType", given.get("ContentType"), "SplitType", given.get("SplitType"))
    if joined or filtered:
        _check_format("TransformOutput.Accept", wanted.get("Accept"))
        _check_lines("TransformOutput.Accept", wanted.get("Accept"), "AssembleWith", wanted.get("AssembleWith"))
    if joined and _is_csv(given["ContentType"]) != _is_csv(wanted["Accept"]):
        raise InvalidRequestError(
            f"TransformOutput.Accept={wanted['Accept']} cannot be joined with "
            f"TransformInput.ContentType={given['ContentType']}; both must be CSV or both JSON."
        )


def _check_format(where: str, found: str | None) -> None:
    if found is None or media_type(found) not in _FORMATS:
        raise InvalidRequestError(f"{where} must be one of {', '.join(_FORMATS)} when DataProcessing is used.")


def _check_lines(where: str, found: str | None, member: str, how: str | None) -> None:
    if found and _is_csv(found) and how != "Line":
        raise InvalidRequestError(f"{member} must be Line when DataProcessing is used and {where} is text/csv.")


def _is_csv(content_type: str) -> bool:
    return media_type(content_type) == "text/csv"
