"""Small real things: a corpus of forty sentences, jobs that run as processes, a served model."""

from __future__ import annotations

import random
import subprocess
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from contract.testing import Host, free_port, run, start_job

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
        of_hosts = []
        for rank in range(hosts):
            content = (corpora or {}).get(rank, corpus)
            given = {"train": content if isinstance(content, dict) else {"corpus.txt": content}, **(channels or {})}
            of_hosts.append(given)
        job = start_job(
            "blazingtext",
            self.folder / f"job-{len(self.started)}",
            {**SMALL, **(hyperparameters or {})},
            of_hosts,
            hosts=hosts,
            checkpoints=checkpoints,
            environ=environ,
        )
        self.started += job
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


def blazingtext(command: str, environ: dict[str, str]) -> subprocess.Popen[str]:
    return run("blazingtext", [command], environ)


@pytest.fixture
def jobs(tmp_path: Path) -> Iterator[Jobs]:
    running = Jobs(tmp_path)
    yield running
    for host in running.started:
        host.kill()


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
    return blazingtext


@pytest.fixture(scope="session")
def find_port() -> Callable[[], int]:
    return free_port
