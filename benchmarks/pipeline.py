"""What the embedded cloud's pipeline costs on top of the algorithm.

The overhead is the time from StartExecution to its end, less the training and scoring that the algorithm's log tells
of. `python -m benchmarks.pipeline [--rounds N] [--hosts N ...]` wants a cloud with the app deployed to it.
"""

from __future__ import annotations

import argparse
import re
import statistics
import sys
import time
from datetime import datetime
from pathlib import Path
from typing import Any

from containers.catalogue import algorithms
from kindling import datasets, resources, runs, submission
from kindling.errors import UserError
from kindling.targets import Target, choose

LOGS = "/aws/sagemaker/TrainingJobs"
_TRAINING = re.compile(r"Total training time in seconds: ([0-9.]+)")


def measure(target: Target, corpus: Path, hosts: int) -> dict[str, float]:
    """One run: seconds in all, of the algorithm's training and scoring, and the rest, which is the overhead."""
    request = submission.Request(
        algorithm=algorithms()["blazingtext"],
        channels={"train": str(corpus)},
        hyperparameters={"mode": "batch_skipgram"},
        instances=hosts,
        name="overhead",
        endpoint="overhead",
    )
    deployed = resources.find(target)
    started = submission.start(target, deployed, request, lambda _what, _done, _total: None)
    run = runs.find(target, deployed, started.run)
    while not run.is_over:
        time.sleep(0.2)
        run = runs.refresh(target, run)
    if run.output is None:
        sys.exit(run.cause)
    training, scoring = algorithm_seconds(target, str(run.output["training"]["job_name"]))
    return {
        "all": run.seconds,
        "training": training,
        "scoring": scoring,
        "overhead": run.seconds - training - scoring,
        "rho": float(run.output["training"]["metrics"]["train:mean_rho"]),
    }


def algorithm_seconds(target: Target, job: str) -> tuple[float, float]:
    """Seconds that the first host trained, as it says itself, and that its evaluation took, from its lines' times."""
    logs: Any = target.client("logs")
    streams = logs.describe_log_streams(logGroupName=LOGS, logStreamNamePrefix=f"{job}/algo-1")["logStreams"]
    events = logs.get_log_events(
        logGroupName=LOGS, logStreamName=streams[0]["logStreamName"], startFromHead=True, limit=10000
    )["events"]
    told = next(float(found[1]) for event in events if (found := _TRAINING.search(event["message"])))
    times = {event["message"]: datetime.fromtimestamp(event["timestamp"] / 1000) for event in events}  # noqa: DTZ006
    begun = next(time for message, time in times.items() if message.startswith("Evaluating"))
    ended = next(time for message, time in times.items() if "#mean_rho" in message)
    return told, (ended - begun).total_seconds()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--hosts", type=int, nargs="+", default=[1, 2])
    arguments = parser.parse_args()
    try:
        target = choose("embedded")
        corpus = datasets.find("botocore", target.state / "corpora").path
        rounds = [(hosts, measure(target, corpus, hosts)) for _ in range(arguments.rounds) for hosts in arguments.hosts]
    except UserError as error:
        print(error, file=sys.stderr)
        return 1
    print(f"{'hosts':>5} {'all s':>8} {'training s':>11} {'scoring s':>10} {'overhead s':>11} {'mean_rho':>9}")
    for hosts in arguments.hosts:
        found = [figures for number, figures in rounds if number == hosts]
        middle = {name: statistics.median(figures[name] for figures in found) for name in found[0]}
        print(
            f"{hosts:>5} {middle['all']:>8.1f} {middle['training']:>11.1f} {middle['scoring']:>10.1f}"
            f" {middle['overhead']:>11.1f} {middle['rho']:>9.3f}"
        )
    print(f"median of {arguments.rounds} rounds, the numbers of hosts taken in turn")
    return 0


if __name__ == "__main__":
    sys.exit(main())
