"""What the embedded cloud must not forget, in one SQLite file.

A write is out of the process's hands when it returns (write-ahead log), so that what was acknowledged outlives
`kill -9`.
"""

from __future__ import annotations

import errno
import json
import sqlite3
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

_DATE = "\0date"  # no name that a user gives can hold a NUL
_TABLES = """
CREATE TABLE IF NOT EXISTS records (
    kind TEXT, name TEXT, value TEXT NOT NULL, PRIMARY KEY (kind, name)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS appended (
    kind TEXT, owner TEXT, number INTEGER, value TEXT NOT NULL, PRIMARY KEY (kind, owner, number)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS blobs (
    kind TEXT, name TEXT, value BLOB NOT NULL, PRIMARY KEY (kind, name)
);
"""


class StoreError(OSError):
    """The state folder takes no more. The message is one sentence, fit to be shown as it is."""


def taking_no_more(error: BaseException) -> str | None:
    """What to say of an error that is the disk's; None when it is not."""
    if isinstance(error, StoreError):
        return str(error)
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EROFS, errno.EDQUOT):
        return f"the embedded cloud's state folder takes no more: {error.strerror}."
    return None


class Store:
    """Records of plain JSON and times and blobs, each by kind and name; and lists that only grow, by kind and owner.

    Raises:
        StoreError: from every method, when the disk is full or cannot be read or written to; what was there stays.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.RLock()
        self._depth = 0
        with self._wording():
            self._database = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
            self._database.execute("PRAGMA journal_mode = WAL")
            self._database.execute("PRAGMA synchronous = NORMAL")
            self._database.executescript(_TABLES)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Have all changes within the context be kept, or none."""
        with self._lock, self._wording():
            self._depth += 1
            try:
                if self._depth == 1:
                    self._database.execute("BEGIN IMMEDIATE")
                yield
                if self._depth == 1:
                    self._database.execute("COMMIT")
            except BaseException:
                if self._depth == 1 and self._database.in_transaction:
                    self._database.execute("ROLLBACK")
                raise
            finally:
                self._depth -= 1

    def put(self, kind: str, name: str, record: Mapping[str, Any]) -> None:
        """Keep a record in place of the former one of this name."""
        self._write("INSERT OR REPLACE INTO records VALUES (?, ?, ?)", (kind, name, _text(record)))

    def remove(self, kind: str, name: str) -> None:
        """Forget a record; that there is none is no error."""
        self._write("DELETE FROM records WHERE kind = ? AND name = ?", (kind, name))

    def all(self, kind: str) -> dict[str, dict[str, Any]]:
        """The records of a kind by name."""
        rows = self._read("SELECT name, value FROM records WHERE kind = ?", (kind,))
        return {name: _value(text) for name, text in rows}

    def append(self, kind: str, owner: str, number: int, values: Sequence[Any]) -> None:
        """Keep the elements of a list from position `number` on; what stood there is replaced."""
        with self._lock, self._wording():
            self._database.executemany(
                "INSERT OR REPLACE INTO appended VALUES (?, ?, ?, ?)",
                [(kind, owner, at, _text(value)) for at, value in enumerate(values, start=number)],
            )

    def drop(self, kind: str, owner: str) -> None:
        """Forget a list."""
        self._write("DELETE FROM appended WHERE kind = ? AND owner = ?", (kind, owner))

    def list(self, kind: str, owner: str) -> list[Any]:
        """The elements of a list, in their order."""
        rows = self._read("SELECT value FROM appended WHERE kind = ? AND owner = ? ORDER BY number", (kind, owner))
        return [_value(text) for (text,) in rows]

    def put_blob(self, kind: str, name: str, value: bytes) -> None:
        """Keep bytes in place of the former ones of this name."""
        self._write("INSERT OR REPLACE INTO blobs VALUES (?, ?, ?)", (kind, name, value))

    def remove_blob(self, kind: str, name: str) -> None:
        """Forget bytes."""
        self._write("DELETE FROM blobs WHERE kind = ? AND name = ?", (kind, name))

    def blobs(self, kind: str) -> Iterator[tuple[str, bytes]]:
        """The blobs of a kind with their names."""
        yield from self._read("SELECT name, value FROM blobs WHERE kind = ?", (kind,))

    def close(self) -> None:
        """Let go of the file."""
        with self._lock:
            self._database.close()

    def _write(self, statement: str, values: tuple[Any, ...]) -> None:
        with self._lock, self._wording():
            self._database.execute(statement, values)

    def _read(self, statement: str, values: tuple[Any, ...]) -> Sequence[tuple[Any, ...]]:
        with self._lock, self._wording():
            return self._database.execute(statement, values).fetchall()

    @contextmanager
    def _wording(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise StoreError(f"the embedded cloud's state cannot be kept in {self._path}: {error}.") from error


def _text(value: Any) -> str:
    return json.dumps(value, default=_encoded)


def _value(text: str) -> Any:
    return json.loads(text, object_hook=_decoded)


def _encoded(value: object) -> Any:
    if isinstance(value, datetime):
        return {_DATE: value.isoformat()}
    raise TypeError(f"{value!r} cannot be kept")


def _decoded(value: dict[str, Any]) -> Any:
    return datetime.fromisoformat(value[_DATE]) if value.keys() == {_DATE} else value
