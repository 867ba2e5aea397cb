"""Lambda `plan`: refuses what cannot work, before anything is paid for."""

from __future__ import annotations

from functools import cache
from typing import Any

import boto3
from aws_lambda_powertools import Logger, Tracer
from aws_lambda_powertools.utilities.typing import LambdaContext

from contract.specification import Algorithm
from lambdas.plan.data import holds_data
from lambdas.plan.inputs import HoldsData
from lambdas.plan.plan import plan
from lambdas.plan.site import Site

logger = Logger()
tracer = Tracer()


@logger.inject_lambda_context
@tracer.capture_lambda_handler(capture_response=False)
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:  # noqa: ARG001
    """Check an execution's input and complete it. Input and output: docs/pipeline.md#plan."""
    algorithm, site = Algorithm.model_validate(event["algorithm"]), Site.model_validate(event["site"])
    logger.append_keys(run=event["execution"]["name"], algorithm=algorithm.name)
    return plan(algorithm, site, event["execution"], _holds_data())


@cache
def _holds_data() -> HoldsData:
    return holds_data(boto3.client("s3"))
