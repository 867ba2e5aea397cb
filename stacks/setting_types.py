"""What a setting may be: its type, how it may be written as text on a command line, and what else it has to hold."""

from __future__ import annotations

import ipaddress
import json
from typing import Annotated, Final, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationInfo

# The only retention periods that CloudWatch Logs knows.
LOG_RETENTION_DAYS: Final = (
    *(1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731),
    *(1096, 1827, 2192, 2557, 2922, 3288, 3653),
)
# The services that a private network may have endpoints of, by the ends of their endpoints' names.
Service = Literal[
    "ecr.api", "ecr.dkr", "kms", "logs", "monitoring", "sagemaker.api", "sagemaker.runtime", "sns", "states", "sts"
]


def blank_is_none(value: object) -> object:
    """An empty text takes an optional setting back."""
    return None if value == "" else value


def known_retention(days: int) -> int:
    """A retention period that there is."""
    if days not in LOG_RETENTION_DAYS:
        raise ValueError(days)
    return days


def as_object(tags: object) -> object:
    """Tags as cdk.json's object, as the same in JSON, or as `team=nlp,stage=dev`."""
    if not isinstance(tags, str):
        return tags
    if tags.lstrip().startswith("{"):
        return json.loads(tags)
    return dict(pair.strip().split("=", 1) for pair in tags.split(",") if pair.strip())


def as_list(values: object) -> object:
    """Values as a list, as the same in JSON, or as `111111111111,222222222222`."""
    if not isinstance(values, str):
        return values
    if values.lstrip().startswith("["):
        return json.loads(values)
    return [value.strip() for value in values.split(",") if value.strip()]


def free_tags(tags: dict[str, str]) -> dict[str, str]:
    """Tags that AWS has not kept for itself."""
    reserved = [key for key in tags if key.lower().startswith("aws:")]
    if reserved:
        raise ValueError(reserved)
    return tags


def private_range(cidr: str) -> str:
    """A range of private addresses with room for three subnets, written as its first address."""
    network = ipaddress.IPv4Network(cidr)
    if not network.is_private or not 16 <= network.prefixlen <= 24:
        raise ValueError(cidr)
    return cidr


def without_repetition(values: tuple[str, ...]) -> tuple[str, ...]:
    """Values of which each stands there once."""
    if len(set(values)) != len(values):
        raise ValueError(values)
    return values


_TAG_CHARACTERS = r"^[\w\s.:/=+@-]*$"
TagKey = Annotated[str, Field(pattern=_TAG_CHARACTERS, min_length=1, max_length=128)]
TagValue = Annotated[str, Field(pattern=_TAG_CHARACTERS, max_length=256)]
Days = Annotated[int, Field(ge=1, le=3650)]
AccountId = Annotated[str, Field(pattern=r"^\d{12}$")]
InstanceType = Annotated[str, Field(pattern=r"^ml\.[a-z0-9-]+\.[a-z0-9-]+$")]
Price = Annotated[float, Field(gt=0, le=1000)]
Budget = Annotated[float | None, BeforeValidator(blank_is_none), Field(gt=0, le=1e7)]
EMAIL = r"^[^@\s,]+@[^@\s,]+\.[^@\s,]+$"
Email = Annotated[str, Field(pattern=EMAIL, max_length=254)]


class Need(BaseModel):
    """How many instances of a type are meant to run at once."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    training: int = Field(default=0, ge=0, le=10_000)
    spot: int = Field(default=0, ge=0, le=10_000)
    processing: int = Field(default=0, ge=0, le=10_000)
    hosting: int = Field(default=0, ge=0, le=10_000)


class ExistingVpc(BaseModel):
    """Subnets and security groups that somebody else looks after."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    subnets: tuple[Annotated[str, Field(pattern=r"^subnet-[0-9a-f]{8,17}$")], ...] = Field(min_length=1, max_length=16)
    security_groups: tuple[Annotated[str, Field(pattern=r"^sg-[0-9a-f]{8,17}$")], ...] = Field(
        min_length=1, max_length=5
    )


def only_vpc(vpc: ExistingVpc | None, info: ValidationInfo) -> ExistingVpc | None:
    """Subnets that there are, where no network is made."""
    if vpc is not None and info.data.get("network") == "private":
        raise ValueError(vpc)
    return vpc
