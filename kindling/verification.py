"""Holds any image against SageMaker's container contract: what training and hosting ask of it, and what they tell it.

Each check runs the image as the service does, `docker run IMAGE train` or `serve` on an /opt/ml of its own, and looks
at what it does. The contract: docs.aws.amazon.com, "Use Your Own Training Algorithms", "Use Your Own Inference Code".
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import socket
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import urllib3
from docker.errors import APIError

from contract.paths import Paths

STRANGER = 12345  # a user and a group that no image knows
_PORT = 8080
_FAILURE_CHARACTERS = 1024  # of the failure file become the job's FailureReason
_STOP_S, _SERVING_STOP_S = 120.0, 30.0  # from SIGTERM to SIGKILL
_PING_S, _PING_ANSWER_S = 240.0, 2.0  # within which /ping answers 200 first, and each time
_KILLED = 137
_UNKNOWN = "no_such_hyperparameter"

Outcome = Literal["pass", "fail", "skip"]
Report = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Subject:
    """An image and what it is tried with.

    `channels` are files or folders by the channel's name; `model` is a folder to serve, by default what was trained;
    `long` are hyperparameters with which training takes minutes.
    """

    image: str
    channels: Mapping[str, Path] = field(default_factory=dict)
    hyperparameters: Mapping[str, str] = field(default_factory=dict)
    long: Mapping[str, str] = field(default_factory=dict)
    model: Path | None = None
    content_type: str = "application/json"
    body: bytes = b""
    patience_s: float = 600.0


@dataclass(frozen=True)
class Finding:
    """What a check found."""

    check: str
    outcome: Outcome
    words: str


class _BrokenError(Exception):
    """The image breaks the contract; the message says how."""


class _NotTriedError(Exception):
    """A check has nothing to go on; the message says what it needs."""


def verify(engine: Any, subject: Subject, report: Report = lambda _line: None) -> list[Finding]:
    """Every check's finding, in order.

    Args:
        engine: the Docker engine's client.
        report: is told each check before it begins.
    """
    findings = []
    with tempfile.TemporaryDirectory(prefix="kindling-verify-") as folder:
        trial = _Trial(engine, subject, Path(folder))
        for name, check in _CHECKS.items():
            report(name)
            try:
                words, outcome = check(trial), "pass"
            except _BrokenError as error:
                words, outcome = str(error), "fail"
            except _NotTriedError as error:
                words, outcome = str(error), "skip"
            except APIError as error:
                words, outcome = f"the engine cannot run it: {error.explanation}", "fail"
            findings.append(Finding(name, outcome, words))  # type: ignore[arg-type]
    return findings


@dataclass
class _Ended:
    """A container that has ended."""

    code: int
    log: str
    seconds: float

    @property
    def last_line(self) -> str:
        lines = self.log.strip().splitlines()
        return f"; its last line: {lines[-1][:200]}" if lines else "; it printed nothing"


class _Trial:
    """Runs the image, in a new folder for each container."""

    def __init__(self, engine: Any, subject: Subject, folder: Path) -> None:
        self.engine, self.subject, self._folder = engine, subject, folder
        self._number = 0
        self.trained: Path | None = None  # the model of the first training

    def base(self, hyperparameters: Mapping[str, str], channels: Mapping[str, Path]) -> Paths:
        """A new /opt/ml, laid out for a training job of one host."""
        self._number += 1
        paths = Paths(self._folder / str(self._number))
        configuration: dict[Path, Any] = {
            paths.hyperparameters: dict(hyperparameters),
            paths.input_data_config: {
                name: {
                    "TrainingInputMode": "File",
                    "S3DistributionType": "FullyReplicated",
                    "RecordWrapperType": "None",
                }
                for name in channels
            },
            paths.resource_config: {
                "current_host": "algo-1",
                "hosts": ["algo-1"],
                "network_interface_name": "eth0",
            },
        }
        for needed in (paths.resource_config.parent, paths.data, paths.model, paths.output_data):
            needed.mkdir(parents=True)
        for path, content in configuration.items():
            path.write_text(json.dumps(content), encoding="utf-8")
        for name, source in channels.items():
            target = paths.channel(name)
            if source.is_dir():
                shutil.copytree(source, target)
            else:
                target.mkdir()
                shutil.copy(source, target)
        return paths

    def model_base(self) -> Paths:
        """A new /opt/ml with the model to serve."""
        source = self.subject.model or self.trained
        if source is None:
            raise _NotTriedError("there is no model to serve: training made none; name one with --model.")
        paths = self.base({}, {})
        shutil.copytree(source, paths.model, dirs_exist_ok=True)
        return paths

    @contextmanager
    def running(self, paths: Paths, command: str, **options: Any) -> Iterator[Any]:
        """A container with that /opt/ml, removed afterwards."""
        volumes = {str(paths.base): {"bind": "/opt/ml", "mode": "rw"}, **options.pop("volumes", {})}
        container = self.engine.containers.run(
            self.subject.image, command, volumes=volumes, detach=True, hostname="algo-1", **options
        )
        try:
            yield container
        finally:
            with contextlib.suppress(APIError):
                container.remove(force=True, v=True)

    def train(self, paths: Paths, **options: Any) -> _Ended:
        """Training from its start to its end."""
        with self.running(paths, "train", **options) as container:
            return self.end_of(container, self.subject.patience_s)

    def end_of(self, container: Any, within_s: float) -> _Ended:
        """The end of a container.

        Raises:
            _BrokenError: it does not end in time.
        """
        began = time.monotonic()
        while (status := _state(container))["Running"]:
            if time.monotonic() - began > within_s:
                raise _BrokenError(f"it had not ended after {within_s:.0f} s")
            time.sleep(0.1)
        log = container.logs().decode(errors="replace")
        return _Ended(int(status["ExitCode"]), log, time.monotonic() - began)

    @contextmanager
    def serving(self, paths: Paths, **options: Any) -> Iterator[tuple[Any, _Server]]:
        """A container that serves, once /ping has answered 200.

        Raises:
            _BrokenError: it never does.
        """
        with self.running(paths, "serve", **options) as container:
            server = _Server(container)
            deadline = time.monotonic() + min(_PING_S, self.subject.patience_s)
            while not server.healthy():
                state = _state(container)
                if not state["Running"]:
                    ended = _Ended(int(state["ExitCode"]), container.logs().decode(errors="replace"), 0)
                    raise _BrokenError(f"serve exited with code {ended.code}{ended.last_line}")
                if time.monotonic() > deadline:
                    raise _BrokenError(f"GET /ping on port {_PORT} did not answer 200 within {_PING_S:.0f} s")
                time.sleep(0.1)
            yield container, server


class _Server:
    """Requests to a container that serves."""

    def __init__(self, container: Any) -> None:
        container.reload()
        self.host = next(iter(container.attrs["NetworkSettings"]["Networks"].values()))["IPAddress"]
        self._pool = urllib3.HTTPConnectionPool(self.host or "127.0.0.1", _PORT)

    def healthy(self) -> bool:
        """Whether /ping answers 200 in the time that it may take."""
        try:
            answer = self._pool.urlopen("GET", "/ping", timeout=_PING_ANSWER_S, retries=False)
        except urllib3.exceptions.HTTPError:
            return False
        return bool(answer.status == 200)

    def ask(self, body: bytes, content_type: str, path: str = "/invocations", method: str = "POST") -> int:
        """The status of the answer; 0 for none."""
        try:
            answer = self._pool.urlopen(
                method, path, body=body, headers={"Content-Type": content_type}, timeout=60, retries=False
            )
        except urllib3.exceptions.HTTPError:
            return 0
        return int(answer.status)

    def send(self, raw: bytes) -> None:
        """Send what is no proper request, and hang up."""
        with contextlib.suppress(OSError), socket.create_connection((self.host, _PORT), 5) as connection:
            connection.settimeout(5)
            connection.sendall(raw)
            connection.recv(1024)


def _state(container: Any) -> Mapping[str, Any]:
    container.reload()
    state: Mapping[str, Any] = container.attrs["State"]
    return state


def _failure(paths: Paths) -> str:
    return paths.failure.read_text(encoding="utf-8", errors="replace") if paths.failure.is_file() else ""


def _require(condition: object, otherwise: str) -> None:
    if not condition:
        raise _BrokenError(otherwise)


def _digest(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def _open_to(paths: Paths, user: int) -> None:
    for path in (paths.base, *paths.base.rglob("*")):
        os.chown(path, user, user)


def _entry_point(trial: _Trial) -> str:
    config = trial.engine.images.get(trial.subject.image).attrs["Config"]
    line = [*(config.get("Entrypoint") or []), *(config.get("Cmd") or [])]
    shell = len(line) > 1 and Path(line[0]).name in ("sh", "bash", "dash") and line[1] == "-c"
    _require(not shell, f"the entry point {line} is in shell form: SIGTERM reaches the shell, not the program")
    return " ".join(line) or "none: train and serve are programs on the path"


def _trains(trial: _Trial) -> str:
    paths = trial.base(trial.subject.hyperparameters, trial.subject.channels)
    ended = trial.train(paths)
    _require(ended.code == 0, f"train exited with code {ended.code}{ended.last_line}")
    files = _digest(paths.model)
    _require(files, "training left nothing in /opt/ml/model")
    trial.trained = paths.model
    return f"exit code 0 after {ended.seconds:.1f} s, {len(files)} files in /opt/ml/model"


def _trains_as_stranger(trial: _Trial) -> str:
    if os.geteuid() != 0:
        raise _NotTriedError("only root can give the folder to another user; run this as root.")
    paths = trial.base(trial.subject.hyperparameters, trial.subject.channels)
    _open_to(paths, STRANGER)
    ended = trial.train(paths, user=f"{STRANGER}:{STRANGER}")
    _require(ended.code == 0, f"train as user {STRANGER} exited with code {ended.code}{ended.last_line}")
    return f"train as user {STRANGER} exited with code 0"


def _input_stays(trial: _Trial) -> str:
    paths = trial.base(trial.subject.hyperparameters, trial.subject.channels)
    before = _digest(paths.data)
    ended = trial.train(paths, volumes={str(paths.data): {"bind": "/opt/ml/input/data", "mode": "ro"}})
    _require(ended.code == 0, f"with read-only channels train exited with code {ended.code}{ended.last_line}")
    _require(_digest(paths.data) == before, "training changed its input")
    return "train with read-only channels exited with code 0"


def _refuses(trial: _Trial, hyperparameters: Mapping[str, str], channels: Mapping[str, Path], named: str) -> str:
    """Training that must fail in words: a code that is not 0, and a failure file that names what is wrong."""
    paths = trial.base(hyperparameters, channels)
    ended = trial.train(paths)
    _require(ended.code != 0, "train exited with code 0, as if nothing were wrong")
    said = _failure(paths)
    _require(said.strip(), f"train exited with code {ended.code} and left no /opt/ml/output/failure{ended.last_line}")
    shown = said[:_FAILURE_CHARACTERS]
    _require(named in shown, f"the failure file does not name {named}: {shown[:200]}")
    return shown.strip().splitlines()[0][:200]


def _unknown_hyperparameter(trial: _Trial) -> str:
    return _refuses(trial, {**trial.subject.hyperparameters, _UNKNOWN: "1"}, trial.subject.channels, _UNKNOWN)


def _missing_channel(trial: _Trial) -> str:
    if not trial.subject.channels:
        raise _NotTriedError("no channel was named; name one with --channel.")
    name = next(iter(trial.subject.channels))
    left = {one: path for one, path in trial.subject.channels.items() if one != name}
    return _refuses(trial, trial.subject.hyperparameters, left, name)


def _stops(trial: _Trial) -> str:
    if not trial.subject.long:
        raise _NotTriedError("no hyperparameters were named with which training takes minutes; use --long.")
    paths = trial.base({**trial.subject.hyperparameters, **trial.subject.long}, trial.subject.channels)
    with trial.running(paths, "train") as container:
        began = time.monotonic()
        while not container.logs() and time.monotonic() - began < 10 and _state(container)["Running"]:
            time.sleep(0.1)
        time.sleep(1)  # it is at work
        if not _state(container)["Running"]:
            ended = trial.end_of(container, 1)
            raise _NotTriedError(f"training was over (code {ended.code}) before it could be stopped{ended.last_line}")
        container.kill("SIGTERM")
        try:
            ended = trial.end_of(container, _STOP_S)
        except _BrokenError:
            raise _BrokenError(f"train still ran {_STOP_S:.0f} s after SIGTERM, when SIGKILL follows") from None
    return f"train ended {ended.seconds:.1f} s after SIGTERM, with code {ended.code}"


def _serves(trial: _Trial) -> str:
    began = time.monotonic()
    with trial.serving(trial.model_base()) as (_, server):
        seconds = time.monotonic() - began
        slowest = 0.0
        for _ in range(5):
            asked = time.monotonic()
            _require(server.healthy(), f"/ping did not answer 200 within {_PING_ANSWER_S:g} s once it had")
            slowest = max(slowest, time.monotonic() - asked)
        if trial.subject.body:
            status = server.ask(trial.subject.body, trial.subject.content_type)
            _require(status == 200, f"the example request was answered with {status or 'nothing'}")
    return f"/ping answered 200 after {seconds:.1f} s, then within {1000 * slowest:.0f} ms"


def _serves_as_stranger(trial: _Trial) -> str:
    if os.geteuid() != 0:
        raise _NotTriedError("only root can give the folder to another user; run this as root.")
    paths = trial.model_base()
    _open_to(paths, STRANGER)
    with trial.serving(paths, user=f"{STRANGER}:{STRANGER}"):
        return f"serve as user {STRANGER} answered /ping"


def _serves_read_only(trial: _Trial) -> str:
    paths = trial.model_base()
    with trial.serving(paths, volumes={str(paths.model): {"bind": "/opt/ml/model", "mode": "ro"}}):
        return "with a read-only /opt/ml/model /ping answered 200"


def _serving_stops(trial: _Trial) -> str:
    with trial.serving(trial.model_base()) as (container, _):
        container.kill("SIGTERM")
        try:
            ended = trial.end_of(container, _SERVING_STOP_S)
        except _BrokenError:
            message = f"serve still ran {_SERVING_STOP_S:.0f} s after SIGTERM, when SIGKILL follows"
            raise _BrokenError(message) from None
    return f"serve ended {ended.seconds:.1f} s after SIGTERM, with code {ended.code}"


_HOSTILE_BODIES: Mapping[str, tuple[bytes, str]] = {
    "an empty body": (b"", "application/json"),
    "bytes that are no text": (bytes(range(256)), "application/json"),
    "JSON cut off": (b'{"instances": [', "application/json"),
    "JSON nested 100,000 deep": (b"[" * 100_000 + b"]" * 100_000, "application/json"),
    "JSON of another shape": (b'{"no": {"such": ["shape"]}}', "application/json"),
    "an unknown content type": (b"x", "application/x-no-such-type"),
}
_HOSTILE_BYTES: Mapping[str, bytes] = {
    "a body shorter than its length": b"POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n{",
    "a negative length": b"POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
    "no HTTP at all": b"\x16\x03\x01\x02\x00\x01\x00\x01" * 100 + b"\r\n\r\n",
    "a header of 1 MB": b"GET /ping HTTP/1.1\r\nX: " + b"x" * 1_000_000 + b"\r\n\r\n",
}


def _hostile_requests(trial: _Trial) -> str:
    with trial.serving(trial.model_base()) as (container, server):

        def still_healthy(after: str) -> None:
            state = _state(container)
            _require(state["Running"], f"the server exited with code {state['ExitCode']} after {after}")
            _require(server.healthy(), f"/ping no longer answered 200 after {after}")

        for what, (body, content_type) in _HOSTILE_BODIES.items():
            status = server.ask(body, content_type)
            still_healthy(what)
            _require(400 <= status < 500, f"{what} was answered with {status or 'nothing'}, and not with a 4xx")
        status = server.ask(b"", "text/plain", "/../../etc/passwd", "GET")
        _require(400 <= status < 500, f"GET /../../etc/passwd was answered with {status or 'nothing'}")
        for what, raw in _HOSTILE_BYTES.items():
            server.send(raw)
            still_healthy(what)
    return f"{len(_HOSTILE_BODIES) + 1} answered with a 4xx, {len(_HOSTILE_BYTES)} survived"


_CHECKS: Mapping[str, Callable[[_Trial], str]] = {
    "entry point": _entry_point,
    "train": _trains,
    "train as any user": _trains_as_stranger,
    "read-only input": _input_stays,
    "unknown hyperparameter": _unknown_hyperparameter,
    "missing channel": _missing_channel,
    "SIGTERM while it trains": _stops,
    "serve": _serves,
    "serve as any user": _serves_as_stranger,
    "read-only model": _serves_read_only,
    "SIGTERM while it serves": _serving_stops,
    "hostile requests": _hostile_requests,
}
