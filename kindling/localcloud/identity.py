"""IAM: AWS's own managed policies exist, as templates that name them expect; moto leaves them out to start faster."""

from __future__ import annotations

from kindling.localcloud.cloud import Cloud


def install(_cloud: Cloud) -> None:
    """Have moto load the managed policies."""
    from moto.core.config import default_user_config

    default_user_config["iam"]["load_aws_managed_policies"] = True
