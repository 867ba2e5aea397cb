"""Runs processes and measures them from outside: seconds of wall and CPU, peak memory, and when each line came."""

from __future__ import annotations

import os
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import IO

from kindling.errors import UserError


@dataclass
class Measured:
    """A process that has ended.

    Attributes:
        seconds: wall clock, from the start of the first process of the group.
        cpu_seconds: user and system time of all its threads.
        peak_bytes: the largest resident set it had, files it has mapped included; never less than this process's own,
            which Linux counts as the beginning of the child's, so that this process must stay small.
        lines: its output, stdout and stderr together: seconds since the start, text.
    """

    code: int = 0
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    peak_bytes: int = 0
    lines: list[tuple[float, str]] = field(default_factory=list)

    @property
    def output(self) -> str:
        return "\n".join(text for _, text in self.lines)

    def when(self, beginning: str) -> float:
        """Seconds after which the first line came that begins so, after the prefix of a logger.

        Raises:
            UserError: there is no such line; with the end of the output, which says why.
        """
        for seconds, text in self.lines:
            if beginning in text:
                return seconds
        raise UserError(f"no line with {beginning!r} in the output, which ends:\n{self.output[-2000:]}")


def run_together(commands: Sequence[tuple[Sequence[str], Mapping[str, str]]], cores: set[int]) -> list[Measured]:
    """Run these commands, each with its environment, side by side on these cores until all have ended.

    Raises:
        UserError: one of them failed; with the end of its output.
    """
    begun = time.perf_counter()
    found = [Measured() for _ in commands]
    processes: list[subprocess.Popen[str]] = []
    try:
        with _pinned(cores):
            for command, environment in commands:
                processes.append(_start(command, environment))
        watchers = [
            threading.Thread(target=_watch, args=(process, measured, begun))
            for process, measured in zip(processes, found, strict=True)
        ]
        for watcher in watchers:
            watcher.start()
        for watcher in watchers:
            watcher.join()
    except BaseException:
        for process in processes:
            if process.returncode is None:
                process.kill()
        raise
    for (command, _), measured in zip(commands, found, strict=True):
        if measured.code:
            raise UserError(f"{' '.join(command[:4])} ... ended with {measured.code}:\n{measured.output[-2000:]}")
    return found


def _start(command: Sequence[str], environment: Mapping[str, str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        list(command),
        env=dict(environment),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )


def _watch(process: subprocess.Popen[str], measured: Measured, begun: float) -> None:
    assert process.stdout is not None
    lines: IO[str] = process.stdout
    with lines:
        for line in lines:
            measured.lines.append((time.perf_counter() - begun, line.rstrip("\n")))
    _, status, usage = os.wait4(process.pid, 0)  # Popen.wait() would keep the usage to itself
    measured.seconds = time.perf_counter() - begun
    measured.code = process.returncode = os.waitstatus_to_exitcode(status)
    measured.cpu_seconds = usage.ru_utime + usage.ru_stime
    measured.peak_bytes = usage.ru_maxrss * 1024


@contextmanager
def _pinned(cores: set[int]) -> Iterator[None]:
    """Processes that are started in the block run on these cores."""
    former = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, former)
