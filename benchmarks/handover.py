"""Whether the cores that a program runs on share an L3 cache: a virtual machine's host moves them as it likes.

A row that the other thread changed last comes from the other core's cache, which takes five times as long from another
L3 cache. So what a second thread is worth depends on it, and may change within a second.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.machine import BUILT
from kindling.errors import UserError

APART_NS = 80  # one L3 cache takes 25 to 60, two 120 to 250 (family 25 of AMD)
_SOURCE = Path(__file__).with_suffix(".cpp")


@dataclass(frozen=True)
class Handover:
    """For how long, in ns, a core waited for a line that another had just written, at a time in s since the epoch."""

    time: float
    ns: float


@contextmanager
def watched() -> Iterator[list[Handover]]:
    """Take samples about five times a second while the `with` statement lasts; the list is filled at its end.

    It takes some thousandths of both cores' time. There are no samples on a machine of one core, and where no program
    may be real-time, samples get lost while others have both cores.

    Raises:
        UserError: the little program that takes them could not be built, or failed.
    """
    samples: list[Handover] = []
    cores = sorted(os.sched_getaffinity(0))[:2]
    if len(cores) < 2:
        yield samples
        return
    command = [str(_built()), *map(str, cores)]
    # Into a file: a pipe that nobody reads fills up in a long run.
    with (BUILT / f"handover-{os.getpid()}.txt").open("w+", encoding="utf-8") as told:
        Path(told.name).unlink()
        program = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=told, stderr=subprocess.PIPE)
        try:
            yield samples
        finally:
            _, complaint = program.communicate()
        if program.returncode != 0:
            raise UserError(f"{command[0]} failed: {complaint.decode().strip()}")
        told.seek(0)
        samples.extend(Handover(*map(float, line.split())) for line in told)


def share_apart(samples: Sequence[Handover]) -> float | None:
    """The share of the samples in which the cores had different L3 caches; None without samples."""
    return sum(sample.ns > APART_NS for sample in samples) / len(samples) if samples else None


def _built() -> Path:
    program = BUILT / "handover"
    if not program.exists() or program.stat().st_mtime < _SOURCE.stat().st_mtime:
        BUILT.mkdir(parents=True, exist_ok=True)
        compiler = ["c++", "-std=c++17", "-O2", "-pthread", str(_SOURCE), "-o", str(program)]
        done = subprocess.run(compiler, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise UserError(f"{' '.join(compiler)} failed: {done.stderr.strip()}")
    return program
