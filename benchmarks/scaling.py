"""What a second core is worth to batch_skipgram.

`python -m benchmarks.scaling [--trainings N]`: jobs of one thread, of two threads, and two jobs that share nothing are
trained whole, in turns of half a second (benchmarks/turns.py), while samples tell whether the cores share an L3 cache
(benchmarks/handover.py). All turns count: two threads are as many times as fast as one as the sum of their turns is
shorter. What two jobs that share nothing reach is what the machine has to give.
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
from typing import Any

from benchmarks import corpus, handover, machine
from benchmarks.bars import Bar
from benchmarks.handover import Handover
from kindling.datasets.files import whole
from kindling.environments import ROOT, python_of
from kindling.errors import UserError

RESULTS = machine.BUILT / "scaling.json"
HEADER = ["seed", "1 thread, M words/s", "2 threads", "ratio", "2 jobs", "ratio", "mean_rho, 1 thread", "2 threads"]
HEADER_OF_ROUNDS = ["rounds whose cores", "", "2 threads, median ratio", "from – to", "2 jobs, median ratio"]
_AROUND_S = 0.1  # samples that are so near a round count for it


@dataclass(frozen=True, kw_only=True)
class Round:
    """Turns of one thread, of two, and of two jobs side by side, of the same share of a job, in words a second.

    Attributes:
        apart: the share of the samples around it in which the cores had different L3 caches; None without samples.
    """

    one: float
    two: float
    separate: float
    apart: float | None


@dataclass(frozen=True, kw_only=True)
class Training:
    """Whole jobs with one seed; mean_rho is of the vectors of one thread and of two."""

    seed: int
    rounds: list[Round]
    mean_rho: dict[str, float | None]

    @classmethod
    def read(cls, content: dict[str, Any]) -> Training:
        return cls(**content | {"rounds": [Round(**turns) for turns in content["rounds"]]})


def measure(text: Path, trainings: int) -> list[Training]:
    """Train so many jobs of each kind.

    Raises:
        UserError: the machine has one core, or a program failed.
    """
    if len(os.sched_getaffinity(0)) < 2:
        raise UserError("what a second core is worth cannot be measured on one.")
    command = [str(python_of("blazingtext")), "-m", "benchmarks.turns", str(text), str(trainings)]
    with handover.watched() as samples:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise UserError(f"benchmarks.turns failed: {done.stderr.strip()}")
    return trainings_of([json.loads(line) for line in done.stdout.splitlines()], samples)


def trainings_of(told: Sequence[dict[str, Any]], samples: Sequence[Handover]) -> list[Training]:
    """The trainings that the lines of benchmarks/turns.py tell of."""
    found: list[Training] = []
    rounds: list[Round] = []
    for line in told:
        if "mean_rho" in line:
            found.append(Training(seed=line["seed"], rounds=rounds, mean_rho=line["mean_rho"]))
            rounds = []
            continue
        began, ended = line["began"] - _AROUND_S, line["ended"] + _AROUND_S
        apart = handover.share_apart([sample for sample in samples if began <= sample.time <= ended])
        rounds.append(Round(one=line["one"], two=line["two"], separate=line["separate"], apart=apart))
    return found


def rows(trainings: Sequence[Training]) -> list[list[str]]:
    """A row under HEADER for each training, and one for all: speeds by the sum of the turns."""
    scores = {kind: [training.mean_rho[kind] for training in trainings] for kind in ("one", "two")}
    known = {kind: [rho for rho in found if rho is not None] for kind, found in scores.items()}
    means = {kind: statistics.fmean(found) if found else None for kind, found in known.items()}
    return [
        *(_row(str(training.seed), training.rounds, training.mean_rho) for training in trainings),
        _row("all", _rounds(trainings), means),
    ]


def _row(seed: str, rounds: Sequence[Round], mean_rho: dict[str, float | None]) -> list[str]:
    one, two, separate = (_speed([getattr(turns, kind) for turns in rounds]) for kind in ("one", "two", "separate"))
    return [
        seed,
        f"{one / 1e6:.2f}",
        f"{two / 1e6:.2f}",
        f"{two / one:.2f}",
        f"{separate / 1e6:.2f}",
        f"{separate / one:.2f}",
        *("" if rho is None else f"{rho:.3f}" for rho in (mean_rho["one"], mean_rho["two"])),
    ]


def rows_of_rounds(trainings: Sequence[Training]) -> list[list[str]]:
    """A row under HEADER_OF_ROUNDS for each state of the cores that was met."""
    rounds = _rounds(trainings)
    known = [(turns, turns.apart) for turns in rounds if turns.apart is not None]
    states = {
        "shared an L3 cache": [turns for turns, apart in known if apart == 0],
        "moved between one and two": [turns for turns, apart in known if 0 < apart < 1],
        "had one each": [turns for turns, apart in known if apart == 1],
    }
    return [_row_of_rounds(state, found) for state, found in states.items() if found]


def _row_of_rounds(state: str, found: Sequence[Round]) -> list[str]:
    ratios = [turns.two / turns.one for turns in found]
    return [
        state,
        f"{len(found)}",
        f"{statistics.median(ratios):.2f}",
        f"{min(ratios):.2f} – {max(ratios):.2f}",
        f"{statistics.median(turns.separate / turns.one for turns in found):.2f}",
    ]


def bar(trainings: Sequence[Training]) -> Bar:
    """What is to be shown of two threads."""
    rounds = _rounds(trainings)
    ratio = _speed([turns.two for turns in rounds]) / _speed([turns.one for turns in rounds]) if rounds else None
    return Bar("batch_skipgram: 2 threads against 1, whole trainings in turns", ratio, 1.85, unit="×")


def _rounds(trainings: Sequence[Training]) -> list[Round]:
    return [turns for training in trainings for turns in training.rounds]


def _speed(turns: Sequence[float]) -> float:
    """Of turns that train as many words each, by the sum of their times."""
    return statistics.harmonic_mean(turns)


def read() -> list[Training]:
    """The trainings of the last measurement; none if there was none."""
    if not RESULTS.exists():
        return []
    return [Training.read(content) for content in json.loads(RESULTS.read_text(encoding="utf-8"))]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trainings", type=int, default=3, help="how many jobs of each kind; default: %(default)s")
    parser.add_argument("--corpus", help="text8, botocore or a path (default: the text8-like corpus, else text8)")
    arguments = parser.parse_args()
    if arguments.trainings < 1:
        parser.error(f"--trainings={arguments.trainings} must be a number from 1 on.")
    try:
        machine.BUILT.mkdir(parents=True, exist_ok=True)
        text = corpus.prepare(arguments.corpus, None, machine.BUILT)
        found = measure(text.path, arguments.trainings)
    except UserError as error:
        print(error, file=sys.stderr)
        return 1
    with whole(RESULTS) as file:
        file.write(json.dumps([asdict(training) for training in found], indent=1).encode())
    for line in [HEADER, *rows(found), HEADER_OF_ROUNDS, *rows_of_rounds(found), bar(found).cells()]:
        print("  ".join(line))
    return 0


if __name__ == "__main__":
    sys.exit(main())
