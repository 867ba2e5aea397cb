"""The training job that a request asks for, in CreateTrainingJob's own terms."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from contract.gating import gate_metric
from contract.specification import Algorithm, InvalidJobError, Value
from lambdas.plan.inputs import HoldsData, input_data_config
from lambdas.plan.instances import check_instance_type, volume_key
from lambdas.plan.request import Channel, Request, Resources
from lambdas.plan.site import Site

# Time for finding hosts, fetching the image and uploading the model, on top of the training itself.
MARGIN_S = 3600
# A spot job may wait for its hosts as long as it may train.
_SPOT_PATIENCE = 2
# After so many interruptions a job is better off with hosts that stay.
_INTERRUPTIONS = 3


Values = dict[str, Value | None]


def hyperparameters(algorithm: Algorithm, request: Request) -> Values:
    """The job's hyperparameters, typed and complete; the first value of its range for one that is to be tuned.

    Raises:
        InvalidJobError: hyperparameters that the algorithm does not take, or not on so many hosts.
    """
    ranges = request.tuning.ranges if request.tuning else {}
    tuned = {name: bounds[0] for name, bounds in ranges.items() if bounds and name in algorithm.hyperparameters}
    return algorithm.parse_hyperparameters({**tuned, **request.hyperparameters}, _instance_count(algorithm, request))


def _instance_count(algorithm: Algorithm, request: Request) -> int:
    return request.resources.instance_count or algorithm.resources.instance_count


def training_job(
    algorithm: Algorithm,
    request: Request,
    values: Values,
    site: Site,
    base: str,
    prepared: Mapping[str, Channel],
    holds_data: HoldsData,
) -> dict[str, Any]:
    """What the Train state sends, but for the job's name, which differs from attempt to attempt.

    Args:
        values: the job's hyperparameters, typed and complete.
        prepared: channels that a preparation has yet to make.
    Raises:
        InvalidJobError: resources or inputs that the algorithm does not take.
    """
    asked, described = request.resources, algorithm.resources
    count = _instance_count(algorithm, request)
    instance_type = asked.instance_type or described.instance_type
    check_instance_type("resources.instance_type", instance_type, "training", gpu=described.gpu)
    runtime = asked.max_runtime_s or described.max_runtime_s
    longest = runtime * _SPOT_PATIENCE if asked.spot else runtime
    stopping = {"MaxRuntimeInSeconds": runtime, **({"MaxWaitTimeInSeconds": longest} if asked.spot else {})}
    channels = input_data_config(algorithm, request.inputs, prepared, site.data_bucket, holds_data)
    algorithm.check_channels(values, {channel["ChannelName"]: channel["InputMode"] for channel in channels})
    models = f"s3://{site.model_bucket}/{algorithm.name}"
    return {
        "AlgorithmSpecification": {
            "TrainingImage": site.image,
            "TrainingInputMode": "File",
            "MetricDefinitions": [
                {"Name": metric.name, "Regex": metric.regex} for metric in algorithm.metrics_with(values)
            ],
        },
        "HyperParameters": as_strings(values),
        "InputDataConfig": channels,
        "OutputDataConfig": {"S3OutputPath": models, "KmsKeyId": site.key_arn},
        "CheckpointConfig": {"S3Uri": checkpoints(algorithm, site, base)},
        "ResourceConfig": {
            "InstanceType": instance_type,
            "InstanceCount": count,
            "VolumeSizeInGB": asked.volume_gb or described.volume_gb,
            **volume_key(instance_type, site.key_arn),
        },
        "StoppingCondition": stopping,
        "EnableNetworkIsolation": algorithm.network_isolation,
        "EnableManagedSpotTraining": asked.spot,
        **vpc_config(site),
        "EnableInterContainerTrafficEncryption": count > 1 and site.inter_container_encryption,
        "TimeoutSeconds": longest + MARGIN_S,
        "OnDemandStoppingCondition": {"MaxRuntimeInSeconds": runtime},
        "MaxInterruptions": _interruptions(asked),
    }


def vpc_config(site: Site) -> dict[str, Any]:
    """The field VpcConfig of a job, where jobs have one."""
    return {"VpcConfig": site.vpc} if site.vpc else {}


def checkpoints(algorithm: Algorithm, site: Site, base: str) -> str:
    """Where all attempts of an execution find its checkpoints."""
    return f"s3://{site.model_bucket}/{algorithm.name}/checkpoints/{base}"


def _interruptions(asked: Resources) -> int:
    if asked.max_interruptions is None:
        return _INTERRUPTIONS
    if not asked.spot:
        raise InvalidJobError(
            f"resources.max_interruptions is {asked.max_interruptions}, but resources.spot is false; "
            "only spot jobs are interrupted: leave it out, or set spot to true."
        )
    return asked.max_interruptions


def as_strings(values: dict[str, Value | None]) -> dict[str, str]:
    """Hyperparameters as SageMaker carries them: the complete set, so that a job says all that made its model."""
    return {name: str(value) for name, value in values.items() if value is not None}


def planned_gate(
    algorithm: Algorithm, request: Request, values: Values, prepared: Mapping[str, Channel]
) -> dict[str, Any] | None:
    """The gate with its metric; None where none was asked for.

    Raises:
        InvalidJobError: a metric that the job does not emit, or nothing to compare it with.
    """
    gate = request.gate
    if gate is None:
        return None
    metric = gate_metric(algorithm, gate.metric, values, {**request.inputs, **prepared})
    if gate.at_least is None and gate.at_most is None and not gate.beat_champion:
        raise InvalidJobError("gate asks for nothing; it must have at_least, at_most or beat_champion: true.")
    if gate.beat_champion and "endpoint" in request.model_fields_set and request.endpoint is None:
        raise InvalidJobError(
            "gate.beat_champion is true, but endpoint is null; the champion is the model behind the endpoint: name it."
        )
    return {**gate.model_dump(), "metric": metric.name}
