"""Lambda `endpoint`: what an endpoint is before a deployment, and how far it is during one."""

from __future__ import annotations

from functools import cache
from typing import Any

import boto3
from aws_lambda_powertools import Logger, Tracer
from aws_lambda_powertools.utilities.typing import LambdaContext

from lambdas.endpoint.shadow import beside
from lambdas.endpoint.status import check, former
from lambdas.hosting.endpoints import find_endpoint

logger = Logger()
tracer = Tracer()


@logger.inject_lambda_context
@tracer.capture_lambda_handler(capture_response=False)
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:  # noqa: ARG001
    """Look at an endpoint. Input and output: docs/pipeline.md#endpoint."""
    logger.append_keys(run=event["run"], algorithm=event["algorithm"])
    name = event["deployment"]["endpoint_name"]
    found = find_endpoint(_sagemaker(), name)
    deployment = event["deployment"]
    if event["question"] == "former":
        return {**former(found), **beside(_sagemaker(), found, deployment)}
    return check(found, name, deployment["config_name"], event["check"], deployment["longest_checks"])


@cache
def _sagemaker() -> Any:
    return boto3.client("sagemaker")
