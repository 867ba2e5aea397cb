"""What a CreateTrainingJob request may ask for; all else is refused before there is a job."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from kindling.localcloud.sagemaker.errors import DataError, InvalidRequestError, ResourceLimitExceededError
from kindling.localcloud.sagemaker.objects import Address
from kindling.localcloud.sagemaker.resources import require_role
from kindling.localcloud.sagemaker.surroundings import Surroundings
from kindling.localcloud.sagemaker.training.channels import channels_of
from kindling.localcloud.sagemaker.training.checkpoints import prefix_of
from kindling.localcloud.sagemaker.validation import IGNORED, Supported, members_of, refuse_unsupported

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
# Encryption, network isolation, the VPC and the volume are understood and change nothing here: the hosts are processes
# of this machine.
_SUPPORTED = members_of(
    "CreateTrainingJob",
    {
        "TrainingJobName": None,
        "HyperParameters": None,
        "AlgorithmSpecification": {
            "TrainingImage": None,
            "TrainingInputMode": None,
            "MetricDefinitions": None,
            "ContainerEntrypoint": None,
            "ContainerArguments": None,
        },
        "RoleArn": None,
        "InputDataConfig": _CHANNEL,
        "OutputDataConfig": {"KmsKeyId": None, "S3OutputPath": None, "CompressionType": None},
        "ResourceConfig": {
            "InstanceType": None,
            "InstanceCount": None,
            "VolumeSizeInGB": IGNORED,
            "VolumeKmsKeyId": IGNORED,
        },
        "VpcConfig": IGNORED,
        "StoppingCondition": {"MaxRuntimeInSeconds": None, "MaxWaitTimeInSeconds": None},
        "Tags": None,
        "EnableNetworkIsolation": None,
        "EnableInterContainerTrafficEncryption": IGNORED,
        "EnableManagedSpotTraining": None,
        "CheckpointConfig": {"S3Uri": None, "LocalPath": None},
        "Environment": None,
        "RetryStrategy": {"MaximumRetryAttempts": None},
        # The SageMaker Python SDK always sends these two; so far as they go here they change nothing in the container.
        "DebugHookConfig": {"S3OutputPath": IGNORED, "LocalPath": IGNORED},
        "ProfilerConfig": {"S3OutputPath": IGNORED, "DisableProfiler": IGNORED},
    },
)
_MAX_HOSTS = 20  # of one job; the service's default quota
_MAX_RUNTIME_S = 28 * 24 * 3600
_DEFAULT_MAX_RUNTIME_S = 24 * 3600


def checked_job(request: dict[str, Any], around: Surroundings) -> dict[str, Any]:
    """A CreateTrainingJob request with its defaults filled in.

    Raises:
        InvalidRequestError: it asks for what the service refuses, or what the embedded cloud does not do.
        ResourceLimitExceededError: it asks for more hosts than a job may have.
    """
    refuse_unsupported(request, _SUPPORTED)
    algorithm = request.get("AlgorithmSpecification", {})
    if not algorithm.get("TrainingImage"):
        raise InvalidRequestError("AlgorithmSpecification.TrainingImage is required.")
    _refuse_twice(
        "AlgorithmSpecification.MetricDefinitions",
        (metric["Name"] for metric in algorithm.get("MetricDefinitions", [])),
    )
    _refuse_twice("Tags", (tag["Key"] for tag in request.get("Tags", [])))
    _check_resources(request.get("ResourceConfig", {}))
    _check_time(request)
    channels_of(request)
    prefix_of(request)
    try:
        Address.parse(request["OutputDataConfig"]["S3OutputPath"])
    except DataError as error:
        raise InvalidRequestError(f"OutputDataConfig.S3OutputPath: {error}") from None
    require_role(around.cloud, request["RoleArn"])
    around.runner.check(algorithm["TrainingImage"])
    return _with_defaults(request)


def _refuse_twice(where: str, names: Iterable[str]) -> None:
    for name, count in Counter(names).items():
        if count > 1:
            raise InvalidRequestError(f"{where} names {name!r} {count} times; names must differ.")


def _check_resources(resources: Mapping[str, Any]) -> None:
    for name in ("InstanceType", "InstanceCount", "VolumeSizeInGB"):
        if name not in resources:
            raise InvalidRequestError(f"ResourceConfig.{name} is required.")
    for name in ("InstanceCount", "VolumeSizeInGB"):
        if resources[name] < 1:
            raise InvalidRequestError(
                f"ResourceConfig.{name}={resources[name]} is out of range; it must be at least 1."
            )
    count = resources["InstanceCount"]
    if count > _MAX_HOSTS:
        raise ResourceLimitExceededError(
            f"The account-level service limit 'Maximum number of instances per training job' is {_MAX_HOSTS} "
            f"Instances, with current utilization of 0 Instances and a request delta of {count} Instances. "
            "Please use AWS Service Quotas to request an increase for this quota. "
            "If AWS Service Quotas is not available, contact AWS support to request an increase for this quota."
        )


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
