"""What the embedded cloud must not forget, in one SQLite file: records by kind and name.

A write is on the disk's side of the process when it returns (write-ahead log), so that what was acknowledged
outlives `kill -9`.
"""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

_DATE = "\0date"  # no name that a user gives can hold a NUL


class StoreError(OSError):
    """The state folder takes no more. The message is one sentence, fit to be shown as it is."""


class Store:
    """Records of plain JSON and times, by kind and name."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.RLock()
        with self._wording():
            self._database = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
            self._database.execute("PRAGMA journal_mode = WAL")
            self._database.execute("PRAGMA synchronous = NORMAL")
            self._database.execute(
                "CREATE TABLE IF NOT EXISTS records"
                " (kind TEXT, name TEXT, value TEXT NOT NULL, PRIMARY KEY (kind, name)) WITHOUT ROWID"
            )

    def put(self, kind: str, name: str, record: Mapping[str, Any]) -> None:
        """Keep a record in place of the former one of this name.

        Raises:
            StoreError: the disk is full or cannot be written to; the former record stays.
        """
        text = json.dumps(record, default=_encoded)
        with self._lock, self._wording():
            self._database.execute("INSERT OR REPLACE INTO records VALUES (?, ?, ?)", (kind, name, text))

    def remove(self, kind: str, name: str) -> None:
        """Forget a record; that there is none is no error.

        Raises:
            StoreError: the disk cannot be written to; the record stays.
        """
        with self._lock, self._wording():
            self._database.execute("DELETE FROM records WHERE kind = ? AND name = ?", (kind, name))

    def all(self, kind: str) -> dict[str, dict[str, Any]]:
        """The records of a kind by name."""
        with self._lock, self._wording():
            rows = self._database.execute("SELECT name, value FROM records WHERE kind = ?", (kind,)).fetchall()
        return {name: json.loads(value, object_hook=_decoded) for name, value in rows}

    def close(self) -> None:
        """Let go of the file."""
        with self._lock:
            self._database.close()

    @contextmanager
    def _wording(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise StoreError(f"the embedded cloud's state cannot be kept in {self._path}: {error}.") from error


def _encoded(value: object) -> Any:
    if isinstance(value, datetime):
        return {_DATE: value.isoformat()}
    raise TypeError(f"{value!r} cannot be kept")


def _decoded(value: dict[str, Any]) -> Any:
    return datetime.fromisoformat(value[_DATE]) if value.keys() == {_DATE} else value
