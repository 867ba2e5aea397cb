"""What a second core is worth to batch_skipgram, where both share an L3 cache and where they do not.

`python -m benchmarks.scaling [--seconds N]`: one thread and two train in turns of half a second (benchmarks/turns.py),
while samples tell whether the cores share a cache (benchmarks/handover.py). Each turn of two threads is held against
the one of a single thread just before it.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks import corpus, handover, machine
from benchmarks.bars import Bar
from benchmarks.handover import Handover
from kindling.datasets.files import whole
from kindling.environments import ROOT, python_of
from kindling.errors import UserError

RESULTS = machine.BUILT / "scaling.json"
HEADER = ["the two cores", "pairs of turns", "1 thread, M words/s", "2 threads", "ratio", "from – to"]
_SHARED, _APART = "share an L3 cache", "have one each"
_AROUND_S = 0.1  # samples that are so near a turn count for it


@dataclass(frozen=True, kw_only=True)
class Pair:
    """A turn of one thread and the turn of two after it.

    Attributes:
        apart: the share of the samples around both in which the cores had different L3 caches.
    """

    one: float
    two: float
    apart: float

    @property
    def ratio(self) -> float:
        return self.two / self.one


def measure(text: Path, seconds: float) -> list[Pair]:
    """Train for so many seconds.

    Raises:
        UserError: the machine has one core, or a program failed.
    """
    if len(os.sched_getaffinity(0)) < 2:
        raise UserError("what a second core is worth cannot be measured on one.")
    command = [str(python_of("blazingtext")), "-m", "benchmarks.turns", str(text), str(seconds)]
    with handover.watched() as samples:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise UserError(f"benchmarks.turns failed: {done.stderr.strip()}")
    return pairs([json.loads(line) for line in done.stdout.splitlines()], samples)


def pairs(turns: Sequence[dict[str, float]], samples: Sequence[Handover]) -> list[Pair]:
    """Turns of one thread and two, in the order of time; a pair without a sample is left out."""
    found = []
    for one, two in zip(turns[::2], turns[1::2], strict=True):
        began, ended = one["began"] - _AROUND_S, two["ended"] + _AROUND_S
        apart = handover.share_apart([sample for sample in samples if began <= sample.time <= ended])
        if apart is not None:
            found.append(Pair(one=one["words_per_second"], two=two["words_per_second"], apart=apart))
    return found


def _told_apart(found: Sequence[Pair]) -> dict[str, list[Pair]]:
    """The pairs during which the cores stayed where they were."""
    return {
        _SHARED: [pair for pair in found if pair.apart == 0],
        _APART: [pair for pair in found if pair.apart == 1],
    }


def rows(found: Sequence[Pair]) -> list[list[str]]:
    """A row under HEADER for each of the two states that was met: medians."""
    return [
        [
            state,
            f"{len(of_state)}",
            f"{statistics.median(pair.one for pair in of_state) / 1e6:.2f}",
            f"{statistics.median(pair.two for pair in of_state) / 1e6:.2f}",
            f"{statistics.median(pair.ratio for pair in of_state):.2f}",
            f"{min(pair.ratio for pair in of_state):.2f} – {max(pair.ratio for pair in of_state):.2f}",
        ]
        for state, of_state in _told_apart(found).items()
        if of_state
    ]


def bar(found: Sequence[Pair]) -> Bar:
    """What is to be shown of two threads."""
    ratios = [pair.ratio for pair in _told_apart(found)[_SHARED]]
    what = "batch_skipgram: 2 threads against 1, on cores that share an L3 cache"
    return Bar(what, statistics.median(ratios) if ratios else None, 1.85, unit="×")


def read() -> list[Pair]:
    """The pairs of the last measurement; none if there was none."""
    return [Pair(**pair) for pair in json.loads(RESULTS.read_text(encoding="utf-8"))] if RESULTS.exists() else []


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=180, help="how long to train; default: %(default)s")
    parser.add_argument("--corpus", help="text8, botocore or a path (default: the text8-like corpus, else text8)")
    arguments = parser.parse_args()
    try:
        machine.BUILT.mkdir(parents=True, exist_ok=True)
        text = corpus.prepare(arguments.corpus, None, machine.BUILT)
        found = measure(text.path, arguments.seconds)
    except UserError as error:
        print(error, file=sys.stderr)
        return 1
    with whole(RESULTS) as file:
        file.write(json.dumps([asdict(pair) for pair in found], indent=1).encode())
    for line in [HEADER, *rows(found), bar(found).cells()]:
        print("  ".join(line))
    return 0


if __name__ == "__main__":
    sys.exit(main())
