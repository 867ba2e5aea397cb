"""Lambda `rollback`: after a failure, nothing that was begun is left behind, and the cause is in words."""

from __future__ import annotations

from dataclasses import asdict, replace
from functools import cache
from typing import Any

import boto3
from aws_lambda_powertools import Logger, Tracer
from aws_lambda_powertools.utilities.typing import LambdaContext

from lambdas.rollback.document import begun, outcome, progress
from lambdas.rollback.undo import undo

logger = Logger()
tracer = Tracer()

# A look every three seconds for one hour; the execution's history has room for it.
_LONGEST = 1200


@logger.inject_lambda_context
@tracer.capture_lambda_handler(capture_response=False)
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:  # noqa: ARG001
    """Undo one step of a failed execution. Input and output: docs/pipeline.md#rollback."""
    document = event["document"]
    logger.append_keys(run=document["execution"]["name"], algorithm=event["algorithm"])
    made, before = begun(document, event["attempts"]), progress(document)
    after = replace(before, done=True) if made is None else undo(_sagemaker(), made, before, _LONGEST)
    error, cause = outcome(document["failed"], after.undone)
    if after.done:
        logger.error("The execution failed", extra={"error": error, "cause": cause})
    return {"done": after.done, "error": error, "cause": cause, "progress": asdict(after)}


@cache
def _sagemaker() -> Any:
    return boto3.client("sagemaker")
