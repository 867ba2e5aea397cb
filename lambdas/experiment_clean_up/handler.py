"""Lambda `experiment_clean_up`: nothing of an experiment's arms goes on costing money; and why it failed, in words."""

from __future__ import annotations

from functools import cache
from typing import Any

import boto3
from aws_lambda_powertools import Logger, Tracer
from aws_lambda_powertools.utilities.typing import LambdaContext

from lambdas.experiment_clean_up.clean_up import clean_up
from lambdas.rollback.cause import error_name, failed_state, in_words

logger = Logger()
tracer = Tracer()

# A look every three seconds for half an hour.
_LONGEST = 600


@logger.inject_lambda_context
@tracer.capture_lambda_handler(capture_response=False)
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:  # noqa: ARG001
    """One look. Input and output: docs/experiments.md."""
    document = event["document"]
    logger.append_keys(run=document["execution"]["name"])
    calls = (document.get("clean_up") or {}).get("calls", 0)
    done = clean_up(_sagemaker(), (document.get("plan") or {}).get("arms", ()), _LONGEST, calls)
    answer: dict[str, Any] = {"calls": calls + 1, "done": done}
    if failed := document.get("failed"):
        state = failed_state(failed)
        answer |= {"error": error_name(state), "cause": f"{state}: {in_words(failed[state])}"}
    return answer


@cache
def _sagemaker() -> Any:
    return boto3.client("sagemaker")
