"""CreateTrainingJob and what can be asked of the job afterwards."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from moto.cloudwatch.models import cloudwatch_backends

from kindling.localcloud.sagemaker.errors import InvalidRequestError, ResourceInUseError
from kindling.localcloud.sagemaker.listing import answer, page
from kindling.localcloud.sagemaker.resources import Operation, Resources
from kindling.localcloud.sagemaker.surroundings import Surroundings
from kindling.localcloud.sagemaker.training.job import FINAL, TrainingJob, interrupted
from kindling.localcloud.sagemaker.training.metrics import Metrics
from kindling.localcloud.sagemaker.training.request import checked_job
from kindling.localcloud.sagemaker.training.run import TrainingRun
from kindling.localcloud.sagemaker.training.spot import interruptions_per_hour
from kindling.localcloud.sagemaker.validation import Supported, refuse_unsupported
from kindling.localcloud.store import StoreError

_logger = logging.getLogger(__name__)

_FILTERS: Supported = dict.fromkeys(
    (
        "NextToken",
        "MaxResults",
        "CreationTimeAfter",
        "CreationTimeBefore",
        "LastModifiedTimeAfter",
        "LastModifiedTimeBefore",
        "NameContains",
        "StatusEquals",
        "SortBy",
        "SortOrder",
    )
)


@dataclass(frozen=True)
class Launcher:
    """A tuning job that launches training jobs. It hears of every metric's value, and of every change of the job."""

    tuning_job_arn: str
    heard: Callable[[str, float], None]
    changed: Callable[[TrainingJob], None]


class TrainingJobs:
    """The training jobs of one cloud."""

    def __init__(self, around: Surroundings) -> None:
        around.clear("jobs")
        interruptions_per_hour()  # a rate that is none is refused here, not by the first spot job
        self._cloud = around.cloud
        self.resources: Resources[TrainingJob] = Resources(self._cloud, "training-job", "training job")
        self._around = around
        self._runs: dict[str, TrainingRun] = {}
        for job in self.resources.restore(lambda record: TrainingJob.restored(record, self._changed)):
            if job.status not in FINAL:
                job.finish(interrupted(job.secondary_status))

    def operations(self) -> Mapping[str, Operation]:
        """The operations by name."""
        return {
            "CreateTrainingJob": self.create,
            "DescribeTrainingJob": self.describe,
            "ListTrainingJobs": self.list,
            "StopTrainingJob": self.stop,
            "DeleteTrainingJob": self.delete,
        }

    def create(self, request: dict[str, Any]) -> dict[str, Any]:
        """Check a job and begin it."""
        return {"TrainingJobArn": self.begin(request).arn}

    def begin(self, request: dict[str, Any], launcher: Launcher | None = None) -> TrainingJob:
        """Check a job and begin it, for `launcher` where one is given."""
        request = checked_job(request, self._around)
        name = request["TrainingJobName"]
        if launcher:
            request["TuningJobArn"] = launcher.tuning_job_arn

        def changed(job: TrainingJob) -> None:
            self._changed(job)
            if launcher:
                launcher.changed(job)

        metrics = Metrics(
            name,
            request["AlgorithmSpecification"].get("MetricDefinitions", []),
            cloudwatch_backends[self._cloud.account_id][self._cloud.region],
            launcher.heard if launcher else None,
        )
        with self.resources.lock:
            self._refuse_duplicate(name)
            job = TrainingJob(request, self.resources.arn(name), changed)
            run = self._runs[name] = TrainingRun(job, metrics, self._around)
            self.resources.add(job)
        run.start()
        return job

    def check(self, request: dict[str, Any]) -> None:
        """Raise InvalidRequestError when no such job can be begun."""
        checked_job(request, self._around)

    def describe(self, request: dict[str, Any]) -> dict[str, Any]:
        """Tell how far a job is."""
        return self._get(request).describe()

    def list(self, request: dict[str, Any]) -> dict[str, Any]:
        """A page of jobs."""
        refuse_unsupported(request, _FILTERS)
        jobs, token = page(self.resources.all(), request, "Ascending")
        return answer("TrainingJobSummaries", [job.summary() for job in jobs], token)

    def stop(self, request: dict[str, Any]) -> dict[str, Any]:
        """End a job early."""
        job = self._get(request)
        if not job.stop():
            raise InvalidRequestError(f"The request was rejected because the training job is in status {job.status}.")
        if run := self._runs.get(job.name):
            run.stop()
        return {}

    def delete(self, request: dict[str, Any]) -> dict[str, Any]:
        """Forget a job that has ended; its name may be used again."""
        job = self._get(request)
        if job.status not in FINAL:
            raise ResourceInUseError(
                f"Cannot delete training job {job.name} in status {job.status}; "
                "it must be Completed, Failed or Stopped."
            )
        self.resources.remove(job.name)
        return {}

    def interrupt(self, request: dict[str, Any]) -> dict[str, Any]:
        """Take the instances of a spot job back, as AWS may at any time.

        Args:
            request: {"TrainingJobName": its name}.
        Raises:
            InvalidRequestError: there is no such job, it is no spot job, or has no instances now.
        """
        job = self._get({"TrainingJobName": request.get("TrainingJobName")})
        if not job.is_spot:
            raise InvalidRequestError(
                f"training job {job.name} does not run on spot instances, so it cannot be interrupted; "
                "create it with EnableManagedSpotTraining."
            )
        run = self._runs.get(job.name)
        if run is None or not run.interrupt():
            raise InvalidRequestError(
                f"training job {job.name} is in {job.secondary_status}; only a job in Downloading or Training can be "
                "interrupted."
            )
        return {}

    def _changed(self, job: TrainingJob) -> None:
        try:
            self.resources.changed(job)
        except StoreError:  # the job goes on; were the cloud to end now, it would be found unfinished
            _logger.exception("training job %s", job.name)
        if job.status in FINAL:
            self._runs.pop(job.name, None)
        self._around.events.announce("Training Job", job.arn, job.describe())

    def _get(self, request: dict[str, Any]) -> TrainingJob:
        job = self.resources.find(request["TrainingJobName"])
        if job is None:
            raise InvalidRequestError("Requested resource not found.")
        return job

    def _refuse_duplicate(self, name: str) -> None:
        if self.resources.find(name) is not None:
            raise ResourceInUseError(
                "Training job names must be unique within an AWS account and region, and a training job with this "
                f"name already exists ({self.resources.arn(name)})"
            )
