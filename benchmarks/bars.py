"""What the engine is to show against its peers and by its size, and what the runs showed.

A ratio is taken within each round, between runs that were neighbours in time, and its median over the rounds counts; a
score is the mean over the seeds.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from benchmarks.measurement import Run
from benchmarks.programs import PROGRAMS
from benchmarks.results import Results, mean_score


@dataclass(frozen=True)
class Bar:
    """One thing to show; `found` is None where the runs that it needs were not made."""

    what: str
    found: float | None
    bound: float
    at_least: bool = True
    unit: str = ""

    @property
    def is_reached(self) -> bool:
        return self.found is not None and (self.found >= self.bound if self.at_least else self.found < self.bound)

    def cells(self) -> list[str]:
        """What, the bound, what was found, and whether that is enough."""
        bound = f"{'≥' if self.at_least else '<'} {self.bound:g}{self.unit}"
        if self.found is None:
            return [self.what, bound, "not measured", ""]
        return [self.what, bound, f"{self.found:.3g}{self.unit}", "yes" if self.is_reached else "no"]


def bars(results: Results) -> list[Bar]:
    """What the results' table is to show."""
    runs = Runs(results.runs)
    return first_table(runs, results.settings.threads) if results.table == "first" else second_table(runs)


class Runs:
    """The runs of one table; a round's runs share their seed."""

    def __init__(self, runs: Sequence[Run]) -> None:
        self._runs = runs

    def of(self, program: str, *, threads: int, hosts: int = 1, dim: int = 100) -> list[Run]:
        """A program's runs of one size, one a round."""
        wanted = (program, threads, hosts, dim)
        return [run for run in self._runs if (run.program, run.threads, run.hosts, run.vector_dim) == wanted]


def first_table(runs: Runs, threads: int) -> list[Bar]:
    """What is to be shown against the peers, all with so many threads."""
    found = {name: runs.of(name, threads=threads) for name in PROGRAMS}
    batch, gensim = found["batch_skipgram"], found["gensim-skipgram"]
    subwords, fasttext_subwords = found["skipgram-subwords"], found["fasttext-skipgram-subwords"]
    compared = {
        ("batch_skipgram", "gensim-skipgram"): 12,
        ("batch_skipgram", "fasttext-skipgram"): 25,
        ("skipgram", "fasttext-skipgram"): 5,
        ("cbow", "fasttext-cbow"): 4,
        ("skipgram-subwords", "fasttext-skipgram-subwords"): 5,
    }
    written = [run.seconds["write"] for run in batch]
    return [
        *(
            Bar(f"{ours}: words/s against {peer}", ratio(found[ours], found[peer], speed), bound, unit="×")
            for (ours, peer), bound in compared.items()
        ),
        Bar("batch_skipgram: whole process against gensim's", ratio(gensim, batch, whole_seconds), 8, unit="×"),
        Bar("batch_skipgram: mean_rho", mean_score(batch, "mean_rho"), 0.675),
        Bar("batch_skipgram: mean_rho minus gensim's", difference(batch, gensim, "mean_rho"), -0.01),
        Bar(
            "skipgram-subwords: rare words' rho minus fastText's",
            difference(subwords, fasttext_subwords, "rare_words"),
            -0.01,
        ),
        Bar("files written", statistics.median(written) if written else None, 1, at_least=False, unit=" s"),
    ]


def second_table(runs: Runs) -> list[Bar]:
    """What is to be shown of several threads and hosts on one machine, at dim 100."""
    by_hosts = {hosts: runs.of("batch_skipgram", threads=1, hosts=hosts) for hosts in (1, 2, 4)}
    two_threads = runs.of("batch_skipgram", threads=2)
    together = ratio(by_hosts[2], two_threads, speed)
    scores = [mean_score(found, "mean_rho") for found in by_hosts.values()]
    known = [score for score in scores if score is not None]
    spread = max(known) - min(known) if len(known) == len(scores) else None
    return [
        Bar("batch_skipgram: 2 threads against 1", ratio(two_threads, by_hosts[1], speed), 1.85, unit="×"),
        Bar("2 hosts × 1 thread: words/s against 1 host × 2 threads", together, 0.85, unit="×"),
        Bar("mean_rho of 1, 2 and 4 hosts: highest minus lowest", spread, 0.015, at_least=False),
    ]


def ratio(numerators: Sequence[Run], denominators: Sequence[Run], figure: Callable[[Run], float]) -> float | None:
    """The median over the rounds of the ratio of two runs' figures."""
    by_seed = {run.seed: run for run in denominators}
    found = [figure(run) / figure(by_seed[run.seed]) for run in numerators if run.seed in by_seed]
    return statistics.median(found) if found else None


def difference(ours: Sequence[Run], peers: Sequence[Run], score: str) -> float | None:
    """By how much one mean score is above another."""
    above, below = mean_score(ours, score), mean_score(peers, score)
    return None if above is None or below is None else above - below


def speed(run: Run) -> float:
    return run.words_per_second


def whole_seconds(run: Run) -> float:
    return run.whole_seconds
