"""A model package: how the model is served, what it reached, and what it was made of."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

# The registry takes texts of at most 256 characters, of this many at most.
_LONGEST, _MOST = 256, 50


def evaluation_report(event: Mapping[str, Any]) -> tuple[dict[str, str], bytes]:
    """Where a model's metrics are kept for the registry, beside its archive, and the JSON that is kept there."""
    address = urlsplit(event["evaluation"]["training"]["model_s3_uri"])
    key = address.path.removeprefix("/").removesuffix("model.tar.gz") + "evaluation.json"
    return {"Bucket": address.netloc, "Key": key}, json.dumps(event["evaluation"]["evaluation"], indent=1).encode()


def model_package(event: Mapping[str, Any], report: Mapping[str, str]) -> dict[str, Any]:
    """CreateModelPackage's request; asked again for the same run it makes no second version.

    Args:
        report: bucket and key of the evaluation.
    """
    training, types = event["evaluation"]["training"], event["content_types"]
    description = (event["registration"] or {}).get("description")
    return {
        "ModelPackageGroupName": event["group"],
        "ModelPackageDescription": description or f"{event['algorithm']}, run {event['run']}",
        "InferenceSpecification": {
            "Containers": [{"Image": event["image"], "ModelDataUrl": training["model_s3_uri"]}],
            "SupportedContentTypes": types,
            "SupportedResponseMIMETypes": types,
        },
        "ModelApprovalStatus": "Approved" if event["approval"] is None else "PendingManualApproval",
        "ModelMetrics": {
            "ModelQuality": {
                "Statistics": {
                    "ContentType": "application/json",
                    "S3Uri": f"s3://{report['Bucket']}/{report['Key']}",
                }
            }
        },
        "MetadataProperties": {"GeneratedBy": event["job_arn"]},
        "CustomerMetadataProperties": _properties(event),
        # The registry takes 36 characters.
        "ClientToken": hashlib.sha256(event["base_name"].encode()).hexdigest()[:32],
    }


def _properties(event: Mapping[str, Any]) -> dict[str, str]:
    """What a person sees of a version at once: the run, its data and what the gate said, then the metrics."""
    inputs = {
        f"input.{channel['ChannelName']}": channel["DataSource"]["S3DataSource"]["S3Uri"] for channel in event["inputs"]
    }
    metrics = {
        name.replace(":", "."): f"{value:g}" for name, value in event["evaluation"]["training"]["metrics"].items()
    }
    found = {"run": event["run"], "verdict": event["evaluation"]["verdict"], **inputs, **metrics}
    return {name[:128]: value[:_LONGEST] for name, value in list(found.items())[:_MOST]}
