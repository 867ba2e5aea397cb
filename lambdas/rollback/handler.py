"""Lambda `rollback`: after a failure, nothing that was begun is left behind, and the cause is in words."""

from __future__ import annotations

from dataclasses import asdict, replace
from functools import cache
from typing import Any

import boto3
from aws_lambda_powertools import Logger, Tracer
from aws_lambda_powertools.utilities.typing import LambdaContext

from lambdas.rollback.document import begun, outcome, progress
from lambdas.rollback.guards import reject_package, remove_guards
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
    after = replace(before, done=True) if made is None else undo(_client("sagemaker"), made, before, _LONGEST)
    error, cause = outcome(document["failed"], after.undone)
    # Where the new model has to stay, what stands around it stays, too.
    if after.done and not after.undone and made is not None:
        left = [*remove_guards(_client, document), *reject_package(_client, document, cause)]
        after = replace(after, undone=tuple(left))
        error, cause = outcome(document["failed"], after.undone)
    if after.done:
        logger.error("The execution failed", extra={"error": error, "cause": cause})
    return {"done": after.done, "error": error, "cause": cause, "progress": asdict(after)}


@cache
def _client(service: str) -> Any:
    return boto3.client(service)
