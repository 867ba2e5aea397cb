"""A tuning job as DescribeHyperParameterTuningJob shows it, and as the store keeps it."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from kindling.localcloud.sagemaker.resources import tags_of
from kindling.localcloud.sagemaker.training.job import FINAL, IN_PROGRESS, STOPPING, Outcome, TrainingJob
from kindling.localcloud.sagemaker.tuning.definition import OBJECTIVE_METRIC, Definition
from kindling.localcloud.sagemaker.tuning.objective import Objective

_KEPT = ("tags", "status", "failure_reason", "creation_time", "last_modified_time", "end_time")
_COUNTED = {
    "InProgress": "InProgress",
    "Stopping": "InProgress",
    "Completed": "Completed",
    "Stopped": "Stopped",
    "Failed": "NonRetryableError",
}


@dataclass
class Trial:
    """A training job that a tuning job launched, and what it tries.

    `history` holds the objective's values as they come, one an epoch; `cut_short` says that the tuning job stopped it.
    """

    definition: Definition
    tuned: Mapping[str, str]
    job: TrainingJob
    history: list[float] = field(default_factory=list)
    cut_short: bool = False

    @property
    def name(self) -> str:
        return self.job.name

    @property
    def status(self) -> str:
        return self.job.status

    @property
    def creation_time(self) -> datetime:
        return self.job.creation_time

    @property
    def last_modified_time(self) -> datetime:
        return self.job.last_modified_time

    @property
    def value(self) -> float | None:
        """The final objective, once the job has ended in another way than by failing and has reported one."""
        if self.job.status not in ("Completed", "Stopped"):
            return None
        return next((float(m["Value"]) for m in self.job.metrics if m["MetricName"] == OBJECTIVE_METRIC), None)

    @property
    def objective_status(self) -> str:
        """Succeeded, Pending or Failed."""
        if self.job.status not in FINAL:
            return "Pending"
        return "Failed" if self.value is None else "Succeeded"

    def summary(self) -> dict[str, Any]:
        """The trial's element of ListTrainingJobsForHyperParameterTuningJob."""
        objective, value = self.definition.objective, self.value
        metric = {"Type": objective.type, "MetricName": objective.metric, "Value": value}
        summary = {
            "TrainingJobDefinitionName": self.definition.name,
            "TrainingJobName": self.job.name,
            "TrainingJobArn": self.job.arn,
            "CreationTime": self.job.creation_time,
            "TrainingStartTime": self.job.training_start_time,
            "TrainingEndTime": self.job.training_end_time,
            "TrainingJobStatus": self.job.status,
            "TunedHyperParameters": dict(self.tuned),
            "FailureReason": self.job.failure_reason,
            "FinalHyperParameterTuningJobObjectiveMetric": None if value is None else metric,
            "ObjectiveStatus": self.objective_status,
        }
        return {name: value for name, value in summary.items() if value is not None}


def best_of(trials: Iterable[Trial], objective: Objective) -> Trial | None:
    """The trial with the best objective, the earlier of two that are alike; None when none has one."""
    best: tuple[float, Trial] | None = None
    for trial in trials:
        if (value := trial.value) is not None and (best is None or objective.better(value, best[0])):
            best = value, trial
    return best[1] if best else None


@dataclass(frozen=True)
class Upkeep:
    """What is done about a change of a tuning job.

    The lock is that of all tuning jobs: keeping a job takes it too, and two locks could be taken in either order.
    `keep` writes the job down; `announce`, called without the lock, tells others of a new status.
    """

    lock: threading.RLock
    keep: Callable[[TuningJob], None]
    announce: Callable[[TuningJob], None]


class TuningJob:
    """One tuning job: what was asked for, and how far it is.

    Args:
        request: as it was sent, defaults filled in.
        upkeep: what is done about a change.
    """

    def __init__(self, request: Mapping[str, Any], arn: str, definitions: Sequence[Definition], upkeep: Upkeep) -> None:
        self.request = request
        self.arn = arn
        self.name: str = request["HyperParameterTuningJobName"]
        self.definitions = tuple(definitions)
        self.tags = tags_of(request)
        self.status = IN_PROGRESS
        self.failure_reason: str | None = None
        self.creation_time = self.last_modified_time = datetime.now(UTC)
        self.end_time: datetime | None = None
        self.trials: list[Trial] = []
        self._upkeep = upkeep
        self._lock = upkeep.lock

    @classmethod
    def restored(
        cls,
        record: Mapping[str, Any],
        definitions: Sequence[Definition],
        find: Callable[[str], TrainingJob | None],
        upkeep: Upkeep,
    ) -> TuningJob:
        """The job of a record. `find` gives a training job by name; a trial whose job is gone is left out."""
        job = cls(record["request"], record["arn"], definitions, upkeep)
        for name in _KEPT:
            setattr(job, name, record[name])
        for kept in record["trials"]:
            if training := find(kept["name"]):
                job.trials.append(Trial(definitions[kept["definition"]], kept["tuned"], training))
        return job

    def record(self) -> dict[str, Any]:
        """What the store keeps."""
        with self._lock:
            trials = [
                {"name": trial.name, "definition": self.definitions.index(trial.definition), "tuned": dict(trial.tuned)}
                for trial in self.trials
            ]
            kept = {name: getattr(self, name) for name in _KEPT}
            return {**kept, "request": self.request, "arn": self.arn, "trials": trials}

    @property
    def objective(self) -> Objective:
        """What its trials are compared by; where there are several definitions, they agree on the direction."""
        return self.definitions[0].objective

    def add(self, trial: Trial) -> None:
        """Take in a trial that was launched."""
        with self._lock:
            self.trials.append(trial)
            self._upkeep.keep(self)

    def stop(self) -> bool:
        """Mark the job as Stopping; False when it has ended already."""
        with self._lock:
            if self.status in FINAL:
                return False
            if self.status == STOPPING:
                return True
            self._enter(STOPPING)
        self._upkeep.announce(self)
        return True

    def finish(self, outcome: Outcome) -> None:
        """End the job."""
        with self._lock:
            self.failure_reason = outcome.reason
            self.end_time = datetime.now(UTC)
            self._enter(outcome.status)
        self._upkeep.announce(self)

    def _enter(self, status: str) -> None:
        self.status = status
        self.last_modified_time = datetime.now(UTC)
        self._upkeep.keep(self)

    def not_improving(self) -> int:
        """How many of the last training jobs to end did not improve on the best by 1 % or more."""
        ended = [trial for trial in self.trials if trial.value is not None]
        ended.sort(key=lambda trial: trial.job.training_end_time or trial.creation_time)
        return self.objective.not_improving(trial.value for trial in ended if trial.value is not None)

    def describe(self, parents: Sequence[TuningJob]) -> dict[str, Any]:
        """What DescribeHyperParameterTuningJob answers.

        Args:
            parents: whose trials count for OverallBestTrainingJob.
        """
        with self._lock:
            best = best_of(self.trials, self.objective)
            seconds = ((self.end_time or datetime.now(UTC)) - self.creation_time).total_seconds()
            description: dict[str, Any] = {
                **self._head(),
                "HyperParameterTuningJobConfig": self.request["HyperParameterTuningJobConfig"],
                "TrainingJobDefinition": self.request.get("TrainingJobDefinition"),
                "TrainingJobDefinitions": self.request.get("TrainingJobDefinitions"),
                "BestTrainingJob": best.summary() if best else None,
                "OverallBestTrainingJob": self._overall_best(parents),
                "WarmStartConfig": self.request.get("WarmStartConfig"),
                "FailureReason": self.failure_reason,
                "TuningJobCompletionDetails": {"NumberOfTrainingJobsObjectiveNotImproving": self.not_improving()},
                "ConsumedResources": {"RuntimeInSeconds": round(seconds)},
            }
            return {name: value for name, value in description.items() if value is not None}

    def _overall_best(self, parents: Sequence[TuningJob]) -> dict[str, Any] | None:
        if not parents:
            return None
        best: tuple[TuningJob, Trial] | None = None
        for job in (*parents, self):
            trial = best_of(job.trials, self.objective)
            if trial and (best is None or best_of([best[1], trial], self.objective) is trial):
                best = job, trial
        return {**best[1].summary(), "TuningJobName": best[0].name} if best else None

    def summary(self) -> dict[str, Any]:
        """The job's element of ListHyperParameterTuningJobs."""
        with self._lock:
            config = self.request["HyperParameterTuningJobConfig"]
            return {**self._head(), "Strategy": config["Strategy"], "ResourceLimits": config["ResourceLimits"]}

    def _head(self) -> dict[str, Any]:
        trainings = Counter(_counted(trial) for trial in self.trials)
        objectives = Counter(trial.objective_status for trial in self.trials)
        names = ("Completed", "InProgress", "RetryableError", "NonRetryableError", "Stopped")
        head = {
            "HyperParameterTuningJobName": self.name,
            "HyperParameterTuningJobArn": self.arn,
            "HyperParameterTuningJobStatus": self.status,
            "CreationTime": self.creation_time,
            "HyperParameterTuningEndTime": self.end_time,
            "LastModifiedTime": self.last_modified_time,
            "TrainingJobStatusCounters": {name: trainings[name] for name in names},
            "ObjectiveStatusCounters": {name: objectives[name] for name in ("Succeeded", "Pending", "Failed")},
        }
        return {name: value for name, value in head.items() if value is not None}


def _counted(trial: Trial) -> str:
    """The counter that a training job belongs to; only what is the service's own fault could be tried again."""
    reason = trial.job.failure_reason or ""
    return "RetryableError" if reason.startswith("InternalServerError") else _COUNTED[trial.job.status]
