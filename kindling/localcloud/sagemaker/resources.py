"""The named resources of one kind, kept in the cloud's store, and what all kinds have in common: ARNs, tags, roles."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from datetime import UTC, datetime
from typing import Any, ClassVar, Generic, Protocol, Self, TypeVar

from moto.core.exceptions import ServiceException
from moto.iam.models import iam_backends

from kindling.localcloud.cloud import Cloud
from kindling.localcloud.sagemaker.errors import InvalidRequestError

# The answer to a request; None leaves it to moto.
Operation = Callable[[dict[str, Any]], dict[str, Any] | None]


class Kept(Protocol):
    """What has a name, an ARN and tags, and can be written down."""

    name: str
    arn: str
    tags: dict[str, str]

    def record(self) -> dict[str, Any]:
        """All of it as plain JSON and times, from which the same resource can be made after a restart."""


class Requested:
    """What a request made and nothing but its tags changes.

    Args:
        created: when, for one that a former cloud kept.
    """

    name_member: ClassVar[str]  # of the request, which holds the name
    status = ""

    def __init__(self, request: dict[str, Any], arn: str, created: datetime | None = None) -> None:
        self.request = request
        self.arn = arn
        self.name: str = request[self.name_member]
        self.tags = tags_of(request)
        self.creation_time = self.last_modified_time = created or datetime.now(UTC)

    @classmethod
    def restored(cls, record: Mapping[str, Any]) -> Self:
        """What `record` described."""
        return cls(record["request"], record["arn"], record["created"])

    def record(self) -> dict[str, Any]:
        """What the store keeps."""
        tags = [{"Key": key, "Value": value} for key, value in self.tags.items()]
        return {"request": {**self.request, "Tags": tags}, "arn": self.arn, "created": self.creation_time}

    def shown(self) -> dict[str, Any]:
        """The members of the request that a description repeats, and the time."""
        members = {name: value for name, value in self.request.items() if name != "Tags"}
        return {**members, "CreationTime": self.creation_time}


T = TypeVar("T", bound=Kept)


class Resources(Generic[T]):
    """The resources of one kind, by name. The lock is held over a check and the change that rests on it.

    Every change is in the cloud's store before it is seen.

    Args:
        kind: as it stands in the ARN.
        title: as it stands in messages.
    """

    def __init__(self, cloud: Cloud, kind: str, title: str) -> None:
        self.lock = threading.RLock()
        self._store = cloud.store
        self._kind = f"sagemaker/{kind}"
        self._title = title
        self._prefix = f"arn:aws:sagemaker:{cloud.region}:{cloud.account_id}:{kind}/"
        self._items: dict[str, T] = {}

    def restore(self, make: Callable[[dict[str, Any]], T]) -> list[T]:
        """Take up what a former cloud kept, each made of its record; call it once, before any request."""
        for name, record in self._store.all(self._kind).items():
            self._items[name] = make(record)
        return self.all()

    def arn(self, name: str) -> str:
        """The ARN that a resource of this name has; the service writes names in lower case there."""
        return self._prefix + name.lower()

    def find(self, name: str) -> T | None:
        """The resource of this name, or None."""
        with self.lock:
            return self._items.get(name)

    def get(self, name: str) -> T:
        """The resource of this name.

        Raises:
            InvalidRequestError: there is none.
        """
        found = self.find(name)
        if found is None:
            raise InvalidRequestError(f'Could not find {self._title} "{self.arn(name)}".')
        return found

    def refuse_duplicate(self, name: str) -> None:
        """Raise InvalidRequestError when the name is taken."""
        if self.find(name) is not None:
            raise InvalidRequestError(f'Cannot create already existing {self._title} "{self.arn(name)}".')

    def add(self, item: T) -> None:
        """Keep a new resource.

        Raises:
            StoreError: the state folder takes no more; there is no such resource then.
        """
        with self.lock:
            self._store.put(self._kind, item.name, item.record())
            self._items[item.name] = item

    def changed(self, item: T) -> None:
        """Keep what has become of a resource; one that was removed stays so.

        An item that changes in threads of its own has a `lock`, which they hold when they come here: it is always
        taken before this one.
        """
        with getattr(item, "lock", nullcontext()), self.lock:
            if self._items.get(item.name) is item:
                self._store.put(self._kind, item.name, item.record())

    def remove(self, name: str) -> None:
        """Forget a resource."""
        with self.lock:
            self._store.remove(self._kind, name)
            self._items.pop(name, None)

    def all(self) -> list[T]:
        """Every resource."""
        with self.lock:
            return list(self._items.values())

    def with_arn(self, arn: str) -> T | None:
        """The resource of this ARN, or None."""
        return next((item for item in self.all() if item.arn.lower() == arn.lower()), None)


def tags_of(request: Mapping[str, Any]) -> dict[str, str]:
    """The tags of a request, by key."""
    return {tag["Key"]: tag["Value"] for tag in request.get("Tags") or []}


def require_role(cloud: Cloud, arn: str) -> None:
    """Refuse a role that SageMaker could not assume.

    Raises:
        InvalidRequestError: it does not exist, or its trust policy does not name SageMaker.
    """
    try:
        role = iam_backends[cloud.account_id]["aws"].get_role_by_arn(arn)
        trusted = "sagemaker.amazonaws.com" in json.dumps(role.assume_role_policy_document)
    except ServiceException:
        trusted = False
    if not trusted:
        raise InvalidRequestError(
            f"Could not assume role {arn}. Please ensure that the role exists and allows principal "
            f"'sagemaker.amazonaws.com' to assume the role."
        )
