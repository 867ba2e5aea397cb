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

    `channels` are local paths or s3:// addresses; `endpoint` is a name, False for none. `tuning` has a range for each
    hyperparameter that is to be searched for, as text. `further` is an execution's input that the rest goes before.
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
    tuning: Mapping[str, str] = field(default_factory=dict)
    tuning_jobs: int | None = None
    register: bool = False
    approve: bool = False
    further: Mapping[str, Any] = field(default_factory=dict)


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
    channels = _all_channels(request)
    for name, channel in algorithm.channels.items():
        if channel.required and name not in channels:
            raise UserError(f"{algorithm.name} needs channel {name}; add --channel {name}=PATH or s3://bucket/prefix.")
    for name, source in request.channels.items():
        if name not in algorithm.channels:
            raise UserError(f"{algorithm.name} has no channel {name}; it has {', '.join(algorithm.channels)}.")
        check_source(name, source)
    count = algorithm.resources.instance_count if request.instances is None else request.instances
    if count < 1:
        raise UserError(f"--instances {count} is too few; a training job has at least one host.")
    tuned = {name: bounds[0] for name, bounds in parse_ranges(request.tuning, algorithm).items()}
    given = {**tuned, **request.further.get("hyperparameters", {}), **request.hyperparameters}
    values = algorithm.parse_hyperparameters(given, count)
    algorithm.check_channels(values, {name: algorithm.channels[name].input_modes[0] for name in request.channels})
    gate = parse_gate(request.gate, algorithm) if request.gate else {}
    if gate or request.beat_champion:
        gate_metric(algorithm, gate.get("metric"), values, channels)


def _all_channels(request: Request) -> set[str]:
    """The channels that the run will have: given here or in the input's file, or made by a preparation."""
    preparation = request.further.get("preparation") or {}
    name = preparation.get("name") if isinstance(preparation, dict) else None
    described = request.algorithm.preparations.get(str(name))
    return {*request.channels, *request.further.get("inputs", {}), *(described.channels if described else ())}


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


def parse_ranges(texts: Mapping[str, str], algorithm: Algorithm) -> dict[str, list[Any]]:
    """`0.001..0.1` as bounds and `cbow,skipgram` as choices, by hyperparameter.

    Raises:
        UserError, InvalidJobError: an unknown hyperparameter, or a value that it does not take.
    """
    found: dict[str, list[Any]] = {}
    for name, text in texts.items():
        described = algorithm.hyperparameters.get(name)
        if described is None:
            raise UserError(f"--tune {name}: {algorithm.name} has no such hyperparameter.")
        values = text.split("..") if ".." in text else text.split(",")
        if ".." in text and len(values) != 2:
            raise UserError(f"--tune {name}={text} is not of the form LOW..HIGH or A,B,C.")
        found[name] = [described.parse(name, value) for value in values]
    return found


def read_input(path: Path) -> dict[str, Any]:
    """An execution's input in a file of JSON.

    Raises:
        UserError: there is no such file, or it holds no JSON object.
    """
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"--input {path} cannot be read: {error}.") from None
    parts = ("inputs", "hyperparameters", "resources")
    if not isinstance(found, dict) or any(not isinstance(found.get(part, {}), dict) for part in parts):
        raise UserError(f"--input {path} must hold a JSON object, whose {', '.join(parts)} are objects.")
    return found


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
    further = request.further
    given: dict[str, Any] = {
        **further,
        "name": name,
        "inputs": {**further.get("inputs", {}), **inputs},
        "hyperparameters": {**further.get("hyperparameters", {}), **request.hyperparameters},
        "resources": {
            **further.get("resources", {}),
            **{key: value for key, value in wanted.items() if value is not None},
        },
    }
    if request.tuning:
        given["tuning"] = {
            **(further.get("tuning") or {}),
            "ranges": parse_ranges(request.tuning, request.algorithm),
            **({"jobs": request.tuning_jobs} if request.tuning_jobs is not None else {}),
        }
    given |= {"registration": True} if request.register else {}
    given |= {"approval": True} if request.approve else {}
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
