"""What the service tells a training container: hyperparameters, channels, hosts."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from contract.channels import InputChannel
from contract.cores import available_cpus
from contract.errors import ClientError
from contract.paths import Paths
from contract.specification import Algorithm, Value

# The service adds the name of the objective under this name when a tuning job launched the training job.
_TUNED_FOR = "_tuning_objective_metric"


@dataclass(frozen=True, kw_only=True)
class TrainingEnvironment:
    """One host's view of a training job.

    `hyperparameters` are typed and complete (`Algorithm.parse_hyperparameters`). `cpus` is the number of cores that
    this host may use. `tuned` says that a tuning job launched this one. `stopping` is set once the service asked the
    job to stop (SIGTERM): training should then save what it has and return.
    """

    algorithm: Algorithm
    paths: Paths
    hyperparameters: Mapping[str, Value | None]
    channels: Mapping[str, InputChannel]
    hosts: tuple[str, ...] = ("algo-1",)
    current_host: str = "algo-1"
    network_interface: str | None = None
    job_name: str = ""
    cpus: int = 1
    tuned: bool = False
    stopping: threading.Event = field(default_factory=threading.Event, compare=False)

    @property
    def rank(self) -> int:
        """This host's place among the hosts, from 0."""
        return self.hosts.index(self.current_host)

    @property
    def is_master(self) -> bool:
        """Whether this host writes the model."""
        return self.rank == 0

    def channel(self, name: str) -> InputChannel:
        """The channel of that name.

        Raises:
            ClientError: the job has no such channel.
        """
        if name not in self.channels:
            found = ", ".join(sorted(self.channels)) or "none"
            raise ClientError(f"channel {name!r} is missing; {self.algorithm.name} needs it (channels given: {found}).")
        return self.channels[name]

    @classmethod
    def read(
        cls, algorithm: Algorithm, paths: Paths | None = None, environ: Mapping[str, str] = os.environ
    ) -> TrainingEnvironment:
        """Read the job's three configuration files and check them against the algorithm's description.

        Raises:
            InvalidJobError: a hyperparameter or a combination that the algorithm refuses.
            ClientError: a channel that is missing, unknown or delivered in a way that the algorithm does not read.
        """
        paths = paths or Paths.from_environ(environ)
        resources = _read_json(paths.resource_config)
        hosts = tuple(sorted(resources.get("hosts", ("algo-1",)), key=_host_number))
        given = _read_json(paths.hyperparameters)
        tuned = bool(given.pop(_TUNED_FOR, ""))
        hyperparameters = algorithm.parse_hyperparameters(given, len(hosts))
        channels = _channels(algorithm, paths)
        algorithm.check_channels(hyperparameters, {name: channel.input_mode for name, channel in channels.items()})
        return cls(
            algorithm=algorithm,
            paths=paths,
            hyperparameters=hyperparameters,
            channels=channels,
            hosts=hosts,
            current_host=resources.get("current_host", hosts[0]),
            network_interface=resources.get("network_interface_name"),
            job_name=environ.get("TRAINING_JOB_NAME", ""),
            cpus=available_cpus(environ),
            tuned=tuned,
        )


def _host_number(host: str) -> tuple[str, int]:
    """Sorts algo-2 before algo-10."""
    stem, _, number = host.rpartition("-")
    return (stem, int(number)) if number.isdecimal() else (host, 0)


def _read_json(path: Path) -> dict[str, Any]:
    """The object in a configuration file; empty where the service wrote none."""
    if not path.exists():
        return {}
    content = json.loads(path.read_text(encoding="utf-8") or "{}")
    if not isinstance(content, dict):
        raise ClientError(f"{path.name} holds {type(content).__name__}; it must hold a JSON object.")
    return content


def _channels(algorithm: Algorithm, paths: Paths) -> dict[str, InputChannel]:
    configured = _read_json(paths.input_data_config)
    channels = {name: _channel(algorithm, paths, name, entry or {}) for name, entry in configured.items()}
    for name, described in algorithm.channels.items():
        if name in channels or not described.required:
            continue
        if configured or not paths.channel(name).is_dir():
            found = ", ".join(sorted(channels)) or "none"
            raise ClientError(f"channel {name!r} is missing; {algorithm.name} needs it (channels given: {found}).")
        # No inputdataconfig.json at all: `docker run` by hand with a mounted folder.
        channels[name] = InputChannel(name, paths.channel(name))
    return channels


def _channel(algorithm: Algorithm, paths: Paths, name: str, entry: Mapping[str, Any]) -> InputChannel:
    described = algorithm.channels.get(name)
    if described is None:
        raise ClientError(
            f"channel {name!r} is unknown to {algorithm.name}; it reads {', '.join(sorted(algorithm.channels))}."
        )
    channel = InputChannel(
        name,
        paths.channel(name),
        content_type=entry.get("ContentType"),
        input_mode=entry.get("TrainingInputMode") or described.input_modes[0],
        distribution=entry.get("S3DistributionType") or described.distribution[0],
        record_wrapper=entry.get("RecordWrapperType") or "None",
    )
    if channel.input_mode not in described.input_modes:
        raise ClientError(
            f"channel {name!r} has input mode {channel.input_mode}; {algorithm.name} reads it in"
            f" {' or '.join(described.input_modes)} mode."
        )
    if channel.distribution not in described.distribution:
        raise ClientError(
            f"channel {name!r} has distribution {channel.distribution}; {algorithm.name} reads it"
            f" {' or '.join(described.distribution)}."
        )
    return channel
