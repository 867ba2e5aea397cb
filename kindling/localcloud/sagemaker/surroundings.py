"""What jobs and endpoints need of the cloud that they run in."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from moto.logs.models import LogsBackend

from kindling.localcloud.cloud import Cloud
from kindling.localcloud.sagemaker.capacity import Capacity
from kindling.localcloud.sagemaker.events import Events
from kindling.localcloud.sagemaker.folders import remove_folder
from kindling.localcloud.sagemaker.limits import Limits
from kindling.localcloud.sagemaker.objects import Objects
from kindling.localcloud.sagemaker.runner import Runner


@dataclass(frozen=True, kw_only=True)
class Surroundings:
    """One for all jobs and endpoints of a cloud."""

    cloud: Cloud
    runner: Runner
    objects: Objects
    logs: LogsBackend
    events: Events
    capacity: Capacity
    limits: Limits

    @property
    def client_environment(self) -> Mapping[str, str]:
        """Environment variables with which an AWS client in a container talks to this cloud."""
        return self.runner.environment_of(self.cloud.client_environment)

    def folder(self, kind: str) -> Path:
        """Where the hosts of a kind of job or endpoint have their folders."""
        return self.cloud.state / kind

    def clear(self, kind: str) -> None:
        """Make that folder, empty of what a cloud that was killed left."""
        remove_folder(self.folder(kind))
        self.folder(kind).mkdir(parents=True)


def machine_cores() -> int:
    """Cores to lend to jobs: KINDLING_CORES, or all that this process may use.

    Raises:
        ValueError: KINDLING_CORES is no number of cores.
    """
    if cores := os.environ.get("KINDLING_CORES"):
        if not cores.isdecimal() or int(cores) < 1:
            raise ValueError(f"KINDLING_CORES={cores} must be a whole number of cores from 1 on.")
        return int(cores)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
