"""A training job as DescribeTrainingJob shows it, and as the store keeps it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

IN_PROGRESS, STOPPING = "InProgress", "Stopping"
FINAL = ("Completed", "Failed", "Stopped")

_REASON_LENGTH = 1024
_MESSAGES = {
    "Starting": "Preparing the instances for training",
    "Downloading": "Downloading input data",
    "Training": "Training image download completed. Training in progress.",
    "Uploading": "Uploading generated training model",
    "Stopping": "Stopping the training job",
    "Completed": "Training job completed",
    "Stopped": "Training job stopped",
    "MaxRuntimeExceeded": "Training job runtime exceeded MaxRuntimeInSeconds provided",
    "MaxWaitTimeExceeded": "Training job wait time exceeded MaxWaitTimeInSeconds provided",
    "Failed": "Training job failed",
    "Interrupted": "Spot capacity was taken back; the training job starts again",
    "Restarting": "Restarting the training job after an internal error",
}
# The statuses in which a job has its instances.
_ON_INSTANCES = ("Downloading", "Training", "Stopping", "Uploading")
# What a second on a spot instance costs of a second of the same instance. AWS's price moves; this is a round figure.
_SPOT_PRICE = 0.3
# Members of the request that the description repeats as they came.
_REPEATED = (
    "TuningJobArn",
    "HyperParameters",
    "AlgorithmSpecification",
    "RoleArn",
    "InputDataConfig",
    "OutputDataConfig",
    "ResourceConfig",
    "VpcConfig",
    "CheckpointConfig",
    "StoppingCondition",
    "DebugHookConfig",
    "ProfilerConfig",
    "Environment",
    "RetryStrategy",
)
# What the store keeps of a job beside the request, the ARN and the transitions.
_KEPT = (
    "tags",
    "status",
    "secondary_status",
    "failure_reason",
    "creation_time",
    "last_modified_time",
    "training_start_time",
    "training_end_time",
    "artifacts",
    "metrics",
)


@dataclass(frozen=True)
class Outcome:
    """How a job ended."""

    status: str
    secondary_status: str
    reason: str | None = None


COMPLETED = Outcome("Completed", "Completed")
STOPPED = Outcome("Stopped", "Stopped")
INTERRUPTED = Outcome("InProgress", "Interrupted")  # not an end: the job begins again
OVERTIME = Outcome("Stopped", "MaxRuntimeExceeded")
OVER_WAIT = Outcome("Stopped", "MaxWaitTimeExceeded")


def failed(reason: str) -> Outcome:
    """The outcome of a job that failed."""
    return Outcome("Failed", "Failed", reason)


def interrupted(doing: str) -> Outcome:
    """The outcome of a job whose hosts ended with the cloud."""
    return failed(f"InternalServerError: the embedded cloud ended while the job was in {doing}; create it again.")


class TrainingJob:
    """One training job: what was asked for, and how far it is.

    Args:
        changed: called after every change, to keep it and to tell others.
    """

    def __init__(self, request: Mapping[str, Any], arn: str, changed: Callable[[TrainingJob], None]) -> None:
        self.request = request
        self.arn = arn
        self.name: str = request["TrainingJobName"]
        self.tags: dict[str, str] = {tag["Key"]: tag["Value"] for tag in request.get("Tags", [])}
        self.status = IN_PROGRESS
        self.secondary_status = "Starting"
        self.failure_reason: str | None = None
        self.creation_time = self.last_modified_time = datetime.now(UTC)
        self.training_start_time: datetime | None = None
        self.training_end_time: datetime | None = None
        self.artifacts: str | None = None
        self.metrics: list[dict[str, Any]] = []
        self._transitions: list[dict[str, Any]] = []
        self._changed = changed
        self.lock = threading.RLock()
        self.enter("Starting")

    @classmethod
    def restored(cls, record: Mapping[str, Any], changed: Callable[[TrainingJob], None]) -> TrainingJob:
        """The job of a record; one that had not ended has failed, for its hosts ended with the former cloud."""
        job = cls(record["request"], record["arn"], lambda _job: None)
        for name in _KEPT:
            setattr(job, name, record[name])
        job._transitions = record["transitions"]
        job._changed = changed
        return job

    def record(self) -> dict[str, Any]:
        """What the store keeps."""
        with self.lock:
            kept = {name: getattr(self, name) for name in _KEPT}
            return {**kept, "request": self.request, "arn": self.arn, "transitions": self._transitions}

    def enter(self, secondary_status: str) -> None:
        """Go on to a secondary status; the job's status stays what it is."""
        with self.lock:
            now = datetime.now(UTC)
            if self._transitions:
                self._transitions[-1]["EndTime"] = now
            transition: dict[str, Any] = {
                "Status": secondary_status,
                "StartTime": now,
                "StatusMessage": _MESSAGES[secondary_status],
            }
            if self.status in FINAL:
                self.training_end_time = transition["EndTime"] = now
            self._transitions.append(transition)
            self.secondary_status = secondary_status
            if secondary_status == "Downloading" and self.training_start_time is None:
                self.training_start_time = now
            self.last_modified_time = now
            self._changed(self)

    def tell(self, message: str | None = None) -> None:
        """Say more of the secondary status than it does itself; None takes that back. No change, so no event."""
        with self.lock:
            self._transitions[-1]["StatusMessage"] = message or _MESSAGES[self.secondary_status]

    def stop(self) -> bool:
        """Mark the job as Stopping; False when it has ended already."""
        with self.lock:
            if self.status in FINAL:
                return False
            if self.status != STOPPING:
                self.status = STOPPING
                self.enter("Stopping")
            return True

    def finish(self, outcome: Outcome) -> None:
        """End the job."""
        with self.lock:
            self.failure_reason = outcome.reason[:_REASON_LENGTH] if outcome.reason else None
            self.status = outcome.status
            self.enter(outcome.secondary_status)

    @property
    def is_spot(self) -> bool:
        """Whether its instances may be taken back."""
        return bool(self.request.get("EnableManagedSpotTraining"))

    @property
    def training_seconds(self) -> int | None:
        """Whole seconds on instances, all attempts together; None while it runs, or when it never had any."""
        if self.training_start_time is None or self.training_end_time is None:
            return None
        times: list[float] = [
            (transition["EndTime"] - transition["StartTime"]).total_seconds()
            for transition in self._transitions
            if transition["Status"] in _ON_INSTANCES and transition["StartTime"] >= self.training_start_time
        ]
        return max(1, round(sum(times)))

    @property
    def billable_seconds(self) -> int | None:
        """Those seconds at their price."""
        seconds = self.training_seconds
        return max(1, round(seconds * _SPOT_PRICE)) if seconds and self.is_spot else seconds

    def describe(self) -> dict[str, Any]:
        """What DescribeTrainingJob answers."""
        with self.lock:
            description: dict[str, Any] = {
                "TrainingJobName": self.name,
                "TrainingJobArn": self.arn,
                "ModelArtifacts": {"S3ModelArtifacts": self.artifacts} if self.artifacts else None,
                "TrainingJobStatus": self.status,
                "SecondaryStatus": self.secondary_status,
                "FailureReason": self.failure_reason,
                **{name: self.request.get(name) for name in _REPEATED},
                "CreationTime": self.creation_time,
                "TrainingStartTime": self.training_start_time,
                "TrainingEndTime": self.training_end_time,
                "LastModifiedTime": self.last_modified_time,
                "SecondaryStatusTransitions": [dict(transition) for transition in self._transitions],
                "FinalMetricDataList": list(self.metrics) or None,
                "EnableNetworkIsolation": self.request.get("EnableNetworkIsolation", False),
                "EnableInterContainerTrafficEncryption": self.request.get(
                    "EnableInterContainerTrafficEncryption", False
                ),
                "EnableManagedSpotTraining": self.is_spot,
                "TrainingTimeInSeconds": self.training_seconds,
                "BillableTimeInSeconds": self.billable_seconds,
            }
            return {name: value for name, value in description.items() if value is not None}

    def summary(self) -> dict[str, Any]:
        """The job's element of ListTrainingJobs."""
        with self.lock:
            summary = {
                "TrainingJobName": self.name,
                "TrainingJobArn": self.arn,
                "CreationTime": self.creation_time,
                "TrainingEndTime": self.training_end_time,
                "LastModifiedTime": self.last_modified_time,
                "TrainingJobStatus": self.status,
                "SecondaryStatus": self.secondary_status,
            }
            return {name: value for name, value in summary.items() if value is not None}
