"""Starting a run: what was asked for, checked early, its local files uploaded, its execution started."""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from contract.gating import gate_metric
from contract.specification import Algorithm
from kindling.errors import UserError
from kindling.resources import Resources
from kindling.targets import Target

_NAME = re.compile(r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,31}")
_GATE = re.compile(r"(?P<metric>[^<>=\s]+)\s*(?P<sign>[<>]=)\s*(?P<bound>\S+)")
_BOUNDS = {">=": "at_least", "<=": "at_most"}
_STAMP = "%Y%m%d-%H%M%S"

Progress = Callable[[str, int, int], None]  # what is being uploaded, bytes done, bytes in all


@dataclass(frozen=True, kw_only=True)
class Request:
    """What `kindling train` was asked for. None leaves a choice to the pipeline, which has the catalogue's default.

    `channels` are local paths or s3:// addresses; `endpoint` is a name, False for none.
    """

    algorithm: Algorithm
    channels: Mapping[str, str]
    hyperparameters: Mapping[str, str]
    instances: int | None = None
    instance_type: str | None = None
    name: str | None = None
    gate: str | None = None
    beat_champion: bool = False
    spot: bool = False
    endpoint: str | bool | None = None


@dataclass(frozen=True)
class Started:
    """A run that was started; `run` is its name and its execution's."""

    run: str
    arn: str
    inputs: Mapping[str, str] = field(default_factory=dict)


def start(target: Target, resources: Resources, request: Request, progress: Progress) -> Started:
    """Checks the request, uploads what is local and starts the execution.

    Raises:
        UserError, InvalidJobError: the request cannot be meant; nothing was uploaded.
    """
    check(request)
    machine = resources.state_machine(request.algorithm.name)
    name = request.name or request.algorithm.name.replace("_", "-")
    run = unique_name(name)
    inputs = upload(target, resources, f"{request.algorithm.name}/{run}", request.channels, progress)
    execution = target.client("stepfunctions").start_execution(
        stateMachineArn=machine, name=run, input=json.dumps(execution_input(request, name, inputs))
    )
    return Started(run=run, arn=execution["executionArn"], inputs=inputs)


def unique_name(name: str) -> str:
    """A name for an execution that nobody has yet."""
    return f"{name}-{datetime.now(UTC).strftime(_STAMP)}-{secrets.token_hex(2)}"


def upload(
    target: Target, resources: Resources, prefix: str, sources: Mapping[str, str], progress: Progress
) -> dict[str, str]:
    """The addresses of sources by their names, those that are local once they are uploaded below the prefix.

    Raises:
        UserError: there is nothing at a local path.
    """
    s3 = target.client("s3")
    return {
        name: source
        if source.startswith("s3://")
        else _upload(s3, resources.data_bucket, f"{prefix}/{name}", Path(source), progress)
        for name, source in sources.items()
    }


def check(request: Request) -> None:
    """Refuses what the pipeline would refuse later and what only this machine can know.

    Raises:
        UserError, InvalidJobError: one sentence that says what is wrong.
    """
    algorithm = request.algorithm
    if request.name is not None and not _NAME.fullmatch(request.name):
        raise UserError(f"name {request.name!r} is not valid; it must be 1 to 32 letters, digits and single dashes.")
    for name, channel in algorithm.channels.items():
        if channel.required and name not in request.channels:
            raise UserError(f"{algorithm.name} needs channel {name}; add --channel {name}=PATH or s3://bucket/prefix.")
    for name, source in request.channels.items():
        if name not in algorithm.channels:
            raise UserError(f"{algorithm.name} has no channel {name}; it has {', '.join(algorithm.channels)}.")
        check_source(name, source)
    count = algorithm.resources.instance_count if request.instances is None else request.instances
    if count < 1:
        raise UserError(f"--instances {count} is too few; a training job has at least one host.")
    values = algorithm.parse_hyperparameters(request.hyperparameters, count)
    algorithm.check_channels(values, {name: algorithm.channels[name].input_modes[0] for name in request.channels})
    gate = parse_gate(request.gate, algorithm) if request.gate else {}
    if gate or request.beat_champion:
        gate_metric(algorithm, gate.get("metric"), values, request.channels)


def check_source(name: str, source: str) -> None:
    """Refuses a local path where there is nothing.

    Raises:
        UserError: one sentence that names the channel.
    """
    if not source.startswith("s3://"):
        _files_of(name, Path(source).expanduser())


def parse_gate(text: str, algorithm: Algorithm) -> dict[str, Any]:
    """`train:mean_rho>=0.6` or `validation:mse<=20` as the execution's input has it.

    Raises:
        UserError: not of this form, or a metric that the algorithm does not emit.
    """
    found = _GATE.fullmatch(text.strip())
    if found is None:
        raise UserError(
            f"gate {text!r} is not of the form METRIC>=NUMBER or METRIC<=NUMBER, such as {_example_gate(algorithm)}."
        )
    if algorithm.metric(found["metric"]) is None:
        known = ", ".join(metric.name for metric in algorithm.metrics)
        raise UserError(f"{algorithm.name} does not emit the gate's metric {found['metric']}; it emits {known}.")
    try:
        return {"metric": found["metric"], _BOUNDS[found["sign"]]: float(found["bound"])}
    except ValueError:
        raise UserError(f"gate {text!r} compares with {found['bound']!r}, which is not a number.") from None


def _example_gate(algorithm: Algorithm) -> str:
    metric = algorithm.metrics[0]
    return f"{metric.name}{'>=' if metric.goal == 'maximize' else '<='}0.6"


def execution_input(request: Request, name: str, inputs: Mapping[str, str]) -> dict[str, Any]:
    """The input of the execution. What was not asked for is left out."""
    wanted = {
        "instance_count": request.instances,
        "instance_type": request.instance_type,
        "spot": True if request.spot else None,
    }
    given: dict[str, Any] = {
        "name": name,
        "inputs": dict(inputs),
        "hyperparameters": dict(request.hyperparameters),
        "resources": {key: value for key, value in wanted.items() if value is not None},
    }
    gate = parse_gate(request.gate, request.algorithm) if request.gate else {}
    if request.beat_champion:
        gate = {**gate, "beat_champion": True}
    if gate:
        given["gate"] = gate
    if request.endpoint is False:
        given["endpoint"] = None
    elif isinstance(request.endpoint, str):
        given["endpoint"] = {"name": request.endpoint}
    return given


def _files_of(channel: str, source: Path) -> list[tuple[Path, str]]:
    """The files of a local channel and their names under its prefix; hidden files are left out, as in training."""
    if source.is_file():
        return [(source, source.name)]
    if not source.exists():
        raise UserError(f"channel {channel}: {source} does not exist; name a file, a folder or s3://bucket/prefix.")
    found = list(_visible(source, source))
    if not found:
        raise UserError(f"channel {channel}: the folder {source} holds no file.")
    return found


def _visible(folder: Path, root: Path) -> Iterator[tuple[Path, str]]:
    for path in sorted(folder.iterdir()):
        if path.name.startswith("."):
            continue
        if path.is_dir():
            yield from _visible(path, root)
        else:
            yield path, path.relative_to(root).as_posix()


def _upload(s3: Any, bucket: str, prefix: str, source: Path, progress: Progress) -> str:
    channel = prefix.rsplit("/", 1)[-1]
    files = _files_of(channel, source.expanduser())
    total, done = sum(path.stat().st_size for path, _ in files), 0

    def advance(count: int) -> None:
        nonlocal done
        done += count
        progress(f"uploading {channel}", done, total)

    for path, name in files:
        s3.upload_file(str(path), bucket, f"{prefix}/{name}", Callback=advance)
    return f"s3://{bucket}/{prefix}/"
