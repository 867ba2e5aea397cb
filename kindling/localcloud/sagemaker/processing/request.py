"""What a CreateProcessingJob request asks for, checked."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from kindling.localcloud.sagemaker.errors import InvalidRequestError
from kindling.localcloud.sagemaker.objects import Address
from kindling.localcloud.sagemaker.sources import address_of
from kindling.localcloud.sagemaker.validation import IGNORED, members_of, refuse_unsupported, require

# What a request may ask for. Encryption, network isolation, the VPC and the volume are understood and change nothing
# here: the hosts are processes of this machine.
_SUPPORTED = members_of(
    "CreateProcessingJob",
    {
        "ProcessingJobName": None,
        "ProcessingInputs": {
            "InputName": None,
            "AppManaged": None,
            "S3Input": {
                "S3Uri": None,
                "LocalPath": None,
                "S3DataType": None,
                "S3InputMode": None,
                "S3DataDistributionType": None,
                "S3CompressionType": None,
            },
        },
        "ProcessingOutputConfig": {
            "Outputs": {
                "OutputName": None,
                "AppManaged": None,
                "S3Output": {"S3Uri": None, "LocalPath": None, "S3UploadMode": None},
            },
            "KmsKeyId": None,
        },
        "ProcessingResources": {
            "ClusterConfig": {
                "InstanceCount": None,
                "InstanceType": None,
                "VolumeSizeInGB": IGNORED,
                "VolumeKmsKeyId": IGNORED,
            }
        },
        "StoppingCondition": None,
        "AppSpecification": {"ImageUri": None, "ContainerEntrypoint": None, "ContainerArguments": None},
        "Environment": None,
        "NetworkConfig": {
            "EnableNetworkIsolation": None,
            "EnableInterContainerTrafficEncryption": IGNORED,
            "VpcConfig": IGNORED,
        },
        "RoleArn": None,
        "Tags": None,
    },
)
_BASE = PurePosixPath("/opt/ml")  # of a container; the hosts' folders stand for it
_MAX_HOSTS = 20
_DEFAULT_MAX_RUNTIME_S = 24 * 3600


@dataclass(frozen=True, kw_only=True)
class Input:
    """Objects that are to lie in a folder of the hosts. `path` is relative to /opt/ml."""

    name: str
    source: Address
    data_type: str
    path: PurePosixPath
    sharded: bool


@dataclass(frozen=True, kw_only=True)
class Output:
    """A folder of the hosts, relative to /opt/ml, whose files go below an address: at the end, or all the time."""

    name: str
    path: PurePosixPath
    target: Address
    continuous: bool


def check(request: Mapping[str, Any]) -> None:
    """Refuse what the service refuses, or the embedded cloud does not do.

    Raises:
        InvalidRequestError: names the member.
    """
    refuse_unsupported(request, _SUPPORTED)
    cluster = request["ProcessingResources"]["ClusterConfig"]
    for name in ("InstanceType", "InstanceCount", "VolumeSizeInGB"):
        if name not in cluster:
            raise InvalidRequestError(f"ProcessingResources.ClusterConfig.{name} is required.")
    if cluster["InstanceCount"] > _MAX_HOSTS:
        raise InvalidRequestError(
            f"ProcessingResources.ClusterConfig.InstanceCount={cluster['InstanceCount']} is out of range; "
            f"it must be from 1 to {_MAX_HOSTS}."
        )
    inputs_of(request)
    outputs_of(request)


def with_defaults(request: Mapping[str, Any]) -> dict[str, Any]:
    """The request with the defaults that the description shows."""
    condition = {"MaxRuntimeInSeconds": _DEFAULT_MAX_RUNTIME_S}
    return {**request, "StoppingCondition": request.get("StoppingCondition") or condition}


def inputs_of(request: Mapping[str, Any]) -> list[Input]:
    """The inputs that the hosts are to find; one that the application manages is its own affair.

    Raises:
        InvalidRequestError: names the input and the member that cannot be used.
    """
    configs = request.get("ProcessingInputs", [])
    _refuse_twice("ProcessingInputs", (config["InputName"] for config in configs))
    return [_input(config) for config in configs if not config.get("AppManaged")]


def outputs_of(request: Mapping[str, Any]) -> list[Output]:
    """The outputs that are to be uploaded; one that the application manages is its own affair.

    Raises:
        InvalidRequestError: names the output and the member that cannot be used.
    """
    configs = request.get("ProcessingOutputConfig", {}).get("Outputs", [])
    _refuse_twice("ProcessingOutputConfig.Outputs", (config["OutputName"] for config in configs))
    return [_output(config) for config in configs if not config.get("AppManaged")]


def _input(config: Mapping[str, Any]) -> Input:
    where = f"ProcessingInputs {config['InputName']!r}: "
    source = config.get("S3Input")
    if source is None:
        raise InvalidRequestError(f"{where}S3Input is required.")
    if source.get("S3CompressionType") == "Gzip" and source.get("S3InputMode", "File") == "File":
        raise InvalidRequestError(f"{where}S3CompressionType=Gzip can only be used with S3InputMode=Pipe.")
    require(f"{where}S3InputMode", source.get("S3InputMode"), "File")
    return Input(
        name=config["InputName"],
        source=address_of(f"{where}S3Uri", source["S3Uri"]),
        data_type=source["S3DataType"],
        path=_path(where, source),
        sharded=source.get("S3DataDistributionType") == "ShardedByS3Key",
    )


def _output(config: Mapping[str, Any]) -> Output:
    where = f"ProcessingOutputConfig.Outputs {config['OutputName']!r}: "
    target = config.get("S3Output")
    if target is None:
        raise InvalidRequestError(f"{where}S3Output is required.")
    return Output(
        name=config["OutputName"],
        path=_path(where, target),
        target=address_of(f"{where}S3Uri", target["S3Uri"]),
        continuous=target["S3UploadMode"] == "Continuous",
    )


def _path(where: str, config: Mapping[str, Any]) -> PurePosixPath:
    given = config.get("LocalPath")
    if given is None:
        raise InvalidRequestError(f"{where}LocalPath is required when AppManaged is false.")
    path = PurePosixPath(given)
    if ".." in path.parts or "\0" in given or not path.is_relative_to(_BASE / "processing"):
        raise InvalidRequestError(f"{where}LocalPath={given} must begin with {_BASE}/processing/.")
    return path.relative_to(_BASE)


def _refuse_twice(where: str, names: Iterable[str]) -> None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise InvalidRequestError(f"{where} has {name!r} more than once; names must differ.")
        seen.add(name)
