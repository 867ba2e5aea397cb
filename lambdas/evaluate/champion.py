"""The model that an endpoint serves now, and what it reached."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from lambdas.evaluate.archive import UnreadableEvaluationError, evaluation_in
from lambdas.evaluate.gate import Champion
from lambdas.evaluate.metrics import metrics_of, value_of
from lambdas.hosting.endpoints import find_endpoint, models_of, unless_missing

# Both ways of writing an address of S3 that SageMaker gives back.
_ADDRESS = re.compile(r"(?:s3://|https://s3[.\w-]*\.amazonaws\.com/)(?P<bucket>[^/]+)/(?P<key>.+)")
# Where a job of this pipeline leaves its model: <algorithm>/<job>/output/model.tar.gz.
_JOB = re.compile(r"/([^/]+)/output/model\.tar\.gz$")


def find_champion(sagemaker: Any, s3: Any, endpoint_name: str, metric: str, evaluation: str | None) -> Champion | None:
    """The model behind an endpoint with its value of `metric`; None where there is no such endpoint.

    The value is the training job's; when the job tells none, that of the evaluation file in the model's archive.
    """
    endpoint = find_endpoint(sagemaker, endpoint_name)
    models = endpoint and models_of(sagemaker, endpoint.config_name)
    if not models:
        return None
    model = unless_missing(lambda: sagemaker.describe_model(ModelName=models[0]))
    address = ((model or {}).get("PrimaryContainer") or {}).get("ModelDataUrl", "")
    value = value_of(metric, _job_metrics(sagemaker, address), {})
    if value is None and evaluation is not None:
        value = value_of(metric, {}, _evaluation(s3, address, evaluation))
    return Champion(model=models[0], value=value)


def bucket_and_key(address: str) -> tuple[str, str] | None:
    """Bucket and key of an object's address, s3:// or https://s3.<region>.amazonaws.com/; None when it is neither."""
    found = _ADDRESS.fullmatch(address)
    return None if found is None else (found["bucket"], found["key"])


def _job_metrics(sagemaker: Any, address: str) -> Mapping[str, float]:
    found = _JOB.search(address)
    job = found and unless_missing(lambda: sagemaker.describe_training_job(TrainingJobName=found[1]))
    return metrics_of(job) if job else {}


def _evaluation(s3: Any, address: str, name: str) -> Mapping[str, Any]:
    place = bucket_and_key(address)
    if place is None:
        return {}
    try:
        body = s3.get_object(Bucket=place[0], Key=place[1])["Body"]
    except (s3.exceptions.NoSuchKey, s3.exceptions.NoSuchBucket):
        return {}
    try:
        return evaluation_in(body, name)
    except UnreadableEvaluationError:
        # A champion whose record cannot be read has no value on record; the gate says so.
        return {}
