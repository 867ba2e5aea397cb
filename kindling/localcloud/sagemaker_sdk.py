"""Defaults for the SageMaker Python SDK, v2 and v3, without which it calls AWS at public addresses.

To name its default bucket the SDK asks STS for the account, at an address that no setting changes; and it reports each
call to AWS. A configuration file settles both, and its own variables name the file:
https://sagemaker.readthedocs.io/en/stable/overview.html#configuring-and-using-defaults-with-the-sagemaker-python-sdk
"""

from __future__ import annotations

import json
from pathlib import Path

from kindling.localcloud.atomic_files import write_atomically
from kindling.localcloud.cloud import ACCOUNT_ID, REGION

_FILE = "sagemaker-sdk.yaml"
# The name that the SDK itself would give.
_DEFAULT_BUCKET = f"sagemaker-{REGION}-{ACCOUNT_ID}"
_CONFIGURATION = {
    "SchemaVersion": "1.0",
    "SageMaker": {"PythonSDK": {"Modules": {"TelemetryOptOut": True, "Session": {"DefaultS3Bucket": _DEFAULT_BUCKET}}}},
}


def write_configuration(state: Path) -> None:
    """Put the configuration file into the state folder."""
    write_atomically(state / _FILE, json.dumps(_CONFIGURATION, indent=2))  # JSON is YAML


def environment(state: Path) -> dict[str, str]:
    """Environment variables that name the file, in place of the machine's and of the user's own."""
    path = str(state / _FILE)
    return {"SAGEMAKER_ADMIN_CONFIG_OVERRIDE": path, "SAGEMAKER_USER_CONFIG_OVERRIDE": path}
