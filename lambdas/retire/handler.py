"""Lambda `retire`: the former configuration and model, which nothing uses any more."""

from __future__ import annotations

from functools import cache
from typing import Any

import boto3
from aws_lambda_powertools import Logger, Tracer
from aws_lambda_powertools.utilities.typing import LambdaContext

from lambdas.hosting.endpoints import models_of
from lambdas.retire.retirement import retire

logger = Logger()
tracer = Tracer()


@logger.inject_lambda_context
@tracer.capture_lambda_handler(capture_response=False)
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:  # noqa: ARG001
    """Delete what the endpoint served before. Input and output: docs/pipeline.md#retire."""
    logger.append_keys(run=event["run"], algorithm=event["algorithm"])
    config_name = event["former"]["config_name"]
    kept = models_of(_sagemaker(), event["config_name"]) or []
    left = retire(_sagemaker(), config_name, event["ours"], kept) if config_name else []
    if left:
        logger.info("Left alone, because this pipeline did not make them", extra={"names": left})
    done = "has the new model as its shadow, which" if event["shadow"] else f"was {event['former']['action']} and"
    words = f"{event['endpoint']['name']} {done} passed its smoke test."
    if left:
        words += f" Not made by this pipeline and left alone: {', '.join(left)}."
    return {
        "endpoint": {**event["endpoint"], "action": event["former"]["action"]},
        "smoke_test": event["smoke_test"],
        "words": words,
    }


@cache
def _sagemaker() -> Any:
    return boto3.client("sagemaker")
