"""Lambda `experiment_plan`: an experiment's arms, or one sentence for what cannot be meant."""

from __future__ import annotations

from typing import Any

import boto3
from aws_lambda_powertools import Logger, Tracer
from aws_lambda_powertools.utilities.typing import LambdaContext

from lambdas.experiment_plan.plan import Site, plan
from lambdas.plan.data import holds_data

logger = Logger()
tracer = Tracer()


@logger.inject_lambda_context
@tracer.capture_lambda_handler(capture_response=False)
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:  # noqa: ARG001
    """Plan an experiment. Input and output: docs/experiments.md."""
    logger.append_keys(run=event["execution"]["name"])
    return plan(Site.model_validate(event["site"]), event["execution"], holds_data(boto3.client("s3")))
