"""An execution's input as types: what the user may ask for, and one sentence for what cannot be meant."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StrictBool, StrictInt, StrictStr

from contract.specification import InvalidJobError
from lambdas.plan.wording import parsed

# SageMaker's own pattern for the names of jobs and endpoints.
_NAME = re.compile(r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}")
_S3_URI = r"^s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]/\S+$"
_NAME_IN_WORDS = "1 to 63 letters, digits and single dashes, beginning and ending with a letter or digit"


def _ask(expected: str, default: Any = ..., **constraints: Any) -> Any:
    """A field with the words that an error message needs."""
    return Field(default, json_schema_extra={"expected": expected}, **constraints)


def _name(value: object) -> object:
    if isinstance(value, str) and not _NAME.fullmatch(value):
        raise ValueError(value)
    return value


def _channel(value: object) -> object:
    return {"s3_uri": value} if isinstance(value, str) else value


def _number(value: object) -> object:
    """Pydantic would take "0.6" and True for numbers."""
    if value is not None and (isinstance(value, bool) or not isinstance(value, int | float)):
        raise ValueError(value)
    return value


def _switch(value: object) -> object:
    """True is the part with its defaults, false is none."""
    return ({} if value else None) if isinstance(value, bool) else value


_CHANNELS = 'an object of channels such as {"train": "s3://bucket/prefix"}'
Name = Annotated[str, BeforeValidator(_name)]
Number = Annotated[float, BeforeValidator(_number)]


class _Asked(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Channel(_Asked):
    """One input channel; None leaves a choice to the catalogue."""

    s3_uri: str = _ask("an address such as s3://bucket/prefix", pattern=_S3_URI)
    distribution: Literal["FullyReplicated", "ShardedByS3Key"] | None = _ask(
        "FullyReplicated or ShardedByS3Key", default=None
    )
    content_type: str | None = _ask("a content type such as text/plain", default=None, min_length=1, max_length=256)
    input_mode: Literal["File", "Pipe", "FastFile"] | None = _ask("File, Pipe or FastFile", default=None)
    compression: Literal["None", "Gzip"] = _ask("None or Gzip", default="None")
    record_wrapper: Literal["None", "RecordIO"] | None = _ask("None or RecordIO", default=None)
    s3_data_type: Literal["S3Prefix", "ManifestFile", "AugmentedManifestFile"] = _ask(
        "S3Prefix, ManifestFile or AugmentedManifestFile", default="S3Prefix"
    )
    attribute_names: tuple[str, ...] | None = _ask(
        "a list of 1 to 16 attribute names", default=None, min_length=1, max_length=16
    )


class Resources(_Asked):
    """The training job's hosts; None leaves a choice to the catalogue."""

    instance_type: str | None = _ask("a SageMaker training instance type such as ml.c5.2xlarge", default=None)
    instance_count: StrictInt | None = _ask("an integer from 1 to 100", default=None, ge=1, le=100)
    volume_gb: StrictInt | None = _ask("an integer from 1 to 16384", default=None, ge=1, le=16384)
    max_runtime_s: StrictInt | None = _ask("an integer from 60 to 432000", default=None, ge=60, le=432000)
    spot: StrictBool = _ask("true or false", default=False)
    max_interruptions: StrictInt | None = _ask("an integer from 0 to 100", default=None, ge=0, le=100)


class Preparation(_Asked):
    """What makes channels of raw data before the training; None leaves a choice to the catalogue."""

    name: str = _ask("the name of one of the algorithm's preparations")
    inputs: dict[str, Annotated[str, Field(pattern=_S3_URI)]] = _ask(
        'an object of raw data such as {"corpus": "s3://bucket/prefix"}', min_length=1
    )
    options: dict[str, StrictBool | StrictInt | float | StrictStr] = _ask(
        "an object of strings, numbers, true or false", default={}
    )
    instance_type: str | None = _ask("a SageMaker processing instance type such as ml.m5.xlarge", default=None)
    instance_count: StrictInt = _ask("an integer from 1 to 100", default=1, ge=1, le=100)
    volume_gb: StrictInt | None = _ask("an integer from 1 to 16384", default=None, ge=1, le=16384)
    max_runtime_s: StrictInt = _ask("an integer from 60 to 432000", default=3600, ge=60, le=432000)


class Tuning(_Asked):
    """A search for hyperparameters before the training, or in its place."""

    ranges: dict[str, list[Any]] = _ask(
        'an object of ranges such as {"learning_rate": [0.001, 0.1], "mode": ["cbow", "skipgram"]}',
        min_length=1,
        max_length=30,
    )
    metric: str | None = _ask("the name of a metric that the algorithm emits", default=None)
    jobs: StrictInt = _ask("an integer from 1 to 500", default=10, ge=1, le=500)
    parallel: StrictInt = _ask("an integer from 1 to 100", default=1, ge=1, le=100)
    strategy: Literal["Bayesian", "Random", "Grid"] = _ask("Bayesian, Random or Grid", default="Bayesian")
    early_stopping: StrictBool = _ask("true or false", default=False)
    seed: StrictInt | None = _ask("an integer from 0 to 4294967295", default=None, ge=0, le=4294967295)
    then: Literal["best", "train"] = _ask(
        "best, which takes the best job's model, or train, which trains once more with its hyperparameters",
        default="best",
    )


class Registration(_Asked):
    """The model's entry in the registry."""

    description: str | None = _ask("a text of at most 1024 characters", default=None, min_length=1, max_length=1024)


class Approval(_Asked):
    """A person decides before the model is deployed."""

    timeout_s: StrictInt = _ask("an integer from 60 to 31536000", default=7 * 24 * 3600, ge=60, le=31_536_000)


class Batch(_Asked):
    """Answers to all records at an address, in place of an endpoint; None leaves a choice to the catalogue."""

    input: str = _ask("an address such as s3://bucket/prefix", pattern=_S3_URI)
    content_type: str | None = _ask("a content type such as text/csv", default=None, min_length=1, max_length=256)
    split: Literal["None", "Line", "RecordIO"] = _ask("None, Line or RecordIO", default="Line")
    instance_type: str | None = _ask("a SageMaker transform instance type such as ml.m5.large", default=None)
    instance_count: StrictInt = _ask("an integer from 1 to 100", default=1, ge=1, le=100)
    max_runtime_s: StrictInt = _ask("an integer from 60 to 432000", default=3600, ge=60, le=432000)


class Gate(_Asked):
    """What the model must reach to be deployed; no metric is the first that the job emits."""

    metric: str | None = _ask("the name of a metric that the algorithm emits", default=None)
    at_least: Number | None = _ask("a number", default=None, allow_inf_nan=False)
    at_most: Number | None = _ask("a number", default=None, allow_inf_nan=False)
    beat_champion: StrictBool = _ask("true or false", default=False)


class Rollout(_Asked):
    """How an endpoint that is there goes over to the new model."""

    strategy: Literal["all_at_once", "canary", "linear"] = _ask("all_at_once, canary or linear", default="all_at_once")
    step_percent: StrictInt = _ask("an integer from 10 to 50", default=50, ge=10, le=50)
    wait_s: StrictInt = _ask("an integer from 0 to 3600", default=300, ge=0, le=3600)


class Alarms(_Asked):
    """When an endpoint's alarms go off; null leaves an alarm out."""

    errors_5xx: StrictInt | None = _ask("an integer from 1, for each minute, or null", default=1, ge=1)
    latency_p99_ms: Number | None = _ask("milliseconds above 0, or null", default=1000, gt=0)
    cpu_percent: Number | None = _ask("a number from 1 to 100, or null", default=90, ge=1, le=100)
    idle_hours: StrictInt | None = _ask("an integer from 1 to 24, or null", default=None, ge=1, le=24)


class Scaling(_Asked):
    """How many instances an endpoint has: as many as its requests need."""

    max_instances: StrictInt = _ask("an integer from 1 to 100", ge=1, le=100)
    min_instances: StrictInt = _ask("an integer from 1 to 100", default=1, ge=1, le=100)
    invocations_per_instance: Number = _ask("a number above 0, for each minute", default=500, gt=0)
    scale_in_s: StrictInt = _ask("an integer from 0 to 86400", default=600, ge=0, le=86400)
    scale_out_s: StrictInt = _ask("an integer from 0 to 86400", default=60, ge=0, le=86400)


class Serverless(_Asked):
    """An endpoint without instances, which costs nothing while nobody asks."""

    memory_mb: Literal[1024, 2048, 3072, 4096, 5120, 6144] = _ask("1024, 2048, 3072, 4096, 5120 or 6144", default=4096)
    max_concurrency: StrictInt = _ask("an integer from 1 to 200", default=5, ge=1, le=200)


class Capture(_Asked):
    """Which part of the requests and answers is kept in the model bucket."""

    percent: StrictInt = _ask("an integer from 1 to 100", default=100, ge=1, le=100)


class Shadow(_Asked):
    """The new model beside the one that serves: it gets copies of requests, and nobody gets its answers."""

    percent: StrictInt = _ask("an integer from 10 to 100", default=100, ge=10, le=100)


class Endpoint(_Asked):
    """Where the model is served; None leaves a choice to the catalogue."""

    name: Name = _ask(_NAME_IN_WORDS)
    instance_type: str | None = _ask("a SageMaker hosting instance type such as ml.m5.large", default=None)
    instance_count: StrictInt | None = _ask("an integer from 1 to 100", default=None, ge=1, le=100)
    serverless: Annotated[Serverless | None, BeforeValidator(_switch)] = _ask("true, false or an object", default=None)
    shadow: Annotated[Shadow | None, BeforeValidator(_switch)] = _ask("true, false or an object", default=None)
    rollout: Rollout | None = _ask("an object or null", default=None)
    alarms: Annotated[Alarms | None, BeforeValidator(_switch)] = _ask("true, false or an object", default=None)
    scaling: Scaling | None = _ask("an object or null", default=None)
    capture: Annotated[Capture | None, BeforeValidator(_switch)] = _ask("true, false or an object", default=None)


class Request(_Asked):
    """An execution's input."""

    name: Name | None = _ask(_NAME_IN_WORDS, default=None)
    inputs: dict[str, Annotated[Channel, BeforeValidator(_channel)]] = _ask(_CHANNELS)
    preparation: Preparation | None = _ask("an object or null", default=None)
    hyperparameters: dict[str, StrictBool | StrictInt | float | StrictStr] = _ask(
        "an object of strings, numbers, true or false", default={}
    )
    resources: Resources = _ask("an object", default=Resources())
    tuning: Tuning | None = _ask("an object or null", default=None)
    gate: Gate | None = _ask("an object or null", default=None)
    comparison: StrictBool = _ask("true or false", default=False)
    registration: Annotated[Registration | None, BeforeValidator(_switch)] = _ask(
        "true, false or an object", default=None
    )
    approval: Annotated[Approval | None, BeforeValidator(_switch)] = _ask("true, false or an object", default=None)
    endpoint: Endpoint | None = _ask("an object or null", default=None)
    batch: Batch | None = _ask("an object or null", default=None)
    clean_up: StrictBool = _ask("true or false", default=True)
    max_cost_usd: Number | None = _ask("US dollars above 0, or null", default=None, gt=0)

    @classmethod
    def parse(cls, found: object) -> Request:
        """The request that an execution's input is.

        Raises:
            InvalidJobError: the first thing that cannot be meant, in one sentence.
        """
        prepared = isinstance(found, dict) and found.get("preparation") is not None
        # What a preparation makes need not be named again.
        given = {"inputs": {}, **found} if prepared and isinstance(found, dict) else found
        request = parsed(cls, given, "The execution's input")
        if not request.inputs and not prepared:
            raise InvalidJobError(f"inputs is {{}}; it must be {_CHANNELS}.")
        return request
