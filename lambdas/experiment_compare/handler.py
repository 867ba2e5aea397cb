"""Lambda `experiment_compare`: what the arms of an experiment show."""

from __future__ import annotations

import json
from array import array
from functools import cache
from typing import Any

import boto3
from aws_lambda_powertools import Logger, Tracer
from aws_lambda_powertools.utilities.typing import LambdaContext

from lambdas.experiment_compare.comparison import compare

logger = Logger()
tracer = Tracer()


@logger.inject_lambda_context
@tracer.capture_lambda_handler(capture_response=False)
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:  # noqa: ARG001
    """Compare the arms. Input and output: docs/experiments.md."""
    plan, output = event["plan"], event["plan"]["output"]
    logger.append_keys(run=plan["run"], algorithm=plan["algorithm"])

    def errors(key: str) -> array[float]:
        return array("f", _s3().get_object(Bucket=output["bucket"], Key=key)["Body"].read())

    result = compare(plan, event["arms"], errors)
    key = f"{output['prefix']}/result.json"
    _s3().put_object(Bucket=output["bucket"], Key=key, Body=json.dumps(result).encode(), ContentType="application/json")
    return {**result, "result_s3_uri": f"s3://{output['bucket']}/{key}", "words": " ".join(result["verdict"])}


@cache
def _s3() -> Any:
    return boto3.client("s3")
