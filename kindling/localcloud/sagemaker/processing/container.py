"""The container of one host of a processing job: what it finds in its folder, and how it is started."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from kindling.localcloud.sagemaker.errors import DataError
from kindling.localcloud.sagemaker.hosts import Host
from kindling.localcloud.sagemaker.objects import Objects
from kindling.localcloud.sagemaker.processing.request import Input
from kindling.localcloud.sagemaker.runner import Start
from kindling.localcloud.sagemaker.sources import Part

# Members of processingjobconfig.json; what a request lacks is null there.
_CONFIG = (
    "AppSpecification",
    "Environment",
    "ProcessingInputs",
    "ProcessingOutputConfig",
    "ProcessingResources",
    "NetworkConfig",
    "RoleArn",
    "StoppingCondition",
)


def prepare(host: Host, hosts: Sequence[Host], request: Mapping[str, Any], arn: str, nic: str) -> None:
    """Write the two configuration files, and make the folder of the message."""
    config = {
        "ProcessingJobArn": arn,
        "ProcessingJobName": request["ProcessingJobName"],
        **{name: request.get(name) for name in _CONFIG},
    }
    resources = host.resource_config(hosts, request["ProcessingResources"]["ClusterConfig"]["InstanceType"], nic)
    folder = host.base / "config"
    folder.mkdir(parents=True)
    message_of(host).parent.mkdir()
    (folder / "processingjobconfig.json").write_text(host.mapped(json.dumps(config)), encoding="utf-8")
    (folder / "resourceconfig.json").write_text(json.dumps(resources), encoding="utf-8")


def bring(
    wanted: Input, parts: Sequence[Part], objects: Objects, hosts: Sequence[Host], go_on: Callable[[], None]
) -> None:
    """Bring the objects of an input to the hosts.

    Args:
        go_on: called before each object; raises to end the download.
    Raises:
        DataError: an object cannot be had or has no place.
    """
    folders = [host.base / wanted.path for host in hosts]
    for folder in folders:
        folder.mkdir(parents=True, exist_ok=True)
    for index, part in enumerate(parts):
        go_on()
        receivers = [folders[index % len(folders)]] if wanted.sharded else folders
        try:
            _put(part, objects, receivers)
        except OSError as error:
            raise DataError(f"Data download failed: {part.address} of input '{wanted.name}': {error}.") from error


def start_of(host: Host, request: Mapping[str, Any], environment: Mapping[str, str], cores: int) -> Start:
    """How the container is started.

    Args:
        environment: what it gets beside the Environment of the request.
        cores: of this machine, for this host.
    """
    specification = request["AppSpecification"]

    asked = {name: host.mapped(value) for name, value in request.get("Environment", {}).items()}
    return Start(
        name=f"{request['ProcessingJobName']}/{host.name}",
        image=specification["ImageUri"],
        entrypoint=tuple(map(host.mapped, specification.get("ContainerEntrypoint", ()))),
        command=tuple(map(host.mapped, specification.get("ContainerArguments", ()))),
        base=host.base,
        environment={**environment, **asked},
        instance_type=request["ProcessingResources"]["ClusterConfig"]["InstanceType"],
        cores=cores,
        isolated=request.get("NetworkConfig", {}).get("EnableNetworkIsolation", False),
    )


def message_of(host: Host) -> Path:
    """The file whose content becomes the job's ExitMessage."""
    return host.base / "output" / "message"


def _put(part: Part, objects: Objects, folders: Sequence[Path]) -> None:
    first, *others = [folder / part.name for folder in folders]
    first.parent.mkdir(parents=True, exist_ok=True)
    with first.open("xb") as file:
        objects.read_into(part.address, file)
    for other in others:
        # The hosts are on one machine: the same bytes on disk and in memory serve all of them.
        other.parent.mkdir(parents=True, exist_ok=True)
        os.link(first, other)
