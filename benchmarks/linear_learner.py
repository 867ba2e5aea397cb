"""Our Linear Learner against scikit-learn and Vowpal Wabbit, each fitting as many models: records a second, and error.

`python -m benchmarks.linear_learner [options]`. Every run is a process of its own (ours a training job by the container
contract) on the same cores; a round runs all programs with one split of the data, in turn. Records a second are the
training records x epochs / seconds of all fits, each record counted once for all models; of ours and of scikit-learn
reading is left out, Vowpal Wabbit reads as it learns. Then the job trains on two hosts of one core each, once with all
data on both (FullyReplicated) and once with half on each (ShardedByS3Key). Medians of ratios within rounds are printed;
the figures go to OUT/linear_learner.json.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import statistics
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks import machine
from benchmarks.processes import run_together
from containers.catalogue import algorithms
from kindling.environments import ROOT, python_of
from kindling.errors import UserError
from kindling.local_algorithm import training_hosts

SPEEDUP = 5.0  # what our records/s must be of scikit-learn's
WITHIN = 1.01  # what our best error may be of its best
SHARDED_SPEEDUP = 1.5  # what the sharded arm's speed must be of the replicated arm's
PROGRAMS = ("ours", "scikit-learn", "vowpal-wabbit")
TASKS = ("regression", "classification")
_ALGORITHM = algorithms()["linear_learner"]
_AIR = ROOT.parent / "shared" / "data" / "beijing-air" / "beijing-air.tar.xz"
_UNHEALTHY = 75.0  # micrograms of PM2.5 a cubic metre, above which the label of the classification is 1
_MEASURES = {"regression": "validation mse", "classification": "validation binary_classification_accuracy"}


@dataclass(frozen=True)
class Run:
    """The figures of one program's training: `measure` is the best model's MSE or accuracy on the validation data."""

    program: str
    task: str
    round: int
    records_per_second: float
    seconds: float
    peak_bytes: int
    measure: float


@dataclass(frozen=True)
class Arm:
    """The figures of a job on two hosts."""

    distribution: str
    round: int
    training_seconds: float
    mse: float


def benchmark(arguments: argparse.Namespace) -> None:
    """Make all runs, save their figures, print the ratios.

    Raises:
        UserError: the data set is not there, or a program failed.
    """
    described = machine.describe()
    print(f"load average {machine.load_average():.2f}; {described['cores']} cores of a {described['cpu']}")
    arguments.out.mkdir(parents=True, exist_ok=True)
    runs: list[Run] = []
    arms: list[Arm] = []
    with tempfile.TemporaryDirectory(dir=arguments.out) as scratch:
        table = _air_quality(Path(scratch))
        for number in range(1, arguments.rounds + 1):
            for run in _round(table, number, arguments, Path(scratch)):
                runs.append(run)
                print(
                    f"round {number}: {run.task}, {run.program}: {run.records_per_second / 1e6:.3f} M records/s,"
                    f" {run.seconds:.1f} s in all, {run.peak_bytes / 1e6:.0f} MB, {run.measure:.5g}",
                    flush=True,
                )
            for arm in _arms(table, number, arguments, Path(scratch)):
                arms.append(arm)
                print(
                    f"round {number}: {arm.distribution}: {arm.training_seconds:.2f} s, MSE {arm.mse:.5g}", flush=True
                )
    content = {
        "machine": described,
        "records": len(table),
        "models": arguments.models,
        "epochs": arguments.epochs,
        "runs": [asdict(run) for run in runs],
        "arms": [asdict(arm) for arm in arms],
    }
    (arguments.out / "linear_learner.json").write_text(json.dumps(content, indent=1))
    print()
    for line in bars(runs, arms):
        print(line)


def bars(runs: list[Run], arms: list[Arm]) -> list[str]:
    """What was found of what is to be shown; ratios are medians of those within a round."""
    lines = []
    for task in TASKS:
        own = [run for run in runs if (run.program, run.task) == ("ours", task)]
        for program in PROGRAMS[1:]:
            peers = [run for run in runs if (run.program, run.task) == (program, task)]
            pairs = list(zip(own, peers, strict=True))
            speed = statistics.median(ours.records_per_second / peer.records_per_second for ours, peer in pairs)
            measure = statistics.median(ours.measure / peer.measure for ours, peer in pairs)
            bar = program == "scikit-learn" and task == "regression"
            lines.append(
                f"{task}: {speed:.1f} x {program}'s records/s{f' (bar {SPEEDUP})' if bar else ''},"
                f" {'MSE' if task == 'regression' else 'accuracy'} {measure:.4f} of its best model's"
                f"{f' (bar {WITHIN})' if bar else ''}"
            )
    by_arm = [[arm for arm in arms if arm.distribution == name] for name in ("FullyReplicated", "ShardedByS3Key")]
    pairs_of_arms = list(zip(*by_arm, strict=True))
    speed = statistics.median(whole.training_seconds / sharded.training_seconds for whole, sharded in pairs_of_arms)
    error = statistics.median(sharded.mse / whole.mse for whole, sharded in pairs_of_arms)
    lines.append(
        f"two hosts: sharded {speed:.2f} x the replicated arm's speed (bar {SHARDED_SPEEDUP}), MSE {error:.4f} of its"
    )
    return lines


def _air_quality(folder: Path) -> NDArray[np.float64]:
    """All stations' hours: PM2.5, and 14 features."""
    if not _AIR.exists():
        raise UserError(f"{_AIR} does not exist; the benchmark needs the data set beijing-air.")
    with tarfile.open(_AIR) as archive:
        archive.extractall(folder / "air", filter="data")
    return np.concatenate([np.loadtxt(path, delimiter=",") for path in sorted((folder / "air").glob("*.csv"))])


def _split(table: NDArray[np.float64], seed: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """A tenth to validate on, and the rest, in random order."""
    order = np.random.default_rng(seed).permutation(len(table))
    return table[order[len(table) // 10 :]], table[order[: len(table) // 10]]


def _round(table: NDArray[np.float64], number: int, arguments: argparse.Namespace, scratch: Path) -> Iterator[Run]:
    for task in TASKS:
        given = table.copy()
        if task == "classification":
            given[:, 0] = given[:, 0] > _UNHEALTHY
        train, validation = _split(given, number)
        for program in PROGRAMS:
            with tempfile.TemporaryDirectory(dir=scratch) as name:
                folder = Path(name)
                paths = folder / "train.csv", folder / "validation.csv"
                for path, part in zip(paths, (train, validation), strict=True):
                    np.savetxt(path, part, "%g", ",")
                if program == "ours":
                    yield _train_ours(task, paths, len(train), number, arguments, folder)
                else:
                    yield _train_peer(program, task, paths, len(train), number, arguments)


def _hyperparameters(task: str, seed: int, arguments: argparse.Namespace) -> dict[str, str]:
    return {
        "predictor_type": "regressor" if task == "regression" else "binary_classifier",
        "num_models": f"{arguments.models}",
        "epochs": f"{arguments.epochs}",
        "early_stopping_patience": f"{arguments.epochs + 1}",
        "seed": f"{seed}",
    }


def _train_ours(
    task: str, paths: tuple[Path, Path], records: int, number: int, arguments: argparse.Namespace, folder: Path
) -> Run:
    (folder / "model").mkdir()
    channels = dict(zip(("train", "validation"), paths, strict=True))
    hyperparameters = _hyperparameters(task, number, arguments)
    (host,) = training_hosts(_ALGORITHM, channels, hyperparameters, folder / "model", 1, folder / "hosts")
    environment = {**host.environment, "KINDLING_CPUS_PER_HOST": f"{arguments.cores}"}
    (found,) = run_together([(host.command, environment)], os.sched_getaffinity(0))
    seconds = sum(records / pace for pace in _throughputs(found.output))
    pace = records * arguments.epochs / seconds
    return Run("ours", task, number, pace, found.seconds, found.peak_bytes, _measure(found.output, _MEASURES[task]))


def _train_peer(
    program: str, task: str, paths: tuple[Path, Path], records: int, number: int, arguments: argparse.Namespace
) -> Run:
    settings = {
        "task": task,
        "models": arguments.models,
        "epochs": arguments.epochs,
        "processes": arguments.cores,
        "seed": number,
    }
    module = ["benchmarks.linear_peer", program, *map(str, paths), json.dumps(settings)]
    command = [str(python_of(_ALGORITHM.name)), "-m", *module]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    (found,) = run_together([(command, environment)], os.sched_getaffinity(0))
    said: dict[str, Any] = json.loads(found.lines[-1][1])
    pace = records * arguments.epochs / said["seconds"]
    return Run(program, task, number, pace, found.seconds, found.peak_bytes, said["measure"])


def _arms(table: NDArray[np.float64], number: int, arguments: argparse.Namespace, scratch: Path) -> Iterator[Arm]:
    train, validation = _split(table, number)
    halves = train[: len(train) // 2], train[len(train) // 2 :]
    for distribution in ("FullyReplicated", "ShardedByS3Key"):
        with tempfile.TemporaryDirectory(dir=scratch) as name:
            folder = Path(name)
            (folder / "train").mkdir()
            for place, half in enumerate(halves):
                np.savetxt(folder / "train" / f"{place}.csv", half, "%g", ",")
            np.savetxt(folder / "validation.csv", validation, "%g", ",")
            (folder / "model").mkdir()
            channels = {"train": folder / "train", "validation": folder / "validation.csv"}
            settings = _hyperparameters("regression", number, arguments)
            hosts = training_hosts(_ALGORITHM, channels, settings, folder / "model", 2, folder / "hosts")
            if distribution == "ShardedByS3Key":
                for place, host in enumerate(hosts):
                    _keep_one(host.base, place)
            found = run_together([(host.command, host.environment) for host in hosts], os.sched_getaffinity(0))
            records = len(train) if distribution == "FullyReplicated" else len(halves[0])
            seconds = sum(records / pace for pace in _throughputs(found[0].output))
            yield Arm(distribution, number, seconds, _measure(found[0].output, _MEASURES["regression"]))


def _keep_one(base: Path, place: int) -> None:
    """Leave a host one of the objects, as the service does with ShardedByS3Key."""
    channel = base / "input" / "data" / "train"
    source = channel.resolve()
    channel.unlink()
    channel.mkdir()
    (channel / f"{place}.csv").symlink_to(source / f"{place}.csv")


def _throughputs(output: str) -> list[float]:
    found = [float(pace) for pace in re.findall(r"train throughput=(\S+) records/second", output)]
    if not found:
        raise UserError(f"our job told no throughput; its log ends:\n{output[-2000:]}")
    return found


def _measure(output: str, name: str) -> float:
    found = re.search(rf"#quality_metric: host=algo-1, {name} <\w+>=(\S+)", output)
    if found is None:
        raise UserError(f"our job told no {name}; its log ends:\n{output[-2000:]}")
    return float(found[1])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3, help="each with a split and a seed of its own")
    parser.add_argument("--models", type=int, default=32)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--cores", type=int, default=2)
    parser.add_argument("--out", type=Path, default=machine.BUILT, help="folder of the results")
    return machine.exit_code(benchmark, parser.parse_args())


if __name__ == "__main__":
    sys.exit(main())
