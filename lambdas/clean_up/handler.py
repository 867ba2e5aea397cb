"""Lambda `clean_up`: deletes what a run has left that nobody has use for."""

from __future__ import annotations

from functools import cache
from typing import Any

import boto3
from aws_lambda_powertools import Logger, Tracer
from aws_lambda_powertools.utilities.typing import LambdaContext

from lambdas.clean_up.objects import delete_below

logger = Logger()
tracer = Tracer()


@logger.inject_lambda_context
@tracer.capture_lambda_handler(capture_response=False)
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Clean up after a run. Input and output: docs/pipeline.md#clean-up."""
    logger.append_keys(run=event["run"], algorithm=event["algorithm"])
    # What is left when the time is nearly over is told and stays; a run does not fail of its litter.
    deleted, left = delete_below(
        _s3(), event["addresses"], event["keep"], lambda: context.get_remaining_time_in_millis() > _MARGIN_MS
    )
    if left:
        logger.warning("Not all could be deleted in time", extra={"addresses": left})
    return {"deleted": deleted, "left": left}


_MARGIN_MS = 20_000


@cache
def _s3() -> Any:
    return boto3.client("s3")
