"""The Processing job that makes channels of raw data, in CreateProcessingJob's own terms."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from contract.specification import Algorithm, InvalidJobError
from contract.specification import Preparation as Described
from lambdas.plan.inputs import HoldsData, check_address
from lambdas.plan.instances import check_instance_type, volume_key
from lambdas.plan.request import Channel, Preparation, Request
from lambdas.plan.site import Site
from lambdas.plan.training import MARGIN_S, vpc_config
from lambdas.plan.wording import suggestion

_FOLDER = "/opt/ml/processing"


def prepared_channels(algorithm: Algorithm, request: Request, site: Site, base: str) -> dict[str, Channel]:
    """The channels that the preparation will have made when the training begins, by name; none without one.

    Raises:
        InvalidJobError: there is no such preparation, or a channel that it makes is among the inputs, too.
    """
    if request.preparation is None:
        return {}
    described = _described(algorithm, request.preparation)
    if twice := [name for name in described.channels if name in request.inputs]:
        raise InvalidJobError(
            f"inputs.{twice[0]} is given, but preparation {request.preparation.name} makes this channel; leave one out."
        )
    output = output_address(algorithm, site, base)
    return {name: Channel(s3_uri=f"{output}/{folder}".rstrip("/")) for name, folder in described.channels.items()}


def output_address(algorithm: Algorithm, site: Site, base: str) -> str:
    """Where an execution's preparation leaves what it makes."""
    return f"s3://{site.data_bucket}/{algorithm.name}/prepared/{base}"


def preparation_job(
    algorithm: Algorithm, request: Request, site: Site, base: str, holds_data: HoldsData
) -> dict[str, Any] | None:
    """What the Prepare state sends, but for the job's name; None where nothing is to be prepared.

    Raises:
        InvalidJobError: raw data, options or resources that the preparation does not take.
    """
    asked = request.preparation
    if asked is None:
        return None
    described = _described(algorithm, asked)
    _check_inputs(algorithm, asked, described, site, holds_data)
    instance_type = asked.instance_type or algorithm.resources.instance_type
    check_instance_type("preparation.instance_type", instance_type, "processing", gpu=algorithm.resources.gpu)
    if asked.instance_count > 1 and not described.distributed:
        raise InvalidJobError(
            f"preparation.instance_count is {asked.instance_count}, but preparation {asked.name} runs on one host."
        )
    folders = {name: f"{_FOLDER}/input/{name}" for name in described.inputs}
    output = f"{_FOLDER}/output"
    arguments = described.command(
        algorithm.preparation_options(described), asked.options, {**folders, "output": output}
    )
    return {
        "AppSpecification": {
            "ImageUri": site.image,
            "ContainerEntrypoint": ["python", "-m", algorithm.package, *arguments],
        },
        "ProcessingInputs": [_input(name, asked.inputs[name], folder) for name, folder in folders.items()],
        "ProcessingOutputConfig": {
            "Outputs": [
                {
                    "OutputName": "channels",
                    "S3Output": {
                        "S3Uri": output_address(algorithm, site, base),
                        "LocalPath": output,
                        "S3UploadMode": "EndOfJob",
                    },
                }
            ],
            "KmsKeyId": site.key_arn,
        },
        "ProcessingResources": {
            "ClusterConfig": {
                "InstanceCount": asked.instance_count,
                "InstanceType": instance_type,
                "VolumeSizeInGB": asked.volume_gb or algorithm.resources.volume_gb,
                **volume_key(instance_type, site.key_arn),
            }
        },
        "StoppingCondition": {"MaxRuntimeInSeconds": asked.max_runtime_s},
        "NetworkConfig": {
            "EnableNetworkIsolation": algorithm.network_isolation,
            "EnableInterContainerTrafficEncryption": asked.instance_count > 1 and site.inter_container_encryption,
            **vpc_config(site),
        },
        "TimeoutSeconds": asked.max_runtime_s + MARGIN_S,
    }


def _described(algorithm: Algorithm, asked: Preparation) -> Described:
    if not algorithm.preparations:
        raise InvalidJobError(f"preparation.name is {asked.name!r}, but {algorithm.name} has no preparations.")
    if asked.name not in algorithm.preparations:
        raise InvalidJobError(
            f"preparation.name is {asked.name!r}, which {algorithm.name} has not; "
            f"{suggestion(asked.name, algorithm.preparations)}"
        )
    return algorithm.preparations[asked.name]


def _check_inputs(
    algorithm: Algorithm, asked: Preparation, described: Described, site: Site, holds_data: HoldsData
) -> None:
    for name in asked.inputs:
        if name not in described.inputs:
            raise InvalidJobError(f"preparation.inputs.{name} is unknown; {suggestion(name, described.inputs)}")
    for name in described.inputs:
        if name not in asked.inputs:
            raise InvalidJobError(
                f"preparation.inputs.{name} is missing; preparation {asked.name} needs the address of its raw data."
            )
        check_address(f"preparation.inputs.{name}", asked.inputs[name], readable(algorithm, site), holds_data)


def readable(algorithm: Algorithm, site: Site) -> str:
    """What the addresses of data begin with that an algorithm's jobs may read."""
    return f"s3://{site.data_bucket}/{algorithm.name}/"


def _input(name: str, address: str, folder: str) -> Mapping[str, Any]:
    return {
        "InputName": name,
        "S3Input": {
            "S3Uri": address,
            "LocalPath": folder,
            "S3DataType": "S3Prefix",
            "S3InputMode": "File",
            "S3DataDistributionType": "FullyReplicated",
        },
    }
