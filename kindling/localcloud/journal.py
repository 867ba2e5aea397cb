"""What ran on the embedded cloud, on disk, so that a run that a kill cut short is shown as broken afterwards.

One small JSON file for each run, replaced as the run changes. The backends keep their state in memory; this is what is
left of it.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote

Kind = Literal["executions"]
KINDS: tuple[Kind, ...] = ("executions",)

INTERRUPTED = "Interrupted"
_UNFINISHED = frozenset({"RUNNING", "InProgress", "Stopping"})


class Journal:
    """Records by kind and key. A record has at least `name` and `status`; `state` says what was running."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        for kind in KINDS:
            (folder / kind).mkdir(parents=True, exist_ok=True)

    def write(self, kind: Kind, key: str, record: Mapping[str, Any]) -> None:
        """Put a record in place of the former one, so that a reader sees the one or the other, whole."""
        path = self._path(kind, key)
        with self._lock:
            write_atomically(path, json.dumps(record, indent=1, default=_in_json))

    def update(self, kind: Kind, key: str, **changes: Any) -> None:
        """Change some fields of a record, which need not exist yet."""
        self.write(kind, key, {**(self.read(kind, key) or {}), **changes})

    def read(self, kind: Kind, key: str) -> dict[str, Any] | None:
        """The record of that key, or None."""
        try:
            record: dict[str, Any] = json.loads(self._path(kind, key).read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        return record

    def records(self, kind: Kind) -> list[dict[str, Any]]:
        """Every record of a kind, the latest started first."""
        found = [json.loads(path.read_text(encoding="utf-8")) for path in (self._folder / kind).glob("*.json")]
        return sorted(found, key=lambda record: str(record.get("started", "")), reverse=True)

    def interrupt_unfinished(self) -> list[str]:
        """Mark what a former cloud left unfinished as Interrupted, with what was running; returns the names."""
        names = []
        for kind in KINDS:
            for path in (self._folder / kind).glob("*.json"):
                record = json.loads(path.read_text(encoding="utf-8"))
                if record.get("status") in _UNFINISHED:
                    running = record.get("state") or record["name"]
                    record |= {
                        "status": INTERRUPTED,
                        "cause": f"the embedded cloud ended while {running} was running",
                        "stopped": datetime.now(UTC).isoformat(),
                    }
                    write_atomically(path, json.dumps(record, indent=1))
                    names.append(str(record["name"]))
        return names

    def _path(self, kind: Kind, key: str) -> Path:
        return self._folder / kind / f"{quote(key, safe='')}.json"


def write_atomically(path: Path, text: str) -> None:
    """Write a file so that neither a reader nor a crash ever finds half of it."""
    draft = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}.tmp")
    with draft.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)


def _in_json(value: object) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    raise TypeError(f"{value!r} cannot be written to the journal")
