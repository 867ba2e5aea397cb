"""Lambda `smoke_test`: one request that any healthy endpoint of the algorithm answers."""

from __future__ import annotations

import time
from functools import cache
from typing import Any

import boto3
from aws_lambda_powertools import Logger, Tracer
from aws_lambda_powertools.utilities.typing import LambdaContext

from lambdas.smoke_test.answer import check_answer
from lambdas.smoke_test.shadow import check_shadow

logger = Logger()
tracer = Tracer()


@logger.inject_lambda_context
@tracer.capture_lambda_handler(capture_response=False)
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:  # noqa: ARG001
    """Ask the endpoint and look at its answer. Input and output: docs/pipeline.md#smoke-test."""
    logger.append_keys(run=event["run"], algorithm=event["algorithm"])
    test = event["smoke_test"]

    def ask() -> bytes:
        answer = _client("sagemaker-runtime").invoke_endpoint(
            EndpointName=event["endpoint_name"],
            ContentType=test["content_type"],
            Accept=test["content_type"],
            Body=test["body"].encode(),
        )
        return bytes(answer["Body"].read())

    started = time.perf_counter()
    answer = ask()
    latency_ms = round((time.perf_counter() - started) * 1000, 1)
    check_answer(answer, test["expect"])
    if event["shadow"] is not None:
        check_shadow(_client("cloudwatch"), event["endpoint_name"], event["shadow"]["percent"], ask)
    return {"passed": True, "latency_ms": latency_ms}


@cache
def _client(service: str) -> Any:
    return boto3.client(service)
