"""The operations on hyperparameter tuning jobs."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from kindling.localcloud.sagemaker.errors import InvalidRequestError, ResourceInUseError, ResourceNotFoundError
from kindling.localcloud.sagemaker.listing import answer, page
from kindling.localcloud.sagemaker.resources import Operation, Resources
from kindling.localcloud.sagemaker.surroundings import Surroundings
from kindling.localcloud.sagemaker.training.api import TrainingJobs
from kindling.localcloud.sagemaker.training.job import FINAL, failed
from kindling.localcloud.sagemaker.tuning.definition import definitions_of
from kindling.localcloud.sagemaker.tuning.job import TuningJob, Upkeep
from kindling.localcloud.sagemaker.tuning.request import (
    IDENTICAL,
    check_members,
    check_parents,
    check_several,
    hyperband_resource,
    number_of_jobs,
)
from kindling.localcloud.sagemaker.tuning.run import TuningRun
from kindling.localcloud.sagemaker.tuning.strategy import searches_of
from kindling.localcloud.store import StoreError

_logger = logging.getLogger(__name__)

_BY_NAME = {"SortBy": "Name"}
_INTERRUPTED = failed(
    "InternalServerError: the embedded cloud ended while the tuning job was running; create it again."
)


class TuningJobs:
    """The tuning jobs of one cloud. They launch their training jobs through `trainings`."""

    def __init__(self, around: Surroundings, trainings: TrainingJobs) -> None:
        self.resources: Resources[TuningJob] = Resources(around.cloud, "hyper-parameter-tuning-job", "tuning job")
        self._around = around
        self._trainings = trainings
        self._runs: dict[str, TuningRun] = {}
        self._upkeep = Upkeep(self.resources.lock, self._keep, self._announce)
        for job in self.resources.restore(self._restored):
            if job.status not in FINAL:
                job.finish(_INTERRUPTED)

    def operations(self) -> Mapping[str, Operation]:
        """The operations by name."""
        return {
            "CreateHyperParameterTuningJob": self.create,
            "DescribeHyperParameterTuningJob": self.describe,
            "ListHyperParameterTuningJobs": self.list,
            "ListTrainingJobsForHyperParameterTuningJob": self.list_trainings,
            "StopHyperParameterTuningJob": self.stop,
            "DeleteHyperParameterTuningJob": self.delete,
        }

    def create(self, request: dict[str, Any]) -> dict[str, Any]:
        """Check a job and begin it."""
        check_members(request)
        check_several(request)
        definitions = definitions_of(request, self._around.cloud.images)
        config = {"TrainingJobEarlyStoppingType": "Off", **request["HyperParameterTuningJobConfig"]}
        given = [definition.given for definition in definitions]
        request = {**request, "HyperParameterTuningJobConfig": config}
        if "TrainingJobDefinitions" in request:
            request["TrainingJobDefinitions"] = given
        else:
            request["TrainingJobDefinition"] = given[0]
        jobs = number_of_jobs(config, definitions)
        name = request["HyperParameterTuningJobName"]
        for definition in definitions:
            hyperband_resource(config, definition)
            tuned = {span.name: "" for span in definition.ranges}
            self._trainings.check(definition.training_request(name, tuned, {}))
        parents = self._parents(request)
        if parents:
            check_parents(request, definitions[0], parents)
        with self.resources.lock:
            self._refuse_duplicate(name)
            job = TuningJob(request, self.resources.arn(name), definitions, self._upkeep)
            run = self._runs[name] = TuningRun(
                job,
                lambda: searches_of(request, definitions, jobs, parents),
                self._trainings,
                jobs,
                lambda: self._around.runner.ending,
            )
            self.resources.add(job)
        self._announce(job)
        run.start()
        return {"HyperParameterTuningJobArn": job.arn}

    def describe(self, request: dict[str, Any]) -> dict[str, Any]:
        """Tell how far a job is."""
        job = self._get(request)
        started_from = job.request.get("WarmStartConfig", {})
        if started_from.get("WarmStartType") != IDENTICAL:
            return job.describe([])
        names = [parent["HyperParameterTuningJobName"] for parent in started_from["ParentHyperParameterTuningJobs"]]
        return job.describe([parent for name in names if (parent := self.resources.find(name))])

    def list(self, request: dict[str, Any]) -> dict[str, Any]:
        """A page of jobs."""
        jobs, token = page(self.resources.all(), {**_BY_NAME, **request}, "Ascending")
        return answer("HyperParameterTuningJobSummaries", [job.summary() for job in jobs], token)

    def list_trainings(self, request: dict[str, Any]) -> dict[str, Any]:
        """A page of a job's training jobs."""
        trials = list(self._get(request).trials)
        if request.get("SortBy") == "FinalObjectiveMetricValue":
            trials = [trial for trial in trials if trial.value is not None]
        shown, token = page(trials, {**_BY_NAME, **request}, "Ascending")
        return answer("TrainingJobSummaries", [trial.summary() for trial in shown], token)

    def stop(self, request: dict[str, Any]) -> dict[str, Any]:
        """End a job early, and the training jobs that it runs."""
        job = self._get(request)
        if not job.stop():
            raise InvalidRequestError(f"The request was rejected because the tuning job is in status {job.status}.")
        self._runs[job.name].stop()
        return {}

    def delete(self, request: dict[str, Any]) -> dict[str, Any]:
        """Forget a job that has ended; its training jobs stay."""
        job = self._get(request)
        if job.status not in FINAL:
            raise InvalidRequestError(
                f"The request was rejected because the tuning job is in status {job.status}; stop it first."
            )
        self.resources.remove(job.name)
        self._runs.pop(job.name, None)
        return {}

    def _restored(self, record: Mapping[str, Any]) -> TuningJob:
        definitions = definitions_of(record["request"], self._around.cloud.images)
        return TuningJob.restored(record, definitions, self._trainings.resources.find, self._upkeep)

    def _keep(self, job: TuningJob) -> None:
        try:
            self.resources.changed(job)
        except StoreError:  # the job goes on; were the cloud to end now, it would be found unfinished
            _logger.exception("tuning job %s", job.name)

    def _announce(self, job: TuningJob) -> None:
        self._around.events.announce("HyperParameter Tuning Job", job.arn, job.describe([]))

    def _parents(self, request: Mapping[str, Any]) -> Sequence[TuningJob]:
        given = request.get("WarmStartConfig", {}).get("ParentHyperParameterTuningJobs", [])
        if any("HyperParameterTuningJobName" not in parent for parent in given):
            raise InvalidRequestError(
                "ParentHyperParameterTuningJobs: HyperParameterTuningJobName is required in each parent."
            )
        return [self._get(parent) for parent in given]

    def _get(self, request: Mapping[str, Any]) -> TuningJob:
        name = request["HyperParameterTuningJobName"]
        job = self.resources.find(name)
        if job is None:
            raise ResourceNotFoundError(f"Could not find tuning job {self.resources.arn(name)}.")
        return job

    def _refuse_duplicate(self, name: str) -> None:
        if any(job.name.lower() == name.lower() for job in self.resources.all()):
            raise ResourceInUseError(
                "Hyperparameter tuning job names must be unique within an AWS account and region, and a tuning job "
                f"with this name already exists ({self.resources.arn(name)})"
            )
