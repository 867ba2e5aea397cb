"""One training by one program: how fast it was and how good its vectors are."""

from __future__ import annotations

import json
import os
import re
import tempfile
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from benchmarks import handover
from benchmarks.corpus import Corpus
from benchmarks.processes import Measured, run_together
from benchmarks.programs import Program, Settings
from containers.catalogue import algorithms
from kindling.environments import ROOT, python_of
from kindling.errors import UserError
from kindling.local_algorithm import training_hosts

ALGORITHM = algorithms()["blazingtext"]
_TRAINING = re.compile(r"Total training time in seconds: ([0-9.]+)")
_ASKED_OF_SUBWORDS = ("min_char", "max_char", "buckets")


@dataclass(frozen=True)
class Case:
    """What is measured: a program with its settings, and on how many hosts."""

    program: Program
    settings: Settings
    hosts: int = 1

    @property
    def label(self) -> str:
        threads = self.settings.threads
        hosts = f"{self.hosts} hosts × " if self.hosts > 1 else ""
        return f"{self.program.name}, {hosts}{threads} thread{'s' * (threads > 1)}, dim {self.settings.vector_dim}"


@dataclass(frozen=True, kw_only=True)
class Run:
    """The figures of one run.

    Attributes:
        seconds: of each part: read, train, write and evaluate.
        whole_seconds: wall clock of the processes, from their start to their end.
        peak_bytes: largest resident set, added up over hosts.
        scores: of the vectors (benchmarks/similarity.py); empty when they were not scored.
        apart: share of its time in which the cores had different L3 caches (benchmarks/handover.py); None on one core.
        scored_from: "this run", or "another run" where the scores were kept from one with the same settings and seed.
    """

    program: str
    threads: int
    hosts: int
    vector_dim: int
    epochs: int
    seed: int
    tokens: int
    seconds: dict[str, float]
    whole_seconds: float
    cpu_seconds: float
    peak_bytes: int
    scores: dict[str, Any] = field(default_factory=dict)
    apart: float | None = None
    scored_from: str = "this run"

    @property
    def words_per_second(self) -> float:
        """Raw tokens x epochs / training seconds."""
        return self.tokens * self.epochs / self.seconds["train"]

    def scored(self, scores: dict[str, Any], scored_from: str) -> Run:
        return replace(self, scores=scores, scored_from=scored_from)

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def measure(case: Case, corpus: Corpus, folder: Path, *, rare_words: Path | None, scoring: bool) -> Run:
    """Train, and score the vectors unless the run is for its speed alone.

    Args:
        folder: scratch space; nothing of the run is left there.
    Raises:
        UserError: the program failed, with what it said.
    """
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        model = Path(scratch) / "model"
        model.mkdir()
        cores = set(sorted(os.sched_getaffinity(0))[: case.settings.threads * case.hosts])
        with handover.watched() as samples:
            if case.program.is_peer:
                found, seconds = _train_peer(case, corpus, model, cores)
            else:
                found, seconds = _train_ours(case, corpus, model, Path(scratch), cores)
        run = Run(
            program=case.program.name,
            threads=case.settings.threads,
            hosts=case.hosts,
            vector_dim=case.settings.vector_dim,
            epochs=case.settings.epochs,
            seed=case.settings.seed,
            tokens=corpus.tokens,
            seconds=seconds,
            whole_seconds=max(process.seconds for process in found),
            cpu_seconds=sum(process.cpu_seconds for process in found),
            peak_bytes=sum(process.peak_bytes for process in found),
            apart=handover.share_apart(samples),
        )
        return run.scored(_score(case.program, model, rare_words), "this run") if scoring else run


def _train_peer(case: Case, corpus: Corpus, model: Path, cores: set[int]) -> tuple[list[Measured], dict[str, float]]:
    program = case.program
    text = corpus.lines if program.package == "gensim" else corpus.path
    command = [
        *_benchmark_command("peers"),
        *(program.package, program.mode, str(text), str(corpus.tokens), str(model)),
        json.dumps(case.settings.as_json()),
        *(["--subwords"] if program.subwords else []),
    ]
    found = run_together([(command, _environment())], cores)
    return found, json.loads(found[0].lines[-1][1])


def _train_ours(
    case: Case, corpus: Corpus, model: Path, scratch: Path, cores: set[int]
) -> tuple[list[Measured], dict[str, float]]:
    """As a training job of the container contract, each host a process; the first host's log tells the seconds."""
    hosts = training_hosts(
        ALGORITHM, {"train": corpus.path}, _hyperparameters(case), model, case.hosts, scratch / "hosts"
    )
    found = run_together([(host.command, host.environment) for host in hosts], cores)
    log = found[0]
    if (told := _TRAINING.search(log.output)) is None:
        raise UserError(f"{case.label} did not tell its training time; its log ends:\n{log.output[-2000:]}")
    trained, evaluating = log.when("Total training time"), log.when("Evaluating word embeddings")
    return found, {
        "read": log.when("Number of words:") - log.when("Processing "),
        "train": float(told[1]),
        "write": evaluating - trained,
        "evaluate": log.when("#mean_rho") - evaluating,
    }


def _hyperparameters(case: Case) -> dict[str, str]:
    settings = case.settings.as_json()
    if not case.program.subwords:
        settings = {name: value for name, value in settings.items() if name not in _ASKED_OF_SUBWORDS}
    settings |= {"mode": case.program.mode, "subwords": case.program.subwords}
    return {name: f"{value}" for name, value in settings.items()}


def _score(program: Program, model: Path, rare_words: Path | None) -> dict[str, Any]:
    if program.package == "kindling" and not program.subwords:
        (model / "vectors.bin").unlink()  # the text says the same and is read without the fastText package
    command = [*_benchmark_command("similarity"), str(model)]
    command += ["--rare-words", str(rare_words)] if rare_words else []
    (found,) = run_together([(command, _environment())], os.sched_getaffinity(0))
    scores: dict[str, Any] = json.loads(found.lines[-1][1])
    return scores


def _benchmark_command(module: str) -> list[str]:
    return [str(python_of(ALGORITHM.name)), "-m", f"benchmarks.{module}"]


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT)}
