"""List operations: filters, order and pages, the same for every kind of resource."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Protocol, TypeVar

from botocore.utils import parse_to_aware_datetime

from kindling.localcloud.sagemaker.errors import InvalidRequestError

_PAGE = 10

Key = tuple[Any, str]  # of one order: texts, or numbers


class Listed(Protocol):
    """What can be listed."""

    @property
    def name(self) -> str: ...
    @property
    def status(self) -> str: ...
    @property
    def creation_time(self) -> datetime: ...
    @property
    def last_modified_time(self) -> datetime: ...


R = TypeVar("R", bound=Listed)


def page(resources: Iterable[R], request: Mapping[str, Any], default_order: str) -> tuple[Sequence[R], str | None]:
    """One page of the resources that pass a request's filters, in its order, and the token of the next page."""
    ascending = request.get("SortOrder", default_order) == "Ascending"
    chosen = sorted(
        ((_sort_key(resource, request), resource) for resource in resources if _passes(resource, request)),
        key=lambda pair: pair[0],
        reverse=not ascending,
    )
    if token := request.get("NextToken"):
        last = _read(token)
        if chosen and type(last[0]) is not type(chosen[0][0][0]):
            raise _not_a_token()
        chosen = [pair for pair in chosen if (pair[0] > last if ascending else pair[0] < last)]
    size = request.get("MaxResults", _PAGE)
    shown = chosen[:size]
    more = len(chosen) > size
    return [resource for _, resource in shown], _token(shown[-1][0]) if more else None


def answer(name: str, summaries: Sequence[Mapping[str, Any]], token: str | None) -> dict[str, Any]:
    """The answer of a list operation."""
    return {name: summaries, "NextToken": token} if token else {name: summaries}


def _sort_key(resource: Listed, request: Mapping[str, Any]) -> Key:
    """What the order goes by; the name makes it total, so that a page begins where the former ended."""
    by = request.get("SortBy", "CreationTime")
    if by == "Name":
        return (resource.name, resource.name)
    if by == "FinalObjectiveMetricValue":  # of training jobs that a tuning job launched; they have one
        return (resource.value, resource.name)  # type: ignore[attr-defined]
    return (resource.status if by == "Status" else resource.creation_time.astimezone(UTC).isoformat(), resource.name)


def _passes(resource: Listed, request: Mapping[str, Any]) -> bool:
    if request.get("NameContains", "").lower() not in resource.name.lower():
        return False
    if request.get("StatusEquals", resource.status) != resource.status:
        return False
    for name, time in (("CreationTime", resource.creation_time), ("LastModifiedTime", resource.last_modified_time)):
        after, before = request.get(f"{name}After"), request.get(f"{name}Before")
        if after is not None and time <= parse_to_aware_datetime(after):
            return False
        if before is not None and time >= parse_to_aware_datetime(before):
            return False
    return True


def _token(key: Key) -> str:
    return base64.urlsafe_b64encode(json.dumps(key).encode()).decode()


def _read(token: str) -> Key:
    try:
        first, second = json.loads(base64.urlsafe_b64decode(token))
    except (binascii.Error, ValueError, TypeError):
        raise _not_a_token() from None
    return first, str(second)


def _not_a_token() -> InvalidRequestError:
    return InvalidRequestError("NextToken is not one that this operation gave.")
