"""Lambda `spot`: how a job on spot hosts does, and whether it is better off with hosts that stay."""

from __future__ import annotations

from functools import cache
from typing import Any

import boto3
from aws_lambda_powertools import Logger, Tracer
from aws_lambda_powertools.utilities.typing import LambdaContext

from lambdas.spot.watch import after, find_job, look

logger = Logger()
tracer = Tracer()


@logger.inject_lambda_context
@tracer.capture_lambda_handler(capture_response=False)
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:  # noqa: ARG001
    """Look at a spot job. Input and output: docs/pipeline.md#spot."""
    logger.append_keys(run=event["run"], algorithm=event["algorithm"])
    name, job = find_job(_sagemaker(), event["base_name"], event["attempts"])
    if event["question"] == "after":
        return after(job, event["max_interruptions"]).as_state(event["watch"])
    found = look(job, event["max_interruptions"])
    if found.stop:
        logger.warning("Interrupted too often; it goes on on demand", extra={"interruptions": found.interruptions})
        _sagemaker().stop_training_job(TrainingJobName=name)
    return found.as_state(event["watch"])


@cache
def _sagemaker() -> Any:
    return boto3.client("sagemaker")
