"""Lambda `guard`: an endpoint's alarms before traffic comes to a new model, its scaling after it."""

from __future__ import annotations

from functools import cache
from typing import Any

import boto3
from aws_lambda_powertools import Logger, Tracer
from aws_lambda_powertools.utilities.typing import LambdaContext

from lambdas.guard.alarms import put_alarms
from lambdas.guard.scaling import scale

logger = Logger()
tracer = Tracer()


@logger.inject_lambda_context
@tracer.capture_lambda_handler(capture_response=False)
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:  # noqa: ARG001
    """Guard an endpoint. Input and output: docs/pipeline.md#guard."""
    logger.append_keys(run=event["run"], algorithm=event["algorithm"])
    deployment = event["deployment"]
    if event["question"] == "alarms":
        names = put_alarms(_client("cloudwatch"), deployment["alarms"], event["topic"], event["tags"])
        return {"alarms": names}
    variants = [variant["VariantName"] for variant in deployment["variants"]]
    scale(_client("application-autoscaling"), deployment["endpoint_name"], variants, deployment["scaling"])
    return {"scaling": deployment["scaling"]}


@cache
def _client(service: str) -> Any:
    return boto3.client(service)
