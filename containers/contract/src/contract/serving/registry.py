"""The models that a multi-model endpoint has loaded: a folder that all workers see, one file per model.

A file appears and goes in one step (a link, an unlink), so that no worker ever sees half of it. A worker maps a model
when it is first asked for it; what it maps, the others share.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import orjson

from contract.memory import container_bytes
from contract.serving.settings import ServingSettings

_MODELS_SHARE = 0.8  # of the container's memory; the rest is for the server and the requests


@dataclass(frozen=True)
class Entry:
    """A loaded model. `bytes` is what it takes in all workers together; `version` differs when it is loaded anew."""

    name: str
    url: str
    bytes: int
    version: tuple[int, int] = (0, 0)


class Registry:
    """The models that are loaded.

    Args:
        folder: an empty folder of its own.
        limit_bytes: what all models may take together.
    """

    def __init__(self, folder: Path, limit_bytes: int) -> None:
        self._folder, self.limit_bytes = folder, limit_bytes
        self._read: dict[str, Entry] = {}

    @classmethod
    @contextmanager
    def temporary(cls, settings: ServingSettings) -> Iterator[Registry]:
        """A registry that is gone after the block; a process that was forked in it leaves it alone."""
        folder = Path(tempfile.mkdtemp(prefix="models-"))
        try:
            yield cls(folder, settings.memory_bytes or int(container_bytes() * _MODELS_SHARE))
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def find(self, name: str) -> Entry | None:
        """The model of that name, if it is loaded."""
        path = self._path(name)
        try:
            found = os.stat(path)  # noqa: PTH116 - asked for each request, and Path.stat takes twice as long
            version = (found.st_ino, found.st_mtime_ns)
            known = self._read.get(name)
            if known is None or known.version != version:
                known = self._read[name] = _read(Path(path), version)
        except FileNotFoundError:
            self._read.pop(name, None)
            return None
        return known

    def all(self) -> list[Entry]:
        """All loaded models, by name."""
        found = []
        for path in self._folder.glob("*.json"):
            with suppress(FileNotFoundError):  # unloaded just now
                found.append(_read(path, (0, 0)))
        return sorted(found, key=lambda entry: entry.name)

    def free_bytes(self) -> int:
        """What further models may take."""
        return self.limit_bytes - sum(entry.bytes for entry in self.all())

    @contextmanager
    def locked(self) -> Iterator[None]:
        """One worker at a time loads a model, so that two do not take the same memory or the same name."""
        with (self._folder / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def add(self, entry: Entry) -> None:
        """Show a model to all workers; to be called while `locked`.

        Raises:
            FileExistsError: a model of that name is loaded.
        """
        partial = self._folder / f"{os.getpid()}.partial"
        partial.write_bytes(orjson.dumps({"name": entry.name, "url": entry.url, "bytes": entry.bytes}))
        try:
            os.link(partial, self._path(entry.name))
        finally:
            partial.unlink()

    def remove(self, name: str) -> bool:
        """Forget a model; whether it was loaded."""
        try:
            Path(self._path(name)).unlink()
        except FileNotFoundError:
            return False
        return True

    def _path(self, name: str) -> str:
        # The service gives any name, so a file is called by its digest.
        return f"{self._folder}/{hashlib.sha256(name.encode('utf-8', 'surrogatepass')).hexdigest()}.json"


def _read(path: Path, version: tuple[int, int]) -> Entry:
    return Entry(**orjson.loads(path.read_bytes()), version=version)
