"""Stateful sessions: requests of one session go to the instance that began it."""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping
from datetime import UTC, datetime
from weakref import ReferenceType, ref

from kindling.localcloud.sagemaker.errors import InvalidInvocationError
from kindling.localcloud.sagemaker.hosting.instance import Instance

NEW_SESSION = "NEW_SESSION"
NEW, CLOSED = "X-Amzn-SageMaker-New-Session-Id", "X-Amzn-SageMaker-Closed-Session-Id"

_BEGUN = re.compile(r"([^;\s]+);\s*Expires=(\S+)")


class Sessions:
    """The sessions of all endpoints. The model names them and says when they end."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._begun: dict[tuple[str, str], tuple[ReferenceType[Instance], datetime]] = {}

    def instance(self, endpoint: str, session: str) -> Instance:
        """The instance that has a session.

        Raises:
            InvalidInvocationError: there is no such session, it has ended, or its instance is gone.
        """
        with self._lock:
            instance, expires = self._begun.get((endpoint, session), (None, None))
        found = instance() if instance else None
        if found is None or expires is None or expires <= datetime.now(UTC) or not found.healthy:
            raise InvalidInvocationError(f"Session {session} of endpoint {endpoint} does not exist or has expired.")
        return found

    def note(self, endpoint: str, instance: Instance, answered: Mapping[str, str]) -> None:
        """Take what the headers of a container's answer say about sessions."""
        begun = _BEGUN.fullmatch(answered.get(NEW, ""))
        closed = answered.get(CLOSED)
        if begun is None and closed is None:
            return
        now = datetime.now(UTC)
        with self._lock:
            if begun is not None:
                self._begun[(endpoint, begun[1])] = (ref(instance), _time(begun[2]))
            if closed is not None:
                self._begun.pop((endpoint, closed), None)
            for key in [key for key, (_, expires) in self._begun.items() if expires <= now]:
                del self._begun[key]


def _time(text: str) -> datetime:
    """The time that an Expires gives; one that is none has passed already."""
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except ValueError:
        return datetime.min.replace(tzinfo=UTC)
