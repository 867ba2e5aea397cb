"""How a container runs. The `process` runner needs no Docker: an algorithm runs in its own virtual environment."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Literal, Protocol

from containers.catalogue import algorithms
from kindling.environments import EnvironmentNotMadeError, python_of
from kindling.localcloud.cloud import LOOPBACK
from kindling.localcloud.images import Images, UnknownImageError
from kindling.localcloud.processes import Processes
from kindling.localcloud.sagemaker.errors import DataError, InvalidRequestError
from kindling.ports import free_port

# What a process needs of this machine to run at all; everything else of a container's environment is the job's.
_INHERITED = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR", "LD_LIBRARY_PATH")


@dataclass(frozen=True, kw_only=True)
class Start:
    """A container to be started. `base` is the folder that stands for /opt/ml.

    `name` is GROUP/HOST: the job or endpoint, and the name of the host among those of the group, which reach each
    other. `entrypoint`, where given, runs in place of the image's own; `command` is what is added to it. `cores` are
    those of this machine that it may use, `memory_mib` its memory; 0 is as much as the instance type has. An isolated
    one reaches nothing but its group.
    """

    name: str
    image: str
    command: Literal["train", "serve"] | tuple[str, ...]
    base: Path
    entrypoint: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    instance_type: str = "ml.m5.large"
    memory_mib: int = 0
    cores: int = 0
    isolated: bool = False


class Container(Protocol):
    """A container that was started."""

    @property
    def output(self) -> IO[bytes]:
        """What it writes to standard output and standard error."""

    @property
    def address(self) -> tuple[str, int]:
        """Where it serves: host and port."""

    def wait(self) -> int:
        """Its exit code, as soon as it ends; 128 + n when signal n ended it."""

    def terminate(self) -> None:
        """Ask it to end (SIGTERM)."""

    def kill(self) -> None:
        """End it and all it started (SIGKILL)."""


class Runner(Protocol):
    """Starts containers."""

    @property
    def network_interface(self) -> str:
        """The interface over which the hosts of a job talk."""

    @property
    def ending(self) -> bool:
        """Whether the cloud itself is ending, so that the end of a container says nothing about the container."""

    def check(self, image: str) -> None:
        """Refuse an image that cannot be run, with an InvalidRequestError."""

    def inside(self, base: Path, /) -> Path:
        """Where a container finds the folder that stands for its /opt/ml."""

    def environment_of(self, client_environment: Mapping[str, str]) -> dict[str, str]:
        """The environment of an AWS client on this machine, as one in a container needs it."""

    def end_all(self) -> None:
        """End every container, as the cloud does."""

    def rendezvous(self, hosts: int, cores: int) -> dict[str, str]:
        """Environment variables by which the hosts of one job find each other where no DNS knows their names.

        Args:
            cores: of this machine, for all of the hosts together; each is told its part.
        """

    def start(self, wanted: Start) -> Container:
        """Start a container; DataError when it cannot be started."""


@dataclass(frozen=True)
class Program:
    """What runs an algorithm: a command to which `train` or `serve` is added; it begins with its interpreter."""

    command: tuple[str, ...]

    def line(self, wanted: Start) -> list[str]:
        """The command line of a container."""
        words = (wanted.command,) if isinstance(wanted.command, str) else wanted.command
        return [*(wanted.entrypoint or self.command), *words]

    def path(self, inherited: str) -> str:
        """A search path on which `python3` and its like are those of the image."""
        return os.pathsep.join([str(Path(self.command[0]).parent), inherited])


def program_of(algorithm: str) -> Program:
    """The program of an algorithm of this house, in its own virtual environment."""
    return Program((str(python_of(algorithm)), "-m", algorithms()[algorithm].package))


class ProcessRunner:
    """Runs a container as a process of this machine, with a folder of its own in place of /opt/ml."""

    network_interface = "lo"

    def __init__(self, processes: Processes, images: Images, programs: Callable[[str], Program] = program_of) -> None:
        self._processes = processes
        self._images = images
        self._programs = programs

    @property
    def ending(self) -> bool:
        return self._processes.ending

    def check(self, image: str) -> None:
        try:
            self._programs(self._images.algorithm_of(image))
        except (UnknownImageError, EnvironmentNotMadeError) as error:
            raise InvalidRequestError(str(error)) from None

    def inside(self, base: Path, /) -> Path:
        return base

    def environment_of(self, client_environment: Mapping[str, str]) -> dict[str, str]:
        return dict(client_environment)

    def end_all(self) -> None:
        self._processes.end_all()

    def rendezvous(self, hosts: int, cores: int) -> dict[str, str]:
        share = str(max(1, cores // hosts))
        return {
            "MASTER_ADDR": LOOPBACK,
            "MASTER_PORT": str(free_port()),
            "KINDLING_CPUS_PER_HOST": share,
            "OMP_NUM_THREADS": share,
        }

    def start(self, wanted: Start) -> Container:
        port = free_port() if wanted.command == "serve" else 0
        environment = {name: os.environ[name] for name in _INHERITED if name in os.environ}
        environment |= {"PYTHONUNBUFFERED": "1", **wanted.environment, "SAGEMAKER_BASE_DIR": str(wanted.base)}
        if port:
            environment["SAGEMAKER_BIND_TO_PORT"] = str(port)
        reading, writing = os.pipe()
        try:
            program = self._programs(self._images.algorithm_of(wanted.image))
            if wanted.entrypoint:
                environment["PATH"] = program.path(environment.get("PATH", os.defpath))
            process = self._processes.start(
                program.line(wanted),
                name=wanted.name,
                env=environment,
                cwd=wanted.base,
                stdout=writing,
                stderr=subprocess.STDOUT,
            )
        except (LookupError, OSError, RuntimeError) as error:
            os.close(reading)
            raise DataError(f"{wanted.name} could not be started: {error}") from error
        finally:
            os.close(writing)
        return _Process(process, os.fdopen(reading, "rb"), (LOOPBACK, port))


class _Process:
    def __init__(self, process: subprocess.Popen[bytes], output: IO[bytes], address: tuple[str, int]) -> None:
        self.output = output
        self.address = address
        self._process = process

    def wait(self) -> int:
        code = self._process.wait()
        self._end_group()  # what it left running would hold its output open
        return code if code >= 0 else 128 - code

    def terminate(self) -> None:
        self._process.terminate()

    def kill(self) -> None:
        if self._process.returncode is None:
            self._end_group()

    def _end_group(self) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
