"""Lambda `experiment_arm`: what an arm's training took, and how wrong its model is."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

import boto3
from aws_lambda_powertools import Logger, Tracer
from aws_lambda_powertools.utilities.typing import LambdaContext

from lambdas.experiment_arm.measuring import measure
from lambdas.experiment_arm.scoring import Scores, by_endpoint, by_transform, place

logger = Logger()
tracer = Tracer()


@logger.inject_lambda_context
@tracer.capture_lambda_handler(capture_response=False)
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:  # noqa: ARG001
    """Measure or score an arm. Input and output: docs/experiments.md."""
    arm = event["arm"]
    logger.append_keys(run=arm["run"])
    match event["question"]:
        case "measure":
            return measure(_sagemaker().describe_training_job(TrainingJobName=event["job_name"]))
        case "transform":
            return _kept(by_transform(_transformed(arm)), event)
        case _:
            return _kept(by_endpoint(_test(arm["test_s3_uri"]), lambda body: _asked(arm["endpoint_name"], body)), event)


def _kept(scores: Scores, event: dict[str, Any]) -> dict[str, Any]:
    """The scores in short; each record's error is kept for the comparison of the arms."""
    summary = scores.summary()
    output = event["output"]
    key = place(output, event["arm"]["number"], event["question"])
    _s3().put_object(Bucket=output["bucket"], Key=key, Body=scores.errors.tobytes())
    return {**summary, "errors": key}


def _asked(endpoint: str, body: bytes) -> bytes:
    answer = _runtime().invoke_endpoint(
        EndpointName=endpoint, ContentType="text/csv", Accept="application/json", Body=body
    )
    content: bytes = answer["Body"].read()
    return content


def _test(uri: str) -> Iterator[tuple[str, Iterator[bytes]]]:
    """The test objects and their lines."""
    for bucket, key, _ in _objects(uri):
        yield key, _lines(bucket, key)


def _transformed(arm: dict[str, Any]) -> Iterator[tuple[str, Iterator[bytes], Iterator[bytes]]]:
    """The test objects with their lines and those of the transform's output."""
    bucket, prefix = _split(f"{arm['output_s3_uri']}/transform")
    for source, key, name in _objects(arm["test_s3_uri"]):
        yield key, _lines(source, key), _lines(bucket, f"{prefix}/{name}.out")


def _objects(uri: str) -> Iterator[tuple[str, str, str]]:
    """Bucket, key, and the key's part behind the prefix's last folder, as a transform's output has it."""
    bucket, prefix = _split(uri)
    folder = prefix[: prefix.rfind("/") + 1]
    for page in _s3().get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
        for found in page.get("Contents", ()):
            if found["Size"]:
                yield bucket, found["Key"], found["Key"].removeprefix(folder)


def _lines(bucket: str, key: str) -> Iterator[bytes]:
    yield from _s3().get_object(Bucket=bucket, Key=key)["Body"].iter_lines()


def _split(uri: str) -> tuple[str, str]:
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    return bucket, key


@cache
def _s3() -> Any:
    return boto3.client("s3")


@cache
def _sagemaker() -> Any:
    return boto3.client("sagemaker")


@cache
def _runtime() -> Any:
    return boto3.client("sagemaker-runtime")
