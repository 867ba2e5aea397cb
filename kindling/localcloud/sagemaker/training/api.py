"""CreateTrainingJob, DescribeTrainingJob, ListTrainingJobs and StopTrainingJob."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from moto.cloudwatch.models import cloudwatch_backends

from kindling.localcloud.sagemaker.errors import DataError, InvalidRequestError, ResourceInUseError
from kindling.localcloud.sagemaker.listing import answer, page
from kindling.localcloud.sagemaker.objects import Address
from kindling.localcloud.sagemaker.resources import Operation, Resources, require_role
from kindling.localcloud.sagemaker.surroundings import Surroundings
from kindling.localcloud.sagemaker.training.channels import channels_of
from kindling.localcloud.sagemaker.training.checkpoints import prefix_of
from kindling.localcloud.sagemaker.training.job import FINAL, TrainingJob, interrupted
from kindling.localcloud.sagemaker.training.metrics import Metrics
from kindling.localcloud.sagemaker.training.run import TrainingRun
from kindling.localcloud.sagemaker.validation import Supported, refuse_unsupported, require
from kindling.localcloud.store import StoreError

_logger = logging.getLogger(__name__)

_CHANNEL: Supported = {
    "ChannelName": None,
    "ContentType": None,
    "CompressionType": None,
    "InputMode": None,
    "RecordWrapperType": None,
    "ShuffleConfig": {"Seed": None},
    "DataSource": {
        "S3DataSource": {"S3DataType": None, "S3Uri": None, "S3DataDistributionType": None, "AttributeNames": None}
    },
}
# What a request may ask for. Encryption, network isolation, the VPC, the volume and spot instances are understood and
# change nothing here: the hosts are processes of this machine.
_SUPPORTED: Supported = {
    "TrainingJobName": None,
    "HyperParameters": None,
    "AlgorithmSpecification": {"TrainingImage": None, "TrainingInputMode": None, "MetricDefinitions": None},
    "RoleArn": None,
    "InputDataConfig": _CHANNEL,
    "OutputDataConfig": {"KmsKeyId": None, "S3OutputPath": None, "CompressionType": None},
    "ResourceConfig": {
        "InstanceType": None,
        "InstanceCount": None,
        "VolumeSizeInGB": None,
        "VolumeKmsKeyId": None,
    },
    "VpcConfig": None,
    "StoppingCondition": {"MaxRuntimeInSeconds": None, "MaxWaitTimeInSeconds": None},
    "Tags": None,
    "EnableNetworkIsolation": None,
    "EnableInterContainerTrafficEncryption": None,
    "EnableManagedSpotTraining": None,
    "CheckpointConfig": {"S3Uri": None, "LocalPath": None},
    "Environment": None,
    # The SageMaker Python SDK always sends these two; so far as they go here they change nothing in the container.
    "DebugHookConfig": {"S3OutputPath": None, "LocalPath": None},
    "ProfilerConfig": {"S3OutputPath": None, "DisableProfiler": None},
}
_MAX_HOSTS = 20
_MAX_RUNTIME_S = 28 * 24 * 3600
_DEFAULT_MAX_RUNTIME_S = 24 * 3600


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
        }

    def create(self, request: dict[str, Any]) -> dict[str, Any]:
        """Check a job and begin it."""
        return {"TrainingJobArn": self.begin(request).arn}

    def begin(self, request: dict[str, Any], launcher: Launcher | None = None) -> TrainingJob:
        """Check a job and begin it, for `launcher` where one is given."""
        self.check(request)
        request = _with_defaults(request)
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
        refuse_unsupported(request, _SUPPORTED)
        self._check(request)

    def describe(self, request: dict[str, Any]) -> dict[str, Any]:
        """Tell how far a job is."""
        return self._get(request).describe()

    def list(self, request: dict[str, Any]) -> dict[str, Any]:
        """A page of jobs."""
        refuse_unsupported(request, dict.fromkeys(request.keys() - {"WarmPoolStatusEquals", "TrainingPlanArnEquals"}))
        jobs, token = page(self.resources.all(), request, "Ascending")
        return answer("TrainingJobSummaries", [job.summary() for job in jobs], token)

    def stop(self, request: dict[str, Any]) -> dict[str, Any]:
        """End a job early."""
        job = self._get(request)
        if not job.stop():
            raise InvalidRequestError(f"The request was rejected because the training job is in status {job.status}.")
        self._runs[job.name].stop()
        return {}

    def _changed(self, job: TrainingJob) -> None:
        try:
            self.resources.changed(job)
        except StoreError:  # the job goes on; were the cloud to end now, it would be found unfinished
            _logger.exception("training job %s", job.name)
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

    def _check(self, request: dict[str, Any]) -> None:
        algorithm = request.get("AlgorithmSpecification", {})
        if not algorithm.get("TrainingImage"):
            raise InvalidRequestError("AlgorithmSpecification.TrainingImage is required.")
        require("AlgorithmSpecification.TrainingInputMode", algorithm.get("TrainingInputMode"), "File", "Pipe")
        require("OutputDataConfig.CompressionType", request["OutputDataConfig"].get("CompressionType"), "GZIP")
        self._check_resources(request.get("ResourceConfig", {}))
        _check_time(request)
        channels_of(request)
        prefix_of(request)
        try:
            Address.parse(request["OutputDataConfig"]["S3OutputPath"])
        except DataError as error:
            raise InvalidRequestError(f"OutputDataConfig.S3OutputPath: {error}") from None
        require_role(self._cloud, request["RoleArn"])
        self._around.runner.check(algorithm["TrainingImage"])

    def _check_resources(self, resources: dict[str, Any]) -> None:
        for name in ("InstanceType", "InstanceCount", "VolumeSizeInGB"):
            if name not in resources:
                raise InvalidRequestError(f"ResourceConfig.{name} is required.")
        count = resources["InstanceCount"]
        if not 1 <= count <= _MAX_HOSTS:
            raise InvalidRequestError(
                f"ResourceConfig.InstanceCount={count} is out of range; it must be from 1 to {_MAX_HOSTS}."
            )
        if resources["VolumeSizeInGB"] < 1:
            raise InvalidRequestError("ResourceConfig.VolumeSizeInGB=0 is out of range; it must be at least 1.")


def _check_time(request: dict[str, Any]) -> None:
    condition = request.get("StoppingCondition", {})
    runtime = condition.get("MaxRuntimeInSeconds", _DEFAULT_MAX_RUNTIME_S)
    wait = condition.get("MaxWaitTimeInSeconds")
    if not 1 <= runtime <= _MAX_RUNTIME_S:
        raise InvalidRequestError(
            f"StoppingCondition.MaxRuntimeInSeconds={runtime} is out of range; "
            f"it must be from 1 to {_MAX_RUNTIME_S} (28 days)."
        )
    if request.get("EnableManagedSpotTraining"):
        if wait is None or wait < runtime:
            raise InvalidRequestError(
                f"StoppingCondition.MaxWaitTimeInSeconds must be at least MaxRuntimeInSeconds={runtime} "
                f"when EnableManagedSpotTraining is true."
            )
    elif wait is not None:
        raise InvalidRequestError(
            "StoppingCondition.MaxWaitTimeInSeconds must not be given unless EnableManagedSpotTraining is true."
        )


def _with_defaults(request: dict[str, Any]) -> dict[str, Any]:
    algorithm = {"TrainingInputMode": "File", **request["AlgorithmSpecification"]}
    condition = {"MaxRuntimeInSeconds": _DEFAULT_MAX_RUNTIME_S, **request.get("StoppingCondition", {})}
    output = {"KmsKeyId": "", "CompressionType": "GZIP", **request["OutputDataConfig"]}
    return {
        **request,
        "AlgorithmSpecification": algorithm,
        "OutputDataConfig": output,
        "StoppingCondition": condition,
    }
