"""Our word2vec against gensim's and fastText's: speed and quality, on one corpus, at the same settings.

`python -m benchmarks.word2vec [--table first|second] [options]`, or `make benchmark-word2vec` for both tables. Every
run is a process of its own (ours a training job by the container contract, one process a host) on the same cores, and a
round runs all programs in turn, with a seed of its own, so that what the machine does otherwise meets all of them.

Words a second are raw tokens x epochs / training seconds; reading, writing and the making of the matrices are left out
(benchmarks/peers.py says how). The whole process is timed from outside. fastText's speed does not depend on the number
of epochs, so where its vectors' scores for a seed are known it trains --peer-epochs only. The figures go to
OUT/word2vec-TABLE.json, from which `python -m benchmarks.performance_page` makes docs/performance.md.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks import corpus, machine
from benchmarks.bars import bars
from benchmarks.corpus import Corpus
from benchmarks.kept_scores import KeptScores
from benchmarks.measurement import Case, Run, measure
from benchmarks.programs import PROGRAMS, Program, Settings
from benchmarks.results import HEADER, Results, rows
from kindling.environments import ROOT
from kindling.errors import UserError

RESULTS = machine.BUILT
_RARE_WORDS = ROOT.parent / "shared" / "data" / "wordsim" / "EN-RW-STANFORD.txt"
_BESIDES_TRAINING_S = 15.0  # of a run: reading, writing, scoring


@dataclass(frozen=True)
class Planned:
    """A run to make: whether to score its vectors, or the scores that are known already."""

    case: Case
    scoring: bool
    known: dict[str, Any] | None = None


def cases(table: str, settings: Settings, round_number: int = 0) -> list[Case]:
    """What a round of a table measures, in turn.

    In the second table, every round has batch_skipgram by threads and hosts, whose scores are compared; the other sizes
    are for speed alone, which does not depend on the epochs: the first round has them, with one epoch.
    """
    batch = PROGRAMS["batch_skipgram"]
    if table == "first":
        return [Case(program, settings) for name, program in PROGRAMS.items() if name != "cbow-subwords"]
    found = _by_threads_and_hosts(batch, settings)
    if round_number == 0:
        one_epoch = replace(settings, epochs=1)
        ours = [program for program in PROGRAMS.values() if not program.is_peer]
        for dim in (100, 300):
            of_dim = replace(one_epoch, vector_dim=dim)
            others = [program for program in ours if program != batch]
            found += _by_threads_and_hosts(batch, of_dim) if dim != settings.vector_dim else []
            found += [Case(program, replace(of_dim, threads=threads)) for program in others for threads in (1, 2)]
    return found


def _by_threads_and_hosts(program: Program, settings: Settings) -> list[Case]:
    one = replace(settings, threads=1)
    return [
        Case(program, one),
        Case(program, replace(settings, threads=2)),
        Case(program, one, 2),
        Case(program, one, 4),
    ]


def plan(arguments: argparse.Namespace, text: Corpus, kept: KeptScores) -> list[Planned]:
    """The runs of all rounds, in order."""
    return [
        planned
        for number in range(arguments.rounds)
        for case in cases(
            arguments.table,
            Settings(epochs=arguments.epochs, threads=arguments.threads, seed=arguments.seed + number),
            number,
        )
        if not arguments.only or case.program.name in arguments.only
        if (planned := _plan_run(arguments, case, kept.find(case, text), scoring=number < arguments.quality_seeds))
    ]


def _plan_run(
    arguments: argparse.Namespace, case: Case, known: dict[str, Any] | None, *, scoring: bool
) -> Planned | None:
    if arguments.quality_only:
        return Planned(case, scoring=True) if scoring and case.program.is_peer and known is None else None
    if case.program.package == "fasttext" and (known or not scoring):
        short = replace(case.settings, epochs=min(arguments.peer_epochs, case.settings.epochs))
        return Planned(replace(case, settings=short), scoring=False, known=known if scoring else None)
    return Planned(case, scoring=case.settings.epochs == arguments.epochs)


def estimated_minutes(runs: list[Planned], tokens: int, cores: int) -> float:
    """About how long the runs take, from the programs' usual pace."""
    seconds = 0.0
    for case in (planned.case for planned in runs):
        busy = min(case.settings.threads * case.hosts, cores)
        pace = case.program.pace * 1e6 * busy * 100 / case.settings.vector_dim
        seconds += tokens * case.settings.epochs / pace + _BESIDES_TRAINING_S
    return seconds / 60


def benchmark(arguments: argparse.Namespace) -> None:
    """Make all runs, save their figures after each, and print the tables.

    Raises:
        UserError: a peer is missing, a program failed, or a file is not there.
    """
    load, described = machine.load_average(), machine.describe()
    rare_words = arguments.rare_words if arguments.rare_words.exists() else None
    _warn(load, arguments.rare_words)
    arguments.out.mkdir(parents=True, exist_ok=True)
    text = corpus.prepare(arguments.corpus, arguments.tokens, arguments.out)
    kept = KeptScores(
        arguments.out / "word2vec-peers-scores.json", described["versions"], rare_words=rare_words is not None
    )
    runs = plan(arguments, text, kept)
    _require_peers(runs, described["versions"])
    print(
        f"{len(runs)} runs on {text.tokens} tokens of {text.name}, about"
        f" {estimated_minutes(runs, text.tokens, described['cores']):.0f} minutes; load average {load:.2f}",
        flush=True,
    )
    results = Results(
        table=arguments.table,
        settings=Settings(epochs=arguments.epochs, threads=arguments.threads, seed=arguments.seed),
        machine=described,
        load=load,
        started=datetime.now(UTC).isoformat(timespec="seconds"),
        corpus=text.name,
        tokens=text.tokens,
        rounds=arguments.rounds,
        runs=[],
    )
    for number, planned in enumerate(runs, 1):
        run = _make(planned, text, kept, arguments.out, rare_words)
        results.runs.append(run)
        print(f"{number}/{len(runs)} seed {run.seed}: {planned.case.label}: {_told(run)}", flush=True)
        if not arguments.quality_only:
            results.save(arguments.out / f"word2vec-{arguments.table}.json")
    if not arguments.quality_only:
        print_tables(results)


def _warn(load: float, rare_words: Path) -> None:
    if load > machine.QUIET_LOAD:
        print(
            f"warning: the load average is {load:.2f}; speed is to be measured on a machine that does nothing else.",
            file=sys.stderr,
        )
    if not rare_words.exists():
        print(f"{rare_words} does not exist: nothing is scored on rare words.", file=sys.stderr)


def _make(planned: Planned, text: Corpus, kept: KeptScores, folder: Path, rare_words: Path | None) -> Run:
    run = measure(planned.case, text, folder, rare_words=rare_words, scoring=planned.scoring)
    if planned.case.program.is_peer and planned.scoring:
        kept.keep(planned.case, text, run.scores)
    return run.scored(planned.known, "another run") if planned.known else run


def _told(run: Run) -> str:
    rho = run.scores.get("mean_rho")
    speed = f"{run.words_per_second / 1e6:.2f} M words/s, {run.whole_seconds:.1f} s in all"
    return speed if rho is None else f"{speed}, mean_rho {rho:.3f}"


def _require_peers(runs: list[Planned], versions: dict[str, str]) -> None:
    for package in sorted({planned.case.program.package for planned in runs if planned.case.program.is_peer}):
        if package not in versions:
            raise UserError(
                f"{package} is not in BlazingText's environment; `python -m kindling.environments blazingtext --tests`"
                " installs it, or name the programs to measure with --only."
            )


def print_tables(results: Results) -> None:
    """The rows, and what is to be shown."""
    print()
    _print_columns([HEADER, *rows(results)])
    print()
    _print_columns([["to show", "bar", "found", "reached"], *(bar.cells() for bar in bars(results))])
    print(f"\nmedians of {results.rounds} rounds, the programs in turn; scores are means over the seeds")


def _print_columns(lines: list[list[str]]) -> None:
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--table", choices=["first", "second"], default="first", help="peers and ours, or ours by size")
    parser.add_argument("--rounds", type=_positive, default=3)
    parser.add_argument("--epochs", type=_positive, default=5)
    parser.add_argument("--peer-epochs", type=_positive, default=1, help="of fastText where its scores are known")
    parser.add_argument(
        "--quality-seeds",
        type=_positive,
        default=3,
        help="rounds whose vectors of fastText are scored, too: they take long",
    )
    parser.add_argument("--quality-only", action="store_true", help="only train and score peers without scores")
    parser.add_argument("--threads", type=_positive, default=2, help="of each program in the first table")
    parser.add_argument("--seed", type=int, default=1, help="of the first round; each further round's is one more")
    parser.add_argument("--tokens", type=_positive, help="only so many of the corpus, for a trial")
    parser.add_argument("--corpus", help="text8, botocore or a path (default: the text8-like corpus, else text8)")
    parser.add_argument("--rare-words", type=Path, default=_RARE_WORDS, help="the Stanford rare words, a file of pairs")
    parser.add_argument("--only", nargs="+", choices=list(PROGRAMS), metavar="PROGRAM", help=", ".join(PROGRAMS))
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the results")
    return machine.exit_code(benchmark, parser.parse_args())


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is too small; it must be at least 1")
    return number


if __name__ == "__main__":
    sys.exit(main())
