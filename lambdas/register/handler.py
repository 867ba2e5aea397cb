"""Lambda `register`: a version of the algorithm's model group, with its metrics and where it comes from."""

from __future__ import annotations

from functools import cache
from typing import Any

import boto3
from aws_lambda_powertools import Logger, Tracer
from aws_lambda_powertools.utilities.typing import LambdaContext

from lambdas.register.package import evaluation_report, model_package

logger = Logger()
tracer = Tracer()


@logger.inject_lambda_context
@tracer.capture_lambda_handler(capture_response=False)
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:  # noqa: ARG001
    """Register a model. Input and output: docs/pipeline.md#register."""
    logger.append_keys(run=event["run"], algorithm=event["algorithm"])
    place, body = evaluation_report(event)
    _client("s3").put_object(**place, Body=body, ContentType="application/json")
    arn = _client("sagemaker").create_model_package(**model_package(event, place))["ModelPackageArn"]
    logger.info("Registered", extra={"model_package": arn})
    return {"model_package_arn": arn}


@cache
def _client(service: str) -> Any:
    return boto3.client(service)
