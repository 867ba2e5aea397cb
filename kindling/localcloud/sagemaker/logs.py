"""Container output, line by line as it is written, into the cloud's CloudWatch Logs."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import IO

from moto.logs.exceptions import ResourceNotFoundException
from moto.logs.models import LogsBackend, logs_backends

_CHUNK_BYTES = 1 << 16
_LINE_BYTES = 250_000  # an event of CloudWatch Logs holds 256 KiB
_LAST_READ_S = 5.0

Listener = Callable[[str], None]

_creating = threading.Lock()


class LogStream:
    """One stream of a log group; both come into being with it. `listener` hears every line."""

    def __init__(self, backend: LogsBackend, group: str, name: str, listener: Listener | None = None) -> None:
        self.group, self.name = group, name
        self.last_line = ""
        self._backend = backend
        self._listener = listener
        self._unfinished = b""
        self._create()

    def _create(self) -> None:
        with _creating:
            if self.group not in self._backend.groups:
                self._backend.create_log_group(self.group, {})
            self._backend.ensure_log_stream(self.group, self.name)

    @property
    def arn(self) -> str:
        """The stream's ARN."""
        return f"{self._backend.groups[self.group].arn}:log-stream:{self.name}"

    def write(self, chunk: bytes) -> None:
        """Log the lines that are complete with this chunk."""
        *lines, self._unfinished = (self._unfinished + chunk).split(b"\n")
        while len(self._unfinished) > _LINE_BYTES:
            lines.append(self._unfinished[:_LINE_BYTES])
            self._unfinished = self._unfinished[_LINE_BYTES:]
        self._log(lines)

    def close(self) -> None:
        """Log what has no end of line."""
        if self._unfinished:
            self._log([self._unfinished])
            self._unfinished = b""

    def _log(self, lines: list[bytes]) -> None:
        now = int(time.time() * 1000)
        texts = [line.decode("utf-8", errors="replace").rstrip("\r") for line in lines]
        texts = [text for text in texts if text]
        if not texts:
            return
        events = [{"timestamp": now, "message": text} for text in texts]
        try:
            self._backend.put_log_events(self.group, self.name, events)
        except ResourceNotFoundException:  # somebody deleted the group, but what is still said has its place
            self._create()
            self._backend.put_log_events(self.group, self.name, events)
        self.last_line = texts[-1]
        if self._listener is not None:
            for text in texts:
                self._listener(text)


class OutputReader:
    """Copies what a container writes into a log stream, in a thread of its own, until it closes its output.

    Whatever the container wrote at once becomes one batch, so a line is in the log as soon as it is written.
    """

    def __init__(self, output: IO[bytes], stream: LogStream) -> None:
        self.stream = stream
        self._output = output
        self._thread = threading.Thread(target=self._copy, name=f"{stream.name} output", daemon=True)
        self._thread.start()

    def finish(self) -> None:
        """Wait until everything that the container wrote is in the log."""
        self._thread.join(_LAST_READ_S)

    def _copy(self) -> None:
        with self._output as output:
            while chunk := output.read1(_CHUNK_BYTES):  # type: ignore[attr-defined]
                self.stream.write(chunk)
        self.stream.close()


def backend(account_id: str, region: str) -> LogsBackend:
    """The cloud's CloudWatch Logs."""
    return logs_backends[account_id][region]
