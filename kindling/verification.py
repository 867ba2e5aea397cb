"""Holds any image against SageMaker's container contract: what training and hosting ask of it, and what they tell it.

Each check runs the image as the service does, `docker run IMAGE train` or `serve` on an /opt/ml of its own, and looks
at what it does. The contract: docs.aws.amazon.com, "Use Your Own Training Algorithms", "Use Your Own Inference Code".
"""

from __future__ import annotations

import hashlib
import os
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from docker.errors import APIError

from contract.paths import Paths
from kindling.image_trial import PING_ANSWER_S, BrokenError, NotTriedError, Subject, Trial, state_of

STRANGER = 12345  # a user and a group that no image knows
_FAILURE_CHARACTERS = 1024  # of the failure file become the job's FailureReason
_STOP_S, _SERVING_STOP_S = 120.0, 30.0  # from SIGTERM to SIGKILL
_KILLED = 137
_UNKNOWN = "no_such_hyperparameter"

Outcome = Literal["pass", "fail", "skip"]
Report = Callable[[str], None]


@dataclass(frozen=True)
class Finding:
    """What a check found."""

    check: str
    outcome: Outcome
    words: str


def verify(engine: Any, subject: Subject, report: Report = lambda _line: None) -> list[Finding]:
    """Every check's finding, in order.

    Args:
        engine: the Docker engine's client.
        report: is told each check before it begins.
    """
    findings = []
    with tempfile.TemporaryDirectory(prefix="kindling-verify-") as folder:
        trial = Trial(engine, subject, Path(folder))
        for name, check in _CHECKS.items():
            report(name)
            try:
                words, outcome = check(trial), "pass"
            except BrokenError as error:
                words, outcome = str(error), "fail"
            except NotTriedError as error:
                words, outcome = str(error), "skip"
            except APIError as error:
                words, outcome = f"the engine cannot run it: {error.explanation}", "fail"
            findings.append(Finding(name, outcome, words))  # type: ignore[arg-type]
    return findings


def _failure(paths: Paths) -> str:
    return paths.failure.read_text(encoding="utf-8", errors="replace") if paths.failure.is_file() else ""


def _require(condition: object, otherwise: str) -> None:
    if not condition:
        raise BrokenError(otherwise)


def _digest(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def _open_to(paths: Paths, user: int) -> None:
    for path in (paths.base, *paths.base.rglob("*")):
        os.chown(path, user, user)


def _entry_point(trial: Trial) -> str:
    config = trial.engine.images.get(trial.subject.image).attrs["Config"]
    line = [*(config.get("Entrypoint") or []), *(config.get("Cmd") or [])]
    shell = len(line) > 1 and Path(line[0]).name in ("sh", "bash", "dash") and line[1] == "-c"
    _require(not shell, f"the entry point {line} is in shell form: SIGTERM reaches the shell, not the program")
    return " ".join(line) or "none: train and serve are programs on the path"


def _trains(trial: Trial) -> str:
    paths = trial.base(trial.subject.hyperparameters, trial.subject.channels)
    ended = trial.train(paths)
    _require(ended.code == 0, f"train exited with code {ended.code}{ended.last_line}")
    files = _digest(paths.model)
    _require(files, "training left nothing in /opt/ml/model")
    trial.trained = paths.model
    return f"exit code 0 after {ended.seconds:.1f} s, {len(files)} files in /opt/ml/model"


def _trains_as_stranger(trial: Trial) -> str:
    if os.geteuid() != 0:
        raise NotTriedError("only root can give the folder to another user; run this as root.")
    paths = trial.base(trial.subject.hyperparameters, trial.subject.channels)
    _open_to(paths, STRANGER)
    ended = trial.train(paths, user=f"{STRANGER}:{STRANGER}")
    _require(ended.code == 0, f"train as user {STRANGER} exited with code {ended.code}{ended.last_line}")
    return f"train as user {STRANGER} exited with code 0"


def _input_stays(trial: Trial) -> str:
    paths = trial.base(trial.subject.hyperparameters, trial.subject.channels)
    before = _digest(paths.data)
    ended = trial.train(paths, volumes={str(paths.data): {"bind": "/opt/ml/input/data", "mode": "ro"}})
    _require(ended.code == 0, f"with read-only channels train exited with code {ended.code}{ended.last_line}")
    _require(_digest(paths.data) == before, "training changed its input")
    return "train with read-only channels exited with code 0"


def _refuses(trial: Trial, hyperparameters: Mapping[str, str], channels: Mapping[str, Path], named: str) -> str:
    """Training that must fail in words: a code that is not 0, and a failure file that names what is wrong."""
    paths = trial.base(hyperparameters, channels)
    ended = trial.train(paths)
    _require(ended.code != 0, "train exited with code 0, as if nothing were wrong")
    said = _failure(paths)
    _require(said.strip(), f"train exited with code {ended.code} and left no /opt/ml/output/failure{ended.last_line}")
    shown = said[:_FAILURE_CHARACTERS]
    _require(named in shown, f"the failure file does not name {named}: {shown[:200]}")
    return shown.strip().splitlines()[0][:200]


def _unknown_hyperparameter(trial: Trial) -> str:
    return _refuses(trial, {**trial.subject.hyperparameters, _UNKNOWN: "1"}, trial.subject.channels, _UNKNOWN)


def _missing_channel(trial: Trial) -> str:
    if not trial.subject.channels:
        raise NotTriedError("no channel was named; name one with --channel.")
    name = next(iter(trial.subject.channels))
    left = {one: path for one, path in trial.subject.channels.items() if one != name}
    return _refuses(trial, trial.subject.hyperparameters, left, name)


def _stops(trial: Trial) -> str:
    if not trial.subject.long:
        raise NotTriedError("no hyperparameters were named with which training takes minutes; use --long.")
    paths = trial.base({**trial.subject.hyperparameters, **trial.subject.long}, trial.subject.channels)
    with trial.running(paths, "train") as container:
        began = time.monotonic()
        while not container.logs() and time.monotonic() - began < 10 and state_of(container)["Running"]:
            time.sleep(0.1)
        time.sleep(1)  # it is at work
        if not state_of(container)["Running"]:
            ended = trial.end_of(container, 1)
            raise NotTriedError(f"training was over (code {ended.code}) before it could be stopped{ended.last_line}")
        container.kill("SIGTERM")
        try:
            ended = trial.end_of(container, _STOP_S)
        except BrokenError:
            raise BrokenError(f"train still ran {_STOP_S:.0f} s after SIGTERM, when SIGKILL follows") from None
    return f"train ended {ended.seconds:.1f} s after SIGTERM, with code {ended.code}"


def _serves(trial: Trial) -> str:
    began = time.monotonic()
    with trial.serving(trial.model_base()) as (_, server):
        seconds = time.monotonic() - began
        slowest = 0.0
        for _ in range(5):
            asked = time.monotonic()
            _require(server.healthy(), f"/ping did not answer 200 within {PING_ANSWER_S:g} s once it had")
            slowest = max(slowest, time.monotonic() - asked)
        if trial.subject.body:
            status = server.ask(trial.subject.body, trial.subject.content_type)
            _require(status == 200, f"the example request was answered with {status or 'nothing'}")
    return f"/ping answered 200 after {seconds:.1f} s, then within {1000 * slowest:.0f} ms"


def _serves_as_stranger(trial: Trial) -> str:
    if os.geteuid() != 0:
        raise NotTriedError("only root can give the folder to another user; run this as root.")
    paths = trial.model_base()
    _open_to(paths, STRANGER)
    with trial.serving(paths, user=f"{STRANGER}:{STRANGER}"):
        return f"serve as user {STRANGER} answered /ping"


def _serves_read_only(trial: Trial) -> str:
    paths = trial.model_base()
    with trial.serving(paths, volumes={str(paths.model): {"bind": "/opt/ml/model", "mode": "ro"}}):
        return "with a read-only /opt/ml/model /ping answered 200"


def _serving_stops(trial: Trial) -> str:
    with trial.serving(trial.model_base()) as (container, _):
        container.kill("SIGTERM")
        try:
            ended = trial.end_of(container, _SERVING_STOP_S)
        except BrokenError:
            message = f"serve still ran {_SERVING_STOP_S:.0f} s after SIGTERM, when SIGKILL follows"
            raise BrokenError(message) from None
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


def _hostile_requests(trial: Trial) -> str:
    with trial.serving(trial.model_base()) as (container, server):

        def still_healthy(after: str) -> None:
            state = state_of(container)
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


_CHECKS: Mapping[str, Callable[[Trial], str]] = {
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
