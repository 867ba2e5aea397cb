"""One algorithm alone, on local files: no cloud, but the very contract that a training job and an endpoint keep.

What the service would lay out below /opt/ml is laid out below a base directory for each host.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import IO

from contract.paths import BASE_DIRECTORY, Paths
from contract.specification import Algorithm
from kindling.environments import python_of
from kindling.errors import UserError
from kindling.ports import free_port

_LOOPBACK = "127.0.0.1"
_PATIENCE_S = 10.0  # between asking a host to end and ending it


@dataclass(frozen=True)
class Host:
    """A process of the algorithm that is ready to be started: the base directory in place of /opt/ml, and how."""

    name: str
    base: Path
    command: list[str]
    environment: Mapping[str, str]


def train(
    algorithm: Algorithm,
    channels: Mapping[str, Path],
    hyperparameters: Mapping[str, str],
    model: Path,
    hosts: int,
    checkpoints: Path | None = None,
) -> int:
    """Trains into the folder `model`; returns the exit code, after the reason of a failure was said on stderr.

    Args:
        checkpoints: where the hosts keep their checkpoints and go on from those they find; None for none.
    Raises:
        UserError, InvalidJobError: what was asked for cannot be meant.
    """
    algorithm.parse_hyperparameters(hyperparameters, hosts)
    _check_channels(algorithm, channels)
    for folder in (model, *([checkpoints] if checkpoints else [])):
        folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f"kindling-{algorithm.name}-") as scratch:
        job = training_hosts(algorithm, channels, hyperparameters, model, hosts, Path(scratch))
        if checkpoints:
            for host in job:
                Paths(host.base).checkpoints.symlink_to(checkpoints.resolve(), target_is_directory=True)
        code = _run(job)
        if code != 0:
            _say_reason(job, code)
        return code


def serve(algorithm: Algorithm, model: Path, port: int) -> int:
    """Serves the model in a folder on the loopback device until it is interrupted; returns the exit code.

    Raises:
        UserError: there is no such folder.
    """
    if not model.is_dir():
        raise UserError(f"the model folder {model} does not exist; train one into it first.")
    with tempfile.TemporaryDirectory(prefix=f"kindling-{algorithm.name}-") as scratch:
        (Path(scratch) / "model").symlink_to(model.resolve(), target_is_directory=True)
        environment = {**os.environ, "SAGEMAKER_BASE_DIR": scratch, "SAGEMAKER_BIND_TO_PORT": str(port)}
        return _run([Host("serve", Path(scratch), _command(algorithm, "serve"), environment)])


def use_tool(algorithm: Algorithm, tool: str, source: Path, target: Path, options: Mapping[str, str]) -> int:
    """Makes the file `target` of `source` with one of the algorithm's tools; returns the exit code.

    Raises:
        UserError, InvalidJobError: what was asked for cannot be meant.
    """
    algorithm.tools[tool].parse(options)
    if not source.exists():
        raise UserError(f"the input {source} does not exist.")
    if not target.parent.is_dir():
        raise UserError(f"the output's folder {target.parent} does not exist; make it first.")
    arguments = [str(source), str(target), *(f"{name}={value}" for name, value in options.items())]
    code = subprocess.run([*_command(algorithm, tool), *arguments], stdin=subprocess.DEVNULL, check=False).returncode
    return 128 - code if code < 0 else code


def training_hosts(
    algorithm: Algorithm,
    channels: Mapping[str, Path],
    hyperparameters: Mapping[str, str],
    model: Path,
    hosts: int,
    scratch: Path,
) -> list[Host]:
    """The hosts of a training job that will leave its model in the folder `model`, laid out below the folder `scratch`.

    Raises:
        EnvironmentNotMadeError: the algorithm's environment has not been made.
    """
    names = [f"algo-{number}" for number in range(1, hosts + 1)]
    bases = {name: scratch / name for name in names}
    for name, base in bases.items():
        _lay_out(base, channels, hyperparameters, names, name)
    # Only the first host writes the model, so its folder is the user's own from the start.
    Paths(bases[names[0]]).model.symlink_to(model.resolve(), target_is_directory=True)
    command, environments = _command(algorithm, "train"), _environments(bases, hosts)
    return [Host(name, base, command, environments[name]) for name, base in bases.items()]


def _command(algorithm: Algorithm, what: str) -> list[str]:
    return [str(python_of(algorithm.name)), "-u", "-m", algorithm.package, what]


def _check_channels(algorithm: Algorithm, channels: Mapping[str, Path]) -> None:
    for name, channel in algorithm.channels.items():
        if channel.required and name not in channels:
            raise UserError(f"{algorithm.name} needs channel {name}; add --channel {name}=PATH.")
    for name, source in channels.items():
        if name not in algorithm.channels:
            raise UserError(f"{algorithm.name} has no channel {name}; it has {', '.join(algorithm.channels)}.")
        if not source.exists():
            raise UserError(f"channel {name}: {source} does not exist; name a file or a folder.")


def _lay_out(
    base: Path, channels: Mapping[str, Path], hyperparameters: Mapping[str, str], hosts: Sequence[str], host: str
) -> None:
    """What the service lays out for one host before training starts."""
    paths = Paths(base)
    write_configuration(paths, hyperparameters, channels, hosts, host, "lo")
    for name, source in channels.items():
        folder = paths.channel(name)
        if source.is_dir():
            folder.symlink_to(source.resolve(), target_is_directory=True)
        else:
            folder.mkdir()
            (folder / source.name).symlink_to(source.resolve())


def write_configuration(
    paths: Paths,
    hyperparameters: Mapping[str, str],
    channels: Iterable[str],
    hosts: Sequence[str],
    host: str,
    network_interface: str,
) -> None:
    """Makes the folders of one host and writes the configuration files of the contract, with channels in File mode."""
    configuration = {
        paths.hyperparameters: dict(hyperparameters),
        paths.input_data_config: {
            name: {"TrainingInputMode": "File", "S3DistributionType": "FullyReplicated", "RecordWrapperType": "None"}
            for name in channels
        },
        paths.resource_config: {
            "current_host": host,
            "hosts": list(hosts),
            "network_interface_name": network_interface,
        },
    }
    for needed in (paths.resource_config.parent, paths.data, paths.output_data):
        needed.mkdir(parents=True)
    for path, content in configuration.items():
        path.write_text(json.dumps(content), encoding="utf-8")


def _environments(bases: Mapping[str, Path], hosts: int) -> dict[str, dict[str, str]]:
    shared = {**os.environ, "TRAINING_JOB_NAME": "local"}
    if hosts > 1:
        shared |= {
            "MASTER_ADDR": _LOOPBACK,
            "MASTER_PORT": str(free_port()),
            "KINDLING_CPUS_PER_HOST": str(max(1, (os.cpu_count() or 1) // hosts)),
        }
    return {name: {**shared, BASE_DIRECTORY: str(base)} for name, base in bases.items()}


def _run(hosts: Sequence[Host]) -> int:
    """Runs one process a host until all have ended; returns the first exit code that is not 0.

    SIGINT and SIGTERM are passed on, so that a host saves what it has. The lines of several hosts carry their names.
    """
    several = len(hosts) > 1
    with ExitStack() as stack:
        processes = {
            host.name: subprocess.Popen(
                host.command,
                env=dict(host.environment),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE if several else None,
                stderr=subprocess.STDOUT if several else None,
                text=True,
                errors="replace",
                start_new_session=True,
            )
            for host in hosts
        }
        stack.callback(_end, list(processes.values()))
        stack.enter_context(_signals_passed_on(list(processes.values())))
        for name, process in processes.items():
            if process.stdout is not None:
                reader = threading.Thread(target=_print_lines, args=(name, process.stdout), daemon=True)
                reader.start()
                stack.callback(reader.join)
        codes = [process.wait() for process in processes.values()]
    return next((128 - code if code < 0 else code for code in codes if code != 0), 0)


def _print_lines(host: str, lines: IO[str]) -> None:
    with lines:
        for line in lines:
            print(f"{host} | {line}", end="", flush=True)


@contextmanager
def _signals_passed_on(processes: Sequence[subprocess.Popen[str]]) -> Iterator[None]:
    def pass_on(_signal: int, _frame: FrameType | None) -> None:
        for process in processes:
            if process.poll() is None:
                process.terminate()

    former = {number: signal.signal(number, pass_on) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)


def _end(processes: Sequence[subprocess.Popen[str]]) -> None:
    for process in processes:
        if process.poll() is None:
            process.terminate()
    for process in processes:
        try:
            process.wait(_PATIENCE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _say_reason(hosts: Iterable[Host], code: int) -> None:
    """Says what the first failure file says: the hosts' own words come before what they say of each other."""
    reasons = [
        path.read_text(encoding="utf-8").strip() for host in hosts if (path := Paths(host.base).failure).exists()
    ]
    reasons.sort(key=lambda reason: not reason.startswith("ClientError"))
    print(reasons[0] if reasons else f"training ended with exit code {code} and gave no reason.", file=sys.stderr)
