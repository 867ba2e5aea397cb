"""How a run goes on, as a stream of snapshots: the states of its machine and the progress that its algorithm prints."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime

from contract.specification import Algorithm
from kindling import runs
from kindling.histories import History
from kindling.joblogs import JobLog, LogLine
from kindling.runs import Run
from kindling.targets import Target

_INTERVAL_S = {"embedded": 0.5, "aws": 3.0}  # AWS allows 15 descriptions of an execution a second, in all


@dataclass(frozen=True)
class Reading:
    """What one line of the log tells of training: per cent done, and other numbers by what they are called."""

    time: datetime
    host: str
    percent: float
    values: dict[str, float]


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """A run at one moment. `readings` are the latest of each host; `lines` are those that came since the last.

    `job_status` is the training job's secondary status (Downloading, Training, ...) while it runs.
    """

    run: Run
    history: History = field(default_factory=History)
    readings: dict[str, Reading] = field(default_factory=dict)
    lines: tuple[LogLine, ...] = ()
    job_status: str | None = None

    @property
    def percent(self) -> float | None:
        """How far training is: as far as the slowest host that has said so."""
        return min((reading.percent for reading in self.readings.values()), default=None)

    @property
    def values(self) -> dict[str, float]:
        """The latest numbers of the host that spoke last."""
        latest = max(self.readings.values(), key=lambda reading: reading.time, default=None)
        return latest.values if latest else {}


def follow(
    target: Target, run: Run, algorithm: Algorithm, sleep: Callable[[float], None] = time.sleep
) -> Iterator[Snapshot]:
    """Snapshots of a run until it is over; the last one has its output or its cause."""
    snapshot, log = Snapshot(run=run), None
    while True:
        run = runs.refresh(target, run)
        history = runs.history(target, run)
        if history.job is not None and (log is None or log[0] != history.job):
            log = (history.job, JobLog(target, history.job))
            snapshot = replace(snapshot, readings={})  # another attempt starts from nothing
        lines = log[1].new_lines() if log else []
        readings = {reading.host: reading for line in lines if (reading := read(algorithm, line)) is not None}
        told = {**snapshot.readings, **readings}
        # What training itself prints says more.
        status = None if told else job_status(target, history)
        snapshot = Snapshot(run=run, history=history, readings=told, lines=tuple(lines), job_status=status)
        yield snapshot
        if run.is_over:
            return
        sleep(_INTERVAL_S[target.kind])


def job_status(target: Target, history: History) -> str | None:
    """The secondary status of the training job while an execution is in the state that began it."""
    training = any(state.name == history.training and state.exited is None for state in history.states)
    if history.job is None or not training:
        return None
    from botocore.exceptions import ClientError

    try:
        return str(target.client("sagemaker").describe_training_job(TrainingJobName=history.job)["SecondaryStatus"])
    except ClientError:
        return None  # scheduled, but not created yet


def read(algorithm: Algorithm, line: LogLine) -> Reading | None:
    """What a line tells of training, as the catalogue says where to look; None when it tells nothing."""
    if algorithm.progress is None:
        return None
    found = re.search(algorithm.progress.regex, line.text)
    if found is None:
        return None
    others = {name: re.search(regex, line.text) for name, regex in algorithm.progress.values.items()}
    values = {name: float(match[1]) for name, match in others.items() if match is not None}
    return Reading(time=line.time, host=line.host, percent=float(found[1]), values=values)
