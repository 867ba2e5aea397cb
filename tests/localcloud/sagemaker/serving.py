"""Endpoints of the small serving program, for the tests of invocations."""

from __future__ import annotations

from typing import Any

from tests.localcloud.sagemaker.conftest import Account, new_name
from tests.localcloud.sagemaker.embedded import SERVING_IMAGE


def config_of(account: Account, *, instances: int = 1, container: dict[str, Any] | None = None, **options: Any) -> str:
    """Create a model and an endpoint configuration with further options; its name."""
    model, config = new_name("model"), new_name("config")
    account.sagemaker.create_model(
        ModelName=model, PrimaryContainer={"Image": SERVING_IMAGE, **(container or {})}, ExecutionRoleArn=account.role
    )
    variant = {
        "VariantName": "AllTraffic",
        "ModelName": model,
        "InstanceType": "ml.m5.large",
        "InitialInstanceCount": instances,
    }
    account.sagemaker.create_endpoint_config(EndpointConfigName=config, ProductionVariants=[variant], **options)
    return config


def endpoint_of(account: Account, **options: Any) -> str:
    """Create an endpoint that is in service; its name. The options are those of `config_of`."""
    name = new_name("endpoint")
    account.sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=config_of(account, **options))
    description = account.endpoint(name)
    assert description["EndpointStatus"] == "InService", description
    return name


def objects(account: Account, prefix: str) -> dict[str, bytes]:
    """The objects of the account's bucket whose keys begin with a prefix."""
    found = account.s3.list_objects_v2(Bucket=account.bucket, Prefix=prefix).get("Contents", [])
    keys = [item["Key"] for item in found]
    return {key: account.s3.get_object(Bucket=account.bucket, Key=key)["Body"].read() for key in keys}
