"""What a second core is worth to batch_skipgram, where both share an L3 cache and where they do not.

`python -m benchmarks.scaling [--seconds N]`: one thread, two threads, and two trainings that share nothing train in
turns of half a second (benchmarks/turns.py), while samples tell whether the cores share a cache
(benchmarks/handover.py). Each turn is held against the one of a single thread in the same round; what two trainings
that share nothing reach is what the machine has to give.
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
HEADER = ["the two cores", "rounds", "1 thread, M words/s", "2 threads", "ratio", "from – to", "2 trainings", "ratio"]
_SHARED, _APART, _EITHER = "share an L3 cache", "have one each", "all rounds, with moves in between, too"
_AROUND_S = 0.1  # samples that are so near a round count for it


@dataclass(frozen=True, kw_only=True)
class Round:
    """Turns of one thread, of two, and of two separate trainings, in words a second.

    Attributes:
        apart: the share of the samples around it in which the cores had different L3 caches.
    """

    one: float
    two: float
    separate: float
    apart: float


def measure(text: Path, seconds: float) -> list[Round]:
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
    return rounds_of([json.loads(line) for line in done.stdout.splitlines()], samples)


def rounds_of(turns: Sequence[dict[str, float]], samples: Sequence[Handover]) -> list[Round]:
    """The rounds of turns; one without a sample is left out."""
    found = []
    for turn in turns:
        began, ended = turn["began"] - _AROUND_S, turn["ended"] + _AROUND_S
        apart = handover.share_apart([sample for sample in samples if began <= sample.time <= ended])
        if apart is not None:
            found.append(Round(one=turn["one"], two=turn["two"], separate=turn["separate"], apart=apart))
    return found


def _told_apart(found: Sequence[Round]) -> dict[str, list[Round]]:
    """The rounds during which the cores stayed where they were, and all rounds."""
    return {
        _SHARED: [turns for turns in found if turns.apart == 0],
        _APART: [turns for turns in found if turns.apart == 1],
        _EITHER: list(found),
    }


def rows(found: Sequence[Round]) -> list[list[str]]:
    """A row under HEADER for each of the two states that was met, and one for all rounds: medians."""
    return [_row(state, of_state) for state, of_state in _told_apart(found).items() if of_state]


def _row(state: str, found: Sequence[Round]) -> list[str]:
    ratios = [turns.two / turns.one for turns in found]
    return [
        state,
        f"{len(found)}",
        f"{statistics.median(turns.one for turns in found) / 1e6:.2f}",
        f"{statistics.median(turns.two for turns in found) / 1e6:.2f}",
        f"{statistics.median(ratios):.2f}",
        f"{min(ratios):.2f} – {max(ratios):.2f}",
        f"{statistics.median(turns.separate for turns in found) / 1e6:.2f}",
        f"{statistics.median(turns.separate / turns.one for turns in found):.2f}",
    ]


def bar(found: Sequence[Round]) -> Bar:
    """What is to be shown of two threads."""
    ratios = [turns.two / turns.one for turns in _told_apart(found)[_SHARED]]
    what = "batch_skipgram: 2 threads against 1, on cores that share an L3 cache"
    return Bar(what, statistics.median(ratios) if ratios else None, 1.85, unit="×")


def read() -> list[Round]:
    """The rounds of the last measurement; none if there was none."""
    return [Round(**turns) for turns in json.loads(RESULTS.read_text(encoding="utf-8"))] if RESULTS.exists() else []


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
        file.write(json.dumps([asdict(turns) for turns in found], indent=1).encode())
    for line in [HEADER, *rows(found), bar(found).cells()]:
        print("  ".join(line))
    return 0


if __name__ == "__main__":
    sys.exit(main())
