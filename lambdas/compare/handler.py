"""Lambda `compare`: the new model beside the champion, for who decides and for the record."""

from __future__ import annotations

from functools import cache
from typing import Any

import boto3
from aws_lambda_powertools import Logger, Tracer
from aws_lambda_powertools.utilities.typing import LambdaContext

from lambdas.compare.comparison import compare
from lambdas.evaluate.champion import find_champion

logger = Logger()
tracer = Tracer()


@logger.inject_lambda_context
@tracer.capture_lambda_handler(capture_response=False)
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:  # noqa: ARG001
    """Compare with the model behind the endpoint. Input and output: docs/pipeline.md#compare."""
    logger.append_keys(run=event["run"], algorithm=event["algorithm"])
    name, evaluation = event["endpoint_name"], event["evaluation"]["evaluation"]
    return compare(
        event["metrics"],
        evaluation,
        lambda metric: find_champion(_client("sagemaker"), _client("s3"), name, metric, event["evaluation_file"]),
    )


@cache
def _client(service: str) -> Any:
    return boto3.client(service)
