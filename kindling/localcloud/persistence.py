"""moto's state outlives the process: whatever was acknowledged is in the store before the answer goes out.

Small state (buckets, roles, stacks, functions, machines) is one snapshot, written again when it has changed. What
grows with use is kept piece by piece: a row for each S3 object and upload, log events and metric data as lists that
only grow. What moto changes on its own, beside requests, follows within half a second.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import nullcontext
from functools import partial
from importlib.metadata import version
from typing import Any

from kindling.errors import UserError
from kindling.localcloud import bodies, snapshots
from kindling.localcloud.bodies import BodyFiles
from kindling.localcloud.cloud import Cloud
from kindling.localcloud.growing_lists import GrowingLists
from kindling.localcloud.requests import Request
from kindling.localcloud.seams import replace
from kindling.localcloud.store import taking_no_more

_SOON_S = 0.5
_LARGE_AT_A_TIME = 2  # requests with large bodies, of which moto makes several copies
_WRITER = f"moto {version('moto')}"
_MAIN = "main"
# A part of its own, so that its many modules are imported when somebody asks for an execution, not at every start.
_LATE = frozenset({"stepfunctions"})

_logger = logging.getLogger(__name__)


class StateFromElsewhereError(UserError):
    """The state folder was written by another version. The message is one sentence."""


class Persistence:
    """Keeps moto's state in the cloud's store, and S3's contents in its state folder."""

    def __init__(self, cloud: Cloud) -> None:
        self._store = cloud.store
        self._account = cloud.account_id
        self.bodies = BodyFiles(cloud.state / "objects")
        self._committing = threading.Lock()
        self._counting = threading.Lock()
        self._wanted = self._done = 0
        self._wants_snapshot = False
        self._snapshots: dict[str, bytes] = {}  # by part, as they are in the store; those that are in use
        self._given_up: set[str] = set()  # services whose state cannot be written down
        self._touched: set[tuple[str, str]] = set()  # buckets and keys, or buckets and uploads
        self._named: dict[tuple[str, str], set[str]] = {}  # the bodies that the rows of the store name
        self._lists = GrowingLists(cloud.store, cloud.account_id)
        self._later = threading.Event()

    def restore(self, prepare: Callable[[str], None]) -> None:
        """Have moto know what a former cloud knew; to be called once, before any request.

        Args:
            prepare: called with the name of each service that the state holds, before it is brought back.
        Raises:
            StateFromElsewhereError: another version of moto wrote it.
        """
        written = self._store.all("written")
        writer = written.get("by", {}).get("writer", _WRITER)
        if writer != _WRITER:
            raise StateFromElsewhereError(
                f"the state folder was written with {writer}, but this is {_WRITER}; choose another folder with "
                "KINDLING_STATE, or remove it."
            )
        self._store.put("written", "by", {"writer": _WRITER})
        for service in written.get(_MAIN, {}).get("services", []):
            prepare(service)
        self.restore_part(_MAIN)
        self._restore_objects()
        self._lists.restore()
        threading.Thread(target=self._follow, name="persistence", daemon=True).start()

    def restore_part(self, part: str) -> None:
        """Bring back one of the services that are kept apart, and keep it from now on."""
        data = dict(self._store.blobs("snapshot")).get(part, b"")
        if data:
            snapshots.put_back(snapshots.loads(data))
        with self._committing:
            self._snapshots[part] = data

    def commit(self, *, snapshot: bool = True) -> None:
        """Return when what was changed before this call outlives the process. Calls at the same time share the work.

        Args:
            snapshot: whether more than S3 objects, log events and metric data may have changed.
        Raises:
            StoreError: the disk is full or cannot be written to.
        """
        with self._counting:
            self._wanted += 1
            mine = self._wanted
            self._wants_snapshot |= snapshot
        with self._committing:
            if self._done >= mine:
                return
            with self._counting:
                upto, with_snapshot = self._wanted, self._wants_snapshot
                self._wants_snapshot = False
            try:
                self._write(with_snapshot)
            except BaseException:
                self._wants_snapshot |= with_snapshot
                raise
            self._done = upto

    def soon(self) -> None:
        """Commit within half a second."""
        self._later.set()

    def touch(self, bucket: str, name: str) -> None:
        """Have the next commit look at a key, or an upload, of a bucket."""
        with self._counting:
            self._touched.add((bucket, name))

    def _follow(self) -> None:
        while True:
            self._later.wait()
            time.sleep(_SOON_S)
            self._later.clear()
            try:
                self.commit()
            except Exception:  # the next one tries again, and a request that must be kept is told
                _logger.exception("the state could not be kept")

    def _write(self, with_snapshot: bool) -> None:
        with self._counting:
            touched, self._touched = self._touched, set()
        try:
            changed = self._changed_snapshots() if with_snapshot else {}
            named: dict[tuple[str, str], set[str]] = {}
            with self._store.transaction():
                for bucket, name in touched:
                    named[bucket, name] = self._keep_object(bucket, name)
                self._lists.keep()
                for part, (data, services) in changed.items():
                    self._store.put_blob("snapshot", part, data)
                    self._store.put("written", part, {"services": services})
        except BaseException:
            self._lists.forget()  # what was counted as kept may not be
            with self._counting:
                self._touched |= touched
            raise
        self._snapshots |= {part: data for part, (data, _) in changed.items()}
        self._remove_bodies(named)

    def _changed_snapshots(self) -> dict[str, tuple[bytes, list[str]]]:
        """The parts that are not any more as the store has them, with the services that each holds."""
        changed = {}
        for part, kept in self._snapshots.items():
            found = snapshots.backends(partial(self._is_of, part))
            try:
                data = snapshots.dumps(found)
            except Exception:
                if not self._give_up_on(found):
                    raise
                return self._changed_snapshots()
            if data != kept:
                changed[part] = (data, sorted({service for service, _, _ in found}))
        return changed

    def _is_of(self, part: str, service: str) -> bool:
        return (service in _LATE) == (part != _MAIN) and service not in self._given_up

    def _give_up_on(self, found: dict[tuple[str, str, str], dict[str, Any]]) -> bool:
        """Leave out the services whose state has no form as bytes, so that the others' is kept; False if none is."""
        former = len(self._given_up)
        for (service, _, _), attributes in found.items():
            try:
                snapshots.dumps(attributes)
            except Exception:  # whatever moto keeps there, the other services must not suffer
                self._given_up.add(service)
                _logger.exception("%s does not outlive this process", service)
        return len(self._given_up) > former

    def _keep_object(self, bucket_name: str, name: str) -> set[str]:
        """Keep a key's versions, or an upload, or that it is gone; the names of its bodies."""
        bucket = self._buckets().get(bucket_name)
        row = f"{bucket_name}/{name}"
        versions = bucket.keys.getlist(name, None) if bucket else None
        upload = bucket.multiparts.get(name) if bucket else None
        found = [("object", list(versions) if versions else None), ("upload", upload)]
        for kind, value in found:
            if value is None:
                self._store.remove_blob(kind, row)
            else:
                self._store.put_blob(kind, row, snapshots.dumps(value))
        parts = list(upload.parts.values()) if upload else []
        named = {key._value_buffer.path.name for key in [*(versions or []), *parts] if hasattr(key, "_value_buffer")}
        self._store.remove("bodies", row)
        if named:
            self._store.put("bodies", row, {"names": sorted(named)})
        return named

    def _remove_bodies(self, named: dict[tuple[str, str], set[str]]) -> None:
        gone: set[str] = set()
        for row, names in named.items():
            gone |= self._named.get(row, set()) - names
            self._named[row] = names
            if not names:
                del self._named[row]
        dead = {self.bodies.dead.popleft() for _ in range(len(self.bodies.dead))}
        if dead:
            live = set().union(*self._named.values()) if self._named else set()
            gone |= dead - live
        for name in gone:
            self.bodies.remove(name)

    def _restore_objects(self) -> None:
        from moto.s3.models import s3_backends

        buckets = self._buckets()
        # Beside the backends, moto knows by this that a name is taken; it would make the bucket anew, and empty.
        s3_backends.bucket_accounts.update(dict.fromkeys(buckets, ("aws", self._account)))
        for kind in ("object", "upload"):
            for row, data in self._store.blobs(kind):
                bucket_name, _, name = row.partition("/")
                if (bucket := buckets.get(bucket_name)) is None:
                    continue
                value = snapshots.loads(data)
                if kind == "object":
                    dict.__setitem__(bucket.keys, name, value)
                else:
                    bucket.multiparts[name] = value
        for row, record in self._store.all("bodies").items():
            bucket_name, _, name = row.partition("/")
            self._named[bucket_name, name] = set(record["names"])
        self.bodies.sweep(set().union(*self._named.values()) if self._named else set())

    def _buckets(self) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for _, backend in snapshots.backends_of("s3", self._account):
            found |= backend.buckets
        return found


class Keeping:
    """A WSGI application before moto's: an answer goes out when what it acknowledges is kept."""

    def __init__(self, application: Callable[..., Iterable[bytes]], persistence: Persistence) -> None:
        self._application, self._persistence = application, persistence
        self._large = threading.BoundedSemaphore(_LARGE_AT_A_TIME)

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        request = Request(environ)
        answer: list[Any] = []

        def begin(status: str, headers: list[tuple[str, str]], *_more: Any) -> None:
            answer[:] = [status, headers]

        try:
            with self._large if request.is_large else nullcontext():
                body = self._application(environ, begin)
            self._keep(request)
        except OSError as error:
            reason = taking_no_more(error)
            if reason is None:
                raise
            _logger.exception("%s", request)
            return request.refuse(start_response, reason)
        start_response(*answer)
        return body

    def _keep(self, request: Request) -> None:
        if request.changes == "nothing":
            return
        if request.changes == "later":
            self._persistence.soon()
            return
        for bucket, name in request.touched():
            self._persistence.touch(bucket, name)
        self._persistence.commit(snapshot=request.changes == "everything")


def install(cloud: Cloud, prepare: Callable[[str], None] = lambda _service: None) -> None:
    """Bring back what a former cloud kept, and keep the contents of objects in the state folder from now on.

    Args:
        prepare: called with the name of each service that is brought back, before it is.
    """
    bodies.install(cloud.persistence.bodies)
    _notice_changed_keys(cloud.persistence)
    _follow_what_grows(cloud.persistence)
    cloud.persistence.restore(prepare)


def _notice_changed_keys(persistence: Persistence) -> None:
    """Touch each key that is put or deleted, whatever the request was."""
    from moto.s3.models import S3Backend

    def put_object(self: Any, bucket_name: str, key_name: str, *rest: Any, **more: Any) -> Any:
        key = put(self, bucket_name, key_name, *rest, **more)
        persistence.touch(bucket_name, key_name)
        return key

    def delete_object(self: Any, bucket_name: str, key_name: str, *rest: Any, **more: Any) -> Any:
        answer = delete(self, bucket_name, key_name, *rest, **more)
        persistence.touch(bucket_name, key_name)
        return answer

    put = replace(S3Backend, "put_object", put_object)
    delete = replace(S3Backend, "delete_object", delete_object)


def _follow_what_grows(persistence: Persistence) -> None:
    """Keep soon what is logged and measured beside requests: by jobs, endpoints and functions."""
    from moto.cloudwatch.models import CloudWatchBackend
    from moto.logs.models import LogsBackend

    def following(work: Callable[..., Any]) -> Callable[..., Any]:
        def followed(*given: Any, **named: Any) -> Any:
            answer = work(*given, **named)
            persistence.soon()
            return answer

        return followed

    replace(LogsBackend, "put_log_events", following(LogsBackend.put_log_events))
    replace(CloudWatchBackend, "put_metric_data", following(CloudWatchBackend.put_metric_data))
