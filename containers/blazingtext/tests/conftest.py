"""Small real things: a corpus of forty sentences, jobs that run as processes, a served model."""

from __future__ import annotations

import json
import os
import random
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

_SUBJECTS = ["the tiger", "a cat", "my king", "the professor", "a computer", "the doctor", "one car", "the train"]
_VERBS = ["saw", "liked", "bought", "found", "drew"]
_OBJECTS = ["a plane", "the nurse", "some bread", "the internet", "a planet", "the galaxy", "the money", "much cash"]

SMALL = {
    "mode": "batch_skipgram",
    "vector_dim": "12",
    "min_count": "1",
    "epochs": "3",
    "threads": "1",
    "sampling_threshold": "0.1",
}


def forty_sentences() -> list[str]:
    choice = random.Random(40).choice
    return [f"{choice(_SUBJECTS)} {choice(_VERBS)} {choice(_OBJECTS)} and {choice(_SUBJECTS)}" for _ in range(40)]


@dataclass
class Host:
    """One host of a job, as a process."""

    name: str
    base: Path
    process: subprocess.Popen[str]
    output: str = ""

    @property
    def model(self) -> Path:
        return self.base / "model"

    @property
    def failure(self) -> str:
        return (self.base / "output" / "failure").read_text()

    def finish(self, timeout: float = 120) -> int:
        """Wait for the end; the exit code."""
        rest, _ = self.process.communicate(timeout=timeout)
        self.output += rest
        return self.process.returncode

    def read_until(self, text: str) -> None:
        """Read the log up to the line that holds `text`."""
        assert self.process.stdout
        for line in self.process.stdout:
            self.output += line
            if text in line:
                return
        pytest.fail(f"{self.name} ended without {text!r}:\n{self.output}")


@dataclass
class Jobs:
    """Starts training jobs below one folder."""

    folder: Path
    started: list[Host] = field(default_factory=list)

    def start(
        self,
        corpus: bytes | dict[str, bytes],
        hyperparameters: dict[str, str] | None = None,
        *,
        hosts: int = 1,
        corpora: dict[int, bytes] | None = None,
        channels: dict[str, dict[str, bytes]] | None = None,
        checkpoints: Sequence[Path] = (),
        environ: dict[str, str] | None = None,
    ) -> list[Host]:
        """Start a job of SMALL with the given hyperparameters and channels besides `train`.

        `corpora` replaces the corpus of some ranks; `checkpoints` are the ranks' checkpoint folders.
        """
        names = [f"algo-{number + 1}" for number in range(hosts)]
        rendezvous = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port())} if hosts > 1 else {}
        job = []
        for rank, name in enumerate(names):
            base = self.folder / f"job-{len(self.started)}" / name
            content = (corpora or {}).get(rank, corpus)
            given = {"train": content if isinstance(content, dict) else {"corpus.txt": content}, **(channels or {})}
            write_input(base, given, {**SMALL, **(hyperparameters or {})}, names, name)
            if checkpoints:
                checkpoints[rank].mkdir(parents=True, exist_ok=True)
                (base / "checkpoints").symlink_to(checkpoints[rank], target_is_directory=True)
            variables = {"SAGEMAKER_BASE_DIR": str(base), **rendezvous, **(environ or {})}
            host = Host(name, base, run("train", variables))
            job.append(host)
            self.started.append(host)
        return job

    def train(
        self,
        corpus: bytes | dict[str, bytes],
        hyperparameters: dict[str, str] | None = None,
        channels: dict[str, dict[str, bytes]] | None = None,
        **more: str,
    ) -> Host:
        """Train on one host to the end."""
        (host,) = self.start(corpus, hyperparameters, channels=channels, environ=more)
        host.finish()
        return host


def write_input(
    base: Path, channels: dict[str, dict[str, bytes]], hyperparameters: dict[str, str], hosts: list[str], host: str
) -> None:
    config = base / "input" / "config"
    config.mkdir(parents=True)
    for channel, contents in channels.items():
        folder = base / "input" / "data" / channel
        folder.mkdir(parents=True)
        for name, content in contents.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(content)
    resources = {"current_host": host, "hosts": hosts, "network_interface_name": "lo"}
    inputs: dict[str, object] = {name: {} for name in channels}
    files = {"hyperparameters": hyperparameters, "inputdataconfig": inputs, "resourceconfig": resources}
    for name, configuration in files.items():
        (config / f"{name}.json").write_text(json.dumps(configuration))


def run(command: str, environ: dict[str, str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "blazingtext", command],
        env={**os.environ, **environ},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def jobs(tmp_path: Path) -> Iterator[Jobs]:
    running = Jobs(tmp_path)
    yield running
    for host in running.started:
        host.process.kill()
        host.process.communicate()


@pytest.fixture(scope="session")
def corpus() -> bytes:
    return "".join(f"{sentence}\n" for sentence in forty_sentences()).encode()


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory, corpus: bytes) -> Host:
    """A finished job on one host."""
    host = Jobs(tmp_path_factory.mktemp("trained")).train(corpus)
    assert host.process.returncode == 0, host.output
    return host


ReadText = Callable[[Path], dict[str, list[float]]]


def read_text_vectors(path: Path) -> dict[str, list[float]]:
    header, *lines = path.read_text().splitlines()
    rows = {line.split(" ")[0]: [float(number) for number in line.split(" ")[1:] if number] for line in lines}
    count, dim = (int(number) for number in header.split())
    assert len(rows) == count
    assert all(len(row) == dim for row in rows.values())
    return rows


@pytest.fixture(scope="session")
def read_text() -> ReadText:
    return read_text_vectors


@pytest.fixture(scope="session")
def run_command() -> Callable[[str, dict[str, str]], subprocess.Popen[str]]:
    return run


@pytest.fixture(scope="session")
def find_port() -> Callable[[], int]:
    return free_port
