"""The figures of a benchmark's runs, kept as JSON, and their summary as the rows of a table."""

from __future__ import annotations

import json
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.measurement import Run
from benchmarks.programs import Settings
from kindling.datasets.files import whole
from kindling.errors import UserError

HEADER = [
    *("program", "hosts × threads", "dim", "M words/s", "from – to", "whole s", "read s", "write s", "peak MB"),
    *("cores apart, %", "mean_rho", "SimLex-999", "rare words"),
]


@dataclass
class Results:
    """All runs of one table so far.

    Attributes:
        settings: of the first round's runs; a scaling table's runs differ in threads and vector_dim.
        load: processes that wanted to run when the benchmark began (its own not counted).
        started: UTC, ISO 8601.
    """

    table: str
    settings: Settings
    machine: dict[str, Any]
    load: float
    started: str
    corpus: str
    tokens: int
    rounds: int
    runs: list[Run]

    def save(self, path: Path) -> None:
        with whole(path) as file:
            file.write(json.dumps(asdict(self), indent=1).encode())

    @classmethod
    def read(cls, path: Path) -> Results:
        """
        Raises:
            UserError: there are no results yet.
        """
        if not path.exists():
            raise UserError(f"{path} does not exist; `python -m benchmarks.word2vec` makes it.")
        content = json.loads(path.read_text(encoding="utf-8"))
        settings, runs = Settings(**content.pop("settings")), [Run(**run) for run in content.pop("runs")]
        return cls(settings=settings, runs=runs, **content)


def rows(results: Results) -> list[list[str]]:
    """A row under HEADER for each program and setting.

    Speeds and seconds are medians over the rounds, scores means over the seeds, memory is the most of all rounds. The
    whole process is left blank where a program trained fewer epochs than the others.
    """
    return [_row(runs, results.settings.epochs) for runs in rounds_of_each(results.runs)]


def rounds_of_each(runs: Sequence[Run]) -> list[list[Run]]:
    """The runs of each program and setting, one a round."""
    groups: dict[tuple[str, int, int, int], list[Run]] = {}
    for run in runs:
        groups.setdefault((run.program, run.hosts, run.threads, run.vector_dim), []).append(run)
    return list(groups.values())


def median_speed(runs: list[Run]) -> float:
    """Million words a second, the median over the rounds."""
    return statistics.median(run.words_per_second for run in runs) / 1e6


def _row(runs: list[Run], epochs: int) -> list[str]:
    first, speeds = runs[0], [run.words_per_second / 1e6 for run in runs]
    apart = [100 * run.apart for run in runs if run.apart is not None]
    whole_runs = [run.whole_seconds for run in runs if run.epochs == epochs]
    return [
        first.program,
        f"{first.hosts} × {first.threads}",
        f"{first.vector_dim}",
        f"{median_speed(runs):.2f}",
        f"{min(speeds):.2f} – {max(speeds):.2f}",
        f"{statistics.median(whole_runs):.1f}" if whole_runs else "",
        f"{statistics.median(run.seconds['read'] for run in runs):.1f}",
        f"{statistics.median(run.seconds['write'] for run in runs):.1f}",
        f"{max(run.peak_bytes for run in runs) / 1e6:.0f}",
        f"{min(apart):.0f} – {max(apart):.0f}" if apart else "",
        *(_score(runs, name) for name in ("mean_rho", "simlex", "rare_words")),
    ]


def mean_score(runs: Sequence[Run], name: str) -> float | None:
    """The mean over the seeds that were scored."""
    found = [score for run in runs if (score := run.scores.get(name)) is not None]
    return statistics.fmean(found) if found else None


def _score(runs: list[Run], name: str) -> str:
    score = mean_score(runs, name)
    return "" if score is None else f"{score:.3f}"
