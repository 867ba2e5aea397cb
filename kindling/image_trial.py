"""An image tried out as SageMaker runs it: `docker run IMAGE train` or `serve`, on an /opt/ml of its own each time."""

from __future__ import annotations

import contextlib
import shutil
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import urllib3
from docker.errors import APIError

from contract.paths import Paths
from kindling.local_algorithm import write_configuration

_PORT = 8080
_PING_S = 240.0  # within which /ping answers 200 first
PING_ANSWER_S = 2.0  # and each time


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


class BrokenError(Exception):
    """The image breaks the contract; the message says how."""


class NotTriedError(Exception):
    """A check has nothing to go on; the message says what it needs."""


@dataclass
class Ended:
    """A container that has ended."""

    code: int
    log: str
    seconds: float

    @property
    def last_line(self) -> str:
        lines = self.log.strip().splitlines()
        return f"; its last line: {lines[-1][:200]}" if lines else "; it printed nothing"


class Trial:
    """Runs the image, in a new folder for each container."""

    def __init__(self, engine: Any, subject: Subject, folder: Path) -> None:
        self.engine, self.subject, self._folder = engine, subject, folder
        self._number = 0
        self.trained: Path | None = None  # the model of the first training

    def base(self, hyperparameters: Mapping[str, str], channels: Mapping[str, Path]) -> Paths:
        """A new /opt/ml, laid out for a training job of one host."""
        self._number += 1
        paths = Paths(self._folder / str(self._number))
        write_configuration(paths, hyperparameters, channels, ["algo-1"], "algo-1", "eth0")
        paths.model.mkdir()
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
            raise NotTriedError("there is no model to serve: training made none; name one with --model.")
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

    def train(self, paths: Paths, **options: Any) -> Ended:
        """Training from its start to its end."""
        with self.running(paths, "train", **options) as container:
            return self.end_of(container, self.subject.patience_s)

    def end_of(self, container: Any, within_s: float) -> Ended:
        """The end of a container.

        Raises:
            BrokenError: it does not end in time.
        """
        began = time.monotonic()
        while (status := state_of(container))["Running"]:
            if time.monotonic() - began > within_s:
                raise BrokenError(f"it had not ended after {within_s:.0f} s")
            time.sleep(0.1)
        log = container.logs().decode(errors="replace")
        return Ended(int(status["ExitCode"]), log, time.monotonic() - began)

    @contextmanager
    def serving(self, paths: Paths, **options: Any) -> Iterator[tuple[Any, Server]]:
        """A container that serves, once /ping has answered 200.

        Raises:
            BrokenError: it never does.
        """
        with self.running(paths, "serve", **options) as container:
            server = Server(container)
            deadline = time.monotonic() + min(_PING_S, self.subject.patience_s)
            while not server.healthy():
                state = state_of(container)
                if not state["Running"]:
                    ended = Ended(int(state["ExitCode"]), container.logs().decode(errors="replace"), 0)
                    raise BrokenError(f"serve exited with code {ended.code}{ended.last_line}")
                if time.monotonic() > deadline:
                    raise BrokenError(f"GET /ping on port {_PORT} did not answer 200 within {_PING_S:.0f} s")
                time.sleep(0.1)
            yield container, server


class Server:
    """Requests to a container that serves."""

    def __init__(self, container: Any) -> None:
        container.reload()
        self.host = next(iter(container.attrs["NetworkSettings"]["Networks"].values()))["IPAddress"]
        self._pool = urllib3.HTTPConnectionPool(self.host or "127.0.0.1", _PORT)

    def healthy(self) -> bool:
        """Whether /ping answers 200 in the time that it may take."""
        try:
            answer = self._pool.urlopen("GET", "/ping", timeout=PING_ANSWER_S, retries=False)
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


def state_of(container: Any) -> Mapping[str, Any]:
    container.reload()
    state: Mapping[str, Any] = container.attrs["State"]
    return state
