"""A training job's hosts, and a served model, as processes on this machine, for the tests of the algorithms."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
import urllib.request
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from contract import rendezvous
from contract.cores import CPUS

PIPES = 20

Channels = Mapping[str, Mapping[str, bytes]]
"""Files by their names, by channel."""


class Outcome:
    """What a host leaves below its base directory."""

    base: Path

    @property
    def model(self) -> Path:
        return self.base / "model"

    @property
    def failure(self) -> str:
        return (self.base / "output" / "failure").read_text()


@dataclass
class Host(Outcome):
    """One host of a job, as a process with a base directory of its own."""

    name: str
    base: Path
    process: subprocess.Popen[str]
    output: str = ""

    @property
    def code(self) -> int | None:
        """The exit code, once it has finished."""
        return self.process.returncode

    def finish(self, timeout: float = 240) -> int:
        """Wait for the end; the exit code."""
        rest, _ = self.process.communicate(timeout=timeout)
        self.output += rest
        return self.process.returncode

    def read_until(self, text: str) -> None:
        """Read the log up to the line that holds `text`.

        Raises:
            AssertionError: the log ended without it.
        """
        assert self.process.stdout
        for line in self.process.stdout:
            self.output += line
            if text in line:
                return
        raise AssertionError(f"{self.name} ended without {text!r}:\n{self.output}")

    def children(self, command: str) -> list[int]:
        """The processes that it has started and that have `command` in their command lines.

        Raises:
            AssertionError: there are none.
        """
        found = []
        for path in Path("/proc").glob("[0-9]*/stat"):
            with suppress(OSError):  # it has ended meanwhile
                parent = int(path.read_text().rpartition(")")[2].split()[1])
                if parent == self.process.pid and command.encode() in path.with_name("cmdline").read_bytes():
                    found.append(int(path.parent.name))
        assert found, f"{self.name} has no process {command}"
        return found

    def peak_bytes(self) -> int:
        """Its largest resident set, once it has ended: to be asked at once, while it runs; its output must be short."""
        peak, status = 0, Path(f"/proc/{self.process.pid}/status")
        while self.process.poll() is None:
            with suppress(FileNotFoundError):
                found = re.search(r"VmHWM:\s+(\d+) kB", status.read_text())
                peak = max(peak, int(found[1]) * 1024 if found else 0)
            time.sleep(0.01)
        return peak

    def kill(self) -> None:
        """End it if it still runs."""
        self.process.kill()
        self.process.communicate()


def start_job(
    package: str,
    folder: Path,
    hyperparameters: Mapping[str, str],
    channels: Channels | Sequence[Channels],
    *,
    hosts: int = 1,
    sharded: Collection[str] = (),
    piped: Collection[str] = (),
    checkpoints: Sequence[Path] = (),
    environ: Mapping[str, str] | None = None,
) -> list[Host]:
    """Start a job's hosts below a folder.

    Args:
        package: of the algorithm.
        channels: of every host, or a sequence with each host's.
        sharded: names of the channels that are distributed by ShardedByS3Key.
        piped: names of the channels in Pipe mode, whose pipes are made, and are to be written to.
        checkpoints: the hosts' checkpoint folders; without any there are no checkpoints.
    """
    names = [f"algo-{number + 1}" for number in range(hosts)]
    meeting = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port())} if hosts > 1 else {}
    started = []
    for rank, name in enumerate(names):
        base = folder / name
        own = channels if isinstance(channels, Mapping) else channels[rank]
        write_input(base, own, hyperparameters, names, name, sharded, piped)
        if checkpoints:
            checkpoints[rank].mkdir(parents=True, exist_ok=True)
            (base / "checkpoints").symlink_to(checkpoints[rank], target_is_directory=True)
        variables = {"SAGEMAKER_BASE_DIR": str(base), **meeting, **(environ or {})}
        started.append(Host(name, base, run(package, ["train"], variables)))
    return started


@dataclass
class Jobs:
    """Starts an algorithm's training jobs below one folder.

    Args:
        hyperparameters, channels: of a job that does not say others.
    """

    package: str
    folder: Path
    hyperparameters: Mapping[str, str]
    channels: Channels
    started: list[Host] = field(default_factory=list)

    def start(
        self,
        hyperparameters: Mapping[str, str | None] | None = None,
        channels: Channels | Sequence[Channels] | None = None,
        *,
        hosts: int = 1,
        sharded: Collection[str] = (),
        piped: Collection[str] = (),
        checkpoints: Path | None = None,
        environ: Mapping[str, str] | None = None,
    ) -> list[Host]:
        """Start a job, each host on one core, with some hyperparameters in place of its own; None takes one out."""
        folders = [checkpoints / f"algo-{number + 1}" for number in range(hosts)] if checkpoints else []
        given = {**self.hyperparameters, **(hyperparameters or {})}
        job = start_job(
            self.package,
            self.folder / f"job-{len(self.started)}",
            {name: text for name, text in given.items() if text is not None},
            channels or self.channels,
            hosts=hosts,
            sharded=sharded,
            piped=piped,
            checkpoints=folders,
            environ={CPUS: "1", **(environ or {})},
        )
        self.started += job
        return job

    def train(self, hyperparameters: Mapping[str, str | None] | None = None, channels: Channels | None = None) -> Host:
        """Train on one host to the end."""
        (host,) = self.start(hyperparameters, channels)
        host.finish()
        return host

    def kill(self) -> None:
        """End what is still running."""
        for host in self.started:
            host.kill()


def write_input(
    base: Path,
    channels: Channels,
    hyperparameters: Mapping[str, str],
    hosts: Sequence[str],
    host: str,
    sharded: Collection[str] = (),
    piped: Collection[str] = (),
) -> None:
    """What the service puts below /opt/ml for one host; of a channel in Pipe mode the first PIPES pipes."""
    config = base / "input" / "config"
    config.mkdir(parents=True)
    for channel, contents in channels.items():
        folder = base / "input" / "data" / channel
        folder.mkdir(parents=True)
        for name, content in contents.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(content)
    resources = {"current_host": host, "hosts": list(hosts), "network_interface_name": "lo"}
    inputs = {name: {"S3DistributionType": "ShardedByS3Key"} if name in sharded else {} for name in channels}
    for name in piped:
        inputs[name] = {**inputs.get(name, {}), "TrainingInputMode": "Pipe"}
        (base / "input" / "data").mkdir(parents=True, exist_ok=True)
        for number in range(PIPES):
            os.mkfifo(base / "input" / "data" / f"{name}_{number}")
    files = {"hyperparameters": dict(hyperparameters), "inputdataconfig": inputs, "resourceconfig": resources}
    for name, configuration in files.items():
        (config / f"{name}.json").write_text(json.dumps(configuration))


def run(package: str, arguments: Sequence[str], environ: Mapping[str, str]) -> subprocess.Popen[str]:
    """`python -m PACKAGE ARGUMENTS`, with standard error in its output."""
    return subprocess.Popen(
        [sys.executable, "-m", package, *arguments],
        env={**os.environ, **environ},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


@contextmanager
def serving(package: str, base: Path, patience_s: float = 60) -> Iterator[str]:
    """The address of a server of the model in `base`/model, which answers /ping; it ends with the block.

    Raises:
        AssertionError: it did not answer in time.
    """
    port = free_port()
    process = run(package, ["serve"], {"SAGEMAKER_BASE_DIR": str(base), "SAGEMAKER_BIND_TO_PORT": str(port)})
    address, deadline = f"http://127.0.0.1:{port}", time.monotonic() + patience_s
    try:
        while not _answers(f"{address}/ping"):
            if process.poll() is not None or time.monotonic() > deadline:
                process.kill()
                raise AssertionError(f"the server did not answer:\n{process.communicate()[0]}")
            time.sleep(0.05)
        yield address
    finally:
        process.kill()
        process.communicate()


def _answers(address: str) -> bool:
    try:
        with urllib.request.urlopen(address, timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def free_port() -> int:
    """A port of the loopback address that nobody listens on now."""
    return rendezvous.free_port("127.0.0.1")
