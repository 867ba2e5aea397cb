"""An experiment's input as types, and one sentence for what cannot be meant."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StrictBool, StrictInt, StrictStr

from lambdas.plan.request import Channel, Name, Resources
from lambdas.plan.wording import parsed

Distribution = Literal["FullyReplicated", "ShardedByS3Key"]
Hosts = Annotated[StrictInt, Field(ge=1, le=100)]
Seed = Annotated[StrictInt, Field(ge=0, le=2**31 - 1)]


def _ask(expected: str, default: Any = ..., **constraints: Any) -> Any:
    return Field(default, json_schema_extra={"expected": expected}, **constraints)


def _channel(value: object) -> object:
    return {"s3_uri": value} if isinstance(value, str) else value


class _Asked(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Arms(_Asked):
    """What the arms differ in: every combination is one arm. None leaves a choice to the algorithm."""

    distributions: tuple[Distribution, ...] | None = _ask(
        "a list of FullyReplicated, ShardedByS3Key or both", default=None, min_length=1, max_length=2
    )
    instance_counts: tuple[Hosts, ...] | None = _ask(
        "a list of 1 to 10 integers from 1 to 100", default=None, min_length=1, max_length=10
    )
    seeds: tuple[Seed, ...] | None = _ask(
        "a list of 1 to 20 integers from 0 to 2147483647", default=None, min_length=1, max_length=20
    )


class Request(_Asked):
    """An experiment's input."""

    name: Name | None = _ask("letters, digits and single dashes", default=None)
    algorithm: StrictStr = _ask("the name of an algorithm")
    inputs: dict[str, Annotated[Channel, BeforeValidator(_channel)]] = _ask(
        'an object of channels such as {"train": "s3://bucket/prefix"}', min_length=1
    )
    hyperparameters: dict[str, StrictBool | StrictInt | float | StrictStr] = _ask(
        "an object of strings, numbers, true or false", default={}
    )
    resources: Resources = _ask("an object", default=Resources())
    arms: Arms = _ask("an object", default=Arms())
    test: str | None = _ask(
        "an address such as s3://bucket/prefix of CSV objects", default=None, pattern=r"^s3://[^/\s]+/\S+$"
    )
    metric: str | None = _ask("the name of a metric that the algorithm emits", default=None)
    parallel: StrictInt = _ask("an integer from 1 to 40", default=1, ge=1, le=40)

    @classmethod
    def parse(cls, found: object) -> Self:
        """The request that an execution's input is.

        Raises:
            InvalidJobError: the first thing that cannot be meant, in one sentence.
        """
        return parsed(cls, found, "The experiment's input")
