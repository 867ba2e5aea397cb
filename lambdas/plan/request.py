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


class Gate(_Asked):
    """What the model must reach to be deployed; no metric is the first that the job emits."""

    metric: str | None = _ask("the name of a metric that the algorithm emits", default=None)
    at_least: Number | None = _ask("a number", default=None, allow_inf_nan=False)
    at_most: Number | None = _ask("a number", default=None, allow_inf_nan=False)
    beat_champion: StrictBool = _ask("true or false", default=False)


class Endpoint(_Asked):
    """Where the model is served; None leaves a choice to the catalogue."""

    name: Name = _ask(_NAME_IN_WORDS)
    instance_type: str | None = _ask("a SageMaker hosting instance type such as ml.m5.large", default=None)
    instance_count: StrictInt | None = _ask("an integer from 1 to 100", default=None, ge=1, le=100)


class Request(_Asked):
    """An execution's input."""

    name: Name | None = _ask(_NAME_IN_WORDS, default=None)
    inputs: dict[str, Annotated[Channel, BeforeValidator(_channel)]] = _ask(
        'an object of channels such as {"train": "s3://bucket/prefix"}', min_length=1
    )
    hyperparameters: dict[str, StrictBool | StrictInt | float | StrictStr] = _ask(
        "an object of strings, numbers, true or false", default={}
    )
    resources: Resources = _ask("an object", default=Resources())
    gate: Gate | None = _ask("an object or null", default=None)
    tuning: Any = _ask("null", default=None)
    endpoint: Endpoint | None = _ask("an object or null", default=None)

    @classmethod
    def parse(cls, found: object) -> Request:
        """The request that an execution's input is.

        Raises:
            InvalidJobError: the first thing that cannot be meant, in one sentence.
        """
        if isinstance(found, dict) and found.get("tuning") is not None:
            raise InvalidJobError("tuning is not available yet; leave it out or set it to null.")
        return parsed(cls, found, "The execution's input")
