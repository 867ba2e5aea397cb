"""Lambda `evaluate`: what the model reached, and whether that is enough to deploy it."""

from __future__ import annotations

from functools import cache
from typing import Any

import boto3
from aws_lambda_powertools import Logger, Tracer
from aws_lambda_powertools.utilities.typing import LambdaContext

from lambdas.evaluate.archive import evaluation_in
from lambdas.evaluate.champion import bucket_and_key, find_champion
from lambdas.evaluate.gate import Decision, Gate, decide
from lambdas.evaluate.metrics import training_summary, value_of

logger = Logger()
tracer = Tracer()


@logger.inject_lambda_context
@tracer.capture_lambda_handler(capture_response=False)
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:  # noqa: ARG001
    """Read a finished job's figures and decide. Input and output: docs/pipeline.md#evaluate."""
    logger.append_keys(run=event["run"], algorithm=event["algorithm"])
    training = training_summary(event["job"])
    details = _details(training["model_s3_uri"], event["evaluation"])
    decision = _decision(event, training["metrics"], details)
    return {
        "training": training,
        "evaluation": {
            "metrics": training["metrics"],
            "details": details,
            "gate": decision.as_state() if decision else None,
        },
        "passed": decision is None or decision.passed,
        "verdict": decision.reason if decision else "no gate was asked for.",
    }


def _details(address: str, evaluation: str | None) -> dict[str, Any]:
    place = bucket_and_key(address)
    if evaluation is None or place is None:
        return {}
    return evaluation_in(_s3().get_object(Bucket=place[0], Key=place[1])["Body"], evaluation)


def _decision(event: dict[str, Any], metrics: dict[str, float], details: dict[str, Any]) -> Decision | None:
    asked = event["gate"]
    if asked is None:
        return None
    gate = Gate(**asked, goal=event["goals"][asked["metric"]])
    champion = None
    if gate.beat_champion:
        champion = find_champion(_sagemaker(), _s3(), event["endpoint_name"], gate.metric, event["evaluation"])
    return decide(gate, value_of(gate.metric, metrics, details), champion)


@cache
def _s3() -> Any:
    return boto3.client("s3")


@cache
def _sagemaker() -> Any:
    return boto3.client("sagemaker")
