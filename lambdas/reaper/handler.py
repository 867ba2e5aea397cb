"""Lambda `reaper`: endpoints that nobody asks are told of or deleted, and SageMaker's logs expire."""

from __future__ import annotations

from functools import cache
from typing import Any

import boto3
from aws_lambda_powertools import Logger, Tracer
from aws_lambda_powertools.utilities.typing import LambdaContext

from lambdas.reaper.asked import Asked
from lambdas.reaper.idle import Idle, idle_endpoints
from lambdas.reaper.log_groups import limit_retention
from lambdas.reaper.removal import remove
from lambdas.reaper.report import report, subject

logger = Logger()
tracer = Tracer()


@logger.inject_lambda_context
@tracer.capture_lambda_handler(capture_response=False)
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:  # noqa: ARG001
    """One look. Input and output: docs/account.md#the-reaper."""
    asked = Asked.model_validate(event)
    found = _reap(asked) if asked.action != "none" else []
    if found:
        message = report(found, hours=asked.idle_hours, prices=asked.prices_usd_per_hour)
        logger.warning("Idle endpoints", extra={"report": message})
        _client("sns").publish(TopicArn=asked.topic_arn, Subject=subject(len(found)), Message=message)
    limited = limit_retention(_client("logs"), asked.log_retention_days)
    if limited:
        logger.info("Log groups expire now", extra={"names": limited})
    return {"idle": {endpoint.name: outcome for endpoint, outcome in found}, "log_groups": limited}


def _reap(asked: Asked) -> list[tuple[Idle, str | None]]:
    sagemaker, cloudwatch = _client("sagemaker"), _client("cloudwatch")
    idle = list(idle_endpoints(sagemaker, cloudwatch, ours=asked.ours, hours=asked.idle_hours, at=asked.at))
    if asked.action == "report":
        return [(endpoint, None) for endpoint in idle]
    return [(endpoint, remove(sagemaker, cloudwatch, endpoint, asked.ours)) for endpoint in idle]


@cache
def _client(service: str) -> Any:
    return boto3.client(service)
