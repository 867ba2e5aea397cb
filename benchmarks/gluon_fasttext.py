"""Our Gluon fastText against GluonNLP's script's approach and against fastText: speed, memory and accuracy.

`python -m benchmarks.gluon_fasttext [options]`. Every run is a process of its own (ours a training job by the container
contract) on the same cores; a round runs all programs with words alone and with bigrams in turn, with one seed. All
have the same dimension, n-grams and epochs; besides, ours and the script's approach have their own defaults, ours once
more the script's batches and rates, and fastText the learning rate that suits it. Words a second are tokens of the text
x epochs / training seconds; reading and writing are left out. Accuracy is each program's own on the same lines. Medians
of ratios within rounds, and means over the seeds, are printed; the figures go to OUT/gluon_fasttext.json.
"""

from __future__ import annotations

import argparse
import json
import lzma
import os
import re
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

SPEEDUP = 3.0  # what our words/s must be of the script's approach
PROGRAMS = ("original", "fasttext", "ours", "ours, as the script")
_ALGORITHM = algorithms()["gluon_fasttext"]
_SST2 = ROOT.parent / "shared" / "data" / "sst2"
_HELD_OUT = 5_000
_DIM, _FASTTEXT_BUCKETS = 100, 2_000_000
_SCRIPT = {"batch_size": 16, "lr": 0.05}
_FASTTEXT = {"learning_rate": 0.25, "min_count": 1, "buckets": _FASTTEXT_BUCKETS}


@dataclass(frozen=True)
class Run:
    """The figures of one training."""

    program: str
    ngrams: int
    seed: int
    words_per_second: float
    peak_bytes: int
    accuracy: float


def benchmark(arguments: argparse.Namespace) -> None:
    """Make all runs, save their figures, print the ratios.

    Raises:
        UserError: the data set is not there, or a program failed.
    """
    described, runs = machine.describe(), []
    print(f"load average {machine.load_average():.2f}; {described['cores']} cores of a {described['cpu']}")
    arguments.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=arguments.out) as scratch:
        train, test = _texts(Path(scratch), arguments.lines)
        for seed in range(1, arguments.rounds + 1):
            for ngrams in (1, 2):
                for program in PROGRAMS:
                    run = _measure(program, train, test, ngrams, seed, arguments, Path(scratch))
                    runs.append(run)
                    print(
                        f"seed {seed}: {program}, ngrams {ngrams}: {run.words_per_second / 1e6:.3f} M words/s,"
                        f" {run.peak_bytes / 1e6:.0f} MB, accuracy {run.accuracy:.4f}",
                        flush=True,
                    )
    content = {"machine": described, "lines": arguments.lines, "runs": [asdict(run) for run in runs]}
    (arguments.out / "gluon_fasttext.json").write_text(json.dumps(content, indent=1))
    print()
    for line in bars(runs):
        print(line)


def bars(runs: list[Run]) -> list[str]:
    """What was found of what is to be shown; ratios are medians of those within a round."""
    lines = []
    for ngrams in (1, 2):
        for program, peer_name, bar in (
            ("ours", "original", f" (bar {SPEEDUP})"),
            ("ours, as the script", "original", ""),
            ("ours", "fasttext", ""),
        ):
            own_runs, peers = (
                [run for run in runs if (run.program, run.ngrams) == (name, ngrams)] for name in (program, peer_name)
            )
            pairs = list(zip(own_runs, peers, strict=True))
            speed = statistics.median(own.words_per_second / peer.words_per_second for own, peer in pairs)
            memory = statistics.median(own.peak_bytes / peer.peak_bytes for own, peer in pairs)
            accuracy = statistics.fmean(own.accuracy - peer.accuracy for own, peer in pairs)
            lines.append(
                f"ngrams {ngrams}, {program}: {speed:.2f} x {peer_name}'s words/s{bar}, {memory:.2f} of its memory,"
                f" accuracy {accuracy:+.4f}"
            )
    return lines


def _texts(folder: Path, lines: int) -> tuple[Path, Path]:
    """SST-2's first lines to train on; its last ones and its dev set to test on."""
    found = []
    for name in ("train", "dev"):
        path = _SST2 / f"sst2.{name}.xz"
        if not path.exists():
            raise UserError(f"{path} does not exist; the benchmark needs the data set sst2.")
        with lzma.open(path, "rt", encoding="utf-8") as file:
            found.append(file.readlines())
    everything, dev = found
    train, test = folder / "train.txt", folder / "test.txt"
    train.write_text("".join(everything[: min(lines, len(everything) - _HELD_OUT)]), encoding="utf-8")
    test.write_text("".join(everything[-_HELD_OUT:] + dev), encoding="utf-8")
    return train, test


def _measure(
    program: str, train: Path, test: Path, ngrams: int, seed: int, arguments: argparse.Namespace, scratch: Path
) -> Run:
    common = {"seed": seed, "threads": arguments.threads, "epochs": arguments.epochs}
    with tempfile.TemporaryDirectory(dir=scratch) as folder:
        model = Path(folder) / "model"
        model.mkdir()
        if program.startswith("ours"):
            script = {**_SCRIPT, "lr_schedule": "halve"} if program != "ours" else {}
            settings = {**script, "ngrams": ngrams, "emsize": _DIM, "seed": seed, "epochs": arguments.epochs}
            found, pace, accuracy = _train_ours(train, test, settings, arguments.threads, model, Path(folder))
        elif program == "original":
            settings = {**common, **_SCRIPT, "ngrams": ngrams, "emsize": _DIM}
            found = _run(_ALGORITHM.name, ["benchmarks.gluon_original", str(train), str(test), json.dumps(settings)])
            said = json.loads(found.lines[-1][1])
            pace, accuracy = said["words_per_second"], said["accuracy"]
        else:
            settings = {**common, **_FASTTEXT, "word_ngrams": ngrams, "vector_dim": _DIM}
            found = _run("blazingtext", ["benchmarks.labelled", "train", str(train), str(model), json.dumps(settings)])
            pace = json.loads(found.lines[-1][1])["words_per_second"]
            scored = _run("blazingtext", ["benchmarks.labelled", "score", str(model / "model.bin"), str(test)])
            accuracy = json.loads(scored.lines[-1][1])["precision_at_1"]
    return Run(program, ngrams, seed, pace, found.peak_bytes, accuracy)


def _train_ours(
    train: Path, test: Path, settings: dict[str, Any], threads: int, model: Path, folder: Path
) -> tuple[Measured, float, float]:
    hyperparameters = {name: f"{value}" for name, value in settings.items()}
    channels = {"train": train, "test": test}
    (host,) = training_hosts(_ALGORITHM, channels, hyperparameters, model, 1, folder / "hosts")
    environment = {**host.environment, "KINDLING_CPUS_PER_HOST": f"{threads}"}
    (found,) = run_together([(host.command, environment)], os.sched_getaffinity(0))
    pace = re.search(r"Average throughput in Million words/sec: ([0-9.]+)", found.output)
    accuracy = re.search(r"#test_accuracy: ([0-9.]+)", found.output)
    if pace is None or accuracy is None:
        raise UserError(f"our job told no throughput or accuracy; its log ends:\n{found.output[-2000:]}")
    return found, float(pace[1]) * 1e6, float(accuracy[1])


def _run(environment: str, module: list[str]) -> Measured:
    command = [str(python_of(environment)), "-m", *module]
    (found,) = run_together([(command, {**os.environ, "PYTHONPATH": str(ROOT)})], os.sched_getaffinity(0))
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3, help="each with a seed of its own")
    parser.add_argument("--lines", type=int, default=20_000, help="of SST-2 to train on")
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", type=Path, default=machine.BUILT, help="folder of the results")
    return machine.exit_code(benchmark, parser.parse_args())


if __name__ == "__main__":
    sys.exit(main())
