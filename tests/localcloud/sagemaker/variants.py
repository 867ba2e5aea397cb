"""Endpoints of several variants, and what tests of their changes ask again and again."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.localcloud.sagemaker.conftest import Account, new_name, until


def variant(account: Account, name: str = "AllTraffic", instances: int = 1, **changes: Any) -> dict[str, Any]:
    """A production variant whose container greets with its name, or as `greeting` says."""
    environment = changes.pop("environment", {"GREETING": changes.pop("greeting", name)})
    return {
        "VariantName": name,
        "ModelName": account.model(environment),
        "InstanceType": "ml.m5.large",
        "InitialInstanceCount": instances,
        **changes,
    }


def serverless(account: Account, concurrency: int = 2, **changes: Any) -> dict[str, Any]:
    """A serverless production variant."""
    made = variant(account, **changes)
    del made["InstanceType"], made["InitialInstanceCount"]
    return {**made, "ServerlessConfig": {"MemorySizeInMB": 2048, "MaxConcurrency": concurrency}}


def configure(account: Account, *variants: dict[str, Any]) -> str:
    """Create an endpoint configuration; its name."""
    name = new_name("config")
    account.sagemaker.create_endpoint_config(EndpointConfigName=name, ProductionVariants=list(variants))
    return name


def serve(account: Account, *variants: dict[str, Any]) -> str:
    """Create an endpoint of these variants that is in service; its name."""
    name = new_name("endpoint")
    account.sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=configure(account, *variants))
    description = account.endpoint(name)
    assert description["EndpointStatus"] == "InService", description
    return name


def greetings(account: Account, endpoint: str, requests: int = 40) -> Counter[str]:
    """How often which container answered."""
    return Counter(account.ask(endpoint)["greeting"] for _ in range(requests))


def pids(account: Account, endpoint: str, requests: int = 12) -> set[int]:
    """The processes that answer."""
    return {account.ask(endpoint)["instance"] for _ in range(requests)}


def describe(account: Account, endpoint: str) -> dict[str, Any]:
    """What DescribeEndpoint answers now."""
    return dict(account.sagemaker.describe_endpoint(EndpointName=endpoint))


def step(account: Account, endpoint: str, status: str) -> dict[str, Any]:
    """The one pending variant, once a deployment shows this status; its first message says how far it is."""

    def look() -> dict[str, Any] | None:
        pending = describe(account, endpoint).get("PendingDeploymentSummary")
        for found in pending["ProductionVariants"] if pending else []:
            if found["VariantStatus"] and found["VariantStatus"][0]["Status"] == status:
                return dict(found)
        return None

    return dict(until(look))


def refused(operation: Any, **request: Any) -> str:
    """The message with which SageMaker refuses a request."""
    with pytest.raises(ClientError) as caught:
        operation(**request)
    error = caught.value.response["Error"]
    assert error["Code"] == "ValidationException", error
    return str(error["Message"])
