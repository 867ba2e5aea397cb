"""Our text classification against the fastText package's: speed, memory and accuracy, at the same settings.

`python -m benchmarks.supervised [options]`. Every run is a process of its own (ours a training job by the container
contract) on the same cores; a round runs both programs on every data set and dimension in turn, with one seed. Words a
second are tokens of the text x epochs / training seconds; reading and writing are left out. Accuracy is counted by the
fastText package for both, on its own reading of model.bin. Medians, and means over the seeds, are printed; the figures
go to OUT/supervised.json.
"""

from __future__ import annotations

import argparse
import json
import lzma
import os
import re
import shutil
import statistics
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks import machine
from benchmarks.processes import Measured, run_together
from containers.catalogue import algorithms
from kindling.environments import ROOT, python_of
from kindling.errors import UserError
from kindling.local_algorithm import training_hosts

RESULTS = machine.BUILT
_SHARED = ROOT.parent / "shared" / "data"
_ALGORITHM = algorithms()["blazingtext"]
_PACE = re.compile(r"Average throughput in Million words/sec: ([0-9.]+)")


@dataclass(frozen=True, kw_only=True)
class DataSet:
    """Labelled text in fastText's form, and settings that suit it."""

    name: str
    train: Path
    test: Path
    settings: dict[str, Any]


SST2 = DataSet(
    name="sst2",
    train=_SHARED / "sst2" / "sst2.train.xz",
    test=_SHARED / "sst2" / "sst2.dev.xz",
    settings={"learning_rate": 0.05, "epochs": 5, "min_count": 5},
)
COOKING = DataSet(
    name="cooking",
    train=_SHARED / "cooking" / "cooking.train.xz",
    test=_SHARED / "cooking" / "cooking.valid.xz",
    settings={"learning_rate": 0.5, "epochs": 25, "min_count": 1},
)
_SPEEDUP = {10: 2.5, 100: 3.0}  # by dimension, of training


@dataclass(frozen=True)
class Run:
    """The figures of one training."""

    data: str
    program: str
    vector_dim: int
    seed: int
    words_per_second: float
    whole_seconds: float
    peak_bytes: int
    precision_at_1: float
    recall_at_5: float


def benchmark(arguments: argparse.Namespace) -> None:
    """Make all runs, save their figures, print the tables.

    Raises:
        UserError: a data set is not there, or a program failed.
    """
    described, runs = machine.describe(), []
    print(f"load average {machine.load_average():.2f}; {described['cores']} cores of a {described['cpu']}")
    arguments.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=arguments.out) as scratch:
        texts = {data.name: _unpacked(data, Path(scratch)) for data in (SST2, COOKING)}
        for seed in range(1, arguments.rounds + 1):
            for data in (SST2, COOKING):
                for dim in (10, 100):
                    for program in ("fasttext", "ours"):
                        run = _measure(program, data, texts[data.name], dim, seed, arguments.threads, Path(scratch))
                        runs.append(run)
                        print(
                            f"seed {seed}: {data.name}, {program}, dim {dim}: {run.words_per_second / 1e6:.2f} M"
                            f" words/s, {run.peak_bytes / 1e6:.0f} MB, P@1 {run.precision_at_1:.4f},"
                            f" R@5 {run.recall_at_5:.4f}",
                            flush=True,
                        )
    content = {"machine": described, "threads": arguments.threads, "runs": [asdict(run) for run in runs]}
    (arguments.out / "supervised.json").write_text(json.dumps(content, indent=1))
    print()
    for line in bars(runs):
        print(line)


def bars(runs: list[Run]) -> list[str]:
    """What was found of what is to be shown; ratios are medians of those within a round."""
    lines = []
    for data in (SST2, COOKING):
        for dim in (10, 100):
            ours, theirs = (_of(runs, program, data, dim) for program in ("ours", "fasttext"))
            speedup = statistics.median(
                a.words_per_second / b.words_per_second for a, b in zip(ours, theirs, strict=True)
            )
            memory = statistics.median(a.peak_bytes / b.peak_bytes for a, b in zip(ours, theirs, strict=True))
            precision, recall = (
                statistics.fmean(getattr(a, name) - getattr(b, name) for a, b in zip(ours, theirs, strict=True))
                for name in ("precision_at_1", "recall_at_5")
            )
            lines.append(
                f"{data.name}, dim {dim}: {speedup:.1f} x fastText's words/s (bar {_SPEEDUP[dim]}), {memory:.2f} of its"
                f" memory, P@1 {precision:+.4f}, R@5 {recall:+.4f} (bar -0.005)"
            )
    return lines


def _of(runs: list[Run], program: str, data: DataSet, dim: int) -> list[Run]:
    return [run for run in runs if (run.program, run.data, run.vector_dim) == (program, data.name, dim)]


def _unpacked(data: DataSet, folder: Path) -> tuple[Path, Path]:
    found = []
    for path in (data.train, data.test):
        if not path.exists():
            raise UserError(f"{path} does not exist; the benchmark needs the data set {data.name}.")
        found.append(folder / path.stem)
        with lzma.open(path) as packed, found[-1].open("wb") as unpacked:
            shutil.copyfileobj(packed, unpacked)
    return found[0], found[1]


def _measure(
    program: str, data: DataSet, texts: tuple[Path, Path], dim: int, seed: int, threads: int, scratch: Path
) -> Run:
    train, test = texts
    shape = {"vector_dim": dim, "seed": seed, "threads": threads, "word_ngrams": 2, "buckets": 2_000_000}
    settings = {**data.settings, **shape}
    with tempfile.TemporaryDirectory(dir=scratch) as folder:
        model = Path(folder) / "model"
        model.mkdir()
        if program == "ours":
            found, pace = _train_ours(train, model, settings, Path(folder))
        else:
            found = _run(["train", str(train), str(model), json.dumps(settings)])
            pace = json.loads(found.lines[-1][1])["words_per_second"]
        scores = json.loads(_run(["score", str(model / "model.bin"), str(test)]).lines[-1][1])
    return Run(data.name, program, dim, seed, pace, found.seconds, found.peak_bytes, **scores)


def _train_ours(train: Path, model: Path, settings: dict[str, Any], folder: Path) -> tuple[Measured, float]:
    hyperparameters = {name: f"{value}" for name, value in {"mode": "supervised", **settings}.items()}
    (host,) = training_hosts(_ALGORITHM, {"train": train}, hyperparameters, model, 1, folder / "hosts")
    (found,) = run_together([(host.command, host.environment)], os.sched_getaffinity(0))
    if (told := _PACE.search(found.output)) is None:
        raise UserError(f"our job told no throughput; its log ends:\n{found.output[-2000:]}")
    return found, float(told[1]) * 1e6


def _run(arguments: list[str]) -> Measured:
    command = [str(python_of(_ALGORITHM.name)), "-m", "benchmarks.labelled", *arguments]
    (found,) = run_together([(command, {**os.environ, "PYTHONPATH": str(ROOT)})], os.sched_getaffinity(0))
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3, help="each with a seed of its own")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the results")
    return machine.exit_code(benchmark, parser.parse_args())


if __name__ == "__main__":
    sys.exit(main())
