"""Jobs of a small language, each host a process with a base directory of its own."""

from __future__ import annotations

import json
import os
import random
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

_SUBJECTS = {"der Hund": "the dog", "die Katze": "the cat", "ein Mann": "a man", "die Frau": "the woman", "er": "he"}
_VERBS = {"sieht": "sees", "kauft": "buys", "sucht": "seeks", "mag": "likes", "hat": "has"}
_OBJECTS = {
    "das Haus": "the house",
    "ein Buch": "a book",
    "den Apfel": "the apple",
    "Brot": "bread",
    "nichts": "nothing",
}
_WHEN = {"heute": "today", "immer": "always", "oft": "often", "am Montag": "on Monday"}

SMALL = {
    "arch": "fconv",
    "encoder-embed-dim": "48",
    "decoder-embed-dim": "48",
    "decoder-out-embed-dim": "48",
    "encoder-layers": "[(48, 3)] * 2",
    "decoder-layers": "[(48, 3)] * 2",
    "dropout": "0.0",
    "lr": "0.5",
    "max-tokens": "800",
    "max-epoch": "12",
    "bpe-symbols": "120",
    "beam": "3",
    "source-lang": "de",
    "target-lang": "en",
}


def sentences(count: int, seed: int) -> list[tuple[str, str]]:
    """Sentences of a language of five hundred, with their translations: the adverb moves, the words are one to one."""
    choice = random.Random(seed).choice
    made = []
    for _ in range(count):
        subject, verb, thing, when = (choice(list(words)) for words in (_SUBJECTS, _VERBS, _OBJECTS, _WHEN))
        german = f"{when} {verb} {subject} {thing}."
        english = f"{_SUBJECTS[subject]} {_VERBS[verb]} {_OBJECTS[thing]} {_WHEN[when]}."
        made.append((german[0].upper() + german[1:], english[0].upper() + english[1:]))
    return made


def parallel(pairs: Sequence[tuple[str, str]], stem: str = "part") -> dict[str, bytes]:
    """The two files of sentence pairs."""
    return {
        f"{stem}.{language}": "".join(f"{pair[side]}\n" for pair in pairs).encode()
        for side, language in enumerate(("de", "en"))
    }


RAW = {"train": parallel(sentences(1200, 1)), "validation": parallel(sentences(60, 2))}


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

    def finish(self, timeout: float = 240) -> int:
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
        hyperparameters: Mapping[str, str | None] | None = None,
        channels: Mapping[str, Mapping[str, bytes]] = RAW,
        *,
        hosts: int = 1,
        checkpoints: Path | None = None,
        environ: Mapping[str, str] | None = None,
    ) -> list[Host]:
        """Start a job of SMALL with the given hyperparameters; None takes one out."""
        names = [f"algo-{number + 1}" for number in range(hosts)]
        meeting = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port())} if hosts > 1 else {}
        given = {name: text for name, text in {**SMALL, **(hyperparameters or {})}.items() if text is not None}
        job = []
        for name in names:
            base = self.folder / f"job-{len(self.started)}" / name
            write_input(base, channels, given, names, name)
            if checkpoints:
                (checkpoints / name).mkdir(parents=True, exist_ok=True)
                (base / "checkpoints").symlink_to(checkpoints / name, target_is_directory=True)
            variables = {"SAGEMAKER_BASE_DIR": str(base), "KINDLING_CPUS_PER_HOST": "1", **meeting, **(environ or {})}
            host = Host(name, base, run(["train"], variables))
            job.append(host)
            self.started.append(host)
        return job

    def train(
        self,
        hyperparameters: Mapping[str, str | None] | None = None,
        channels: Mapping[str, Mapping[str, bytes]] = RAW,
    ) -> Host:
        """Train on one host to the end."""
        (host,) = self.start(hyperparameters, channels)
        host.finish()
        return host

    def kill(self) -> None:
        """End what is still running."""
        for host in self.started:
            host.process.kill()
            host.process.communicate()


def write_input(
    base: Path,
    channels: Mapping[str, Mapping[str, bytes]],
    hyperparameters: Mapping[str, str],
    hosts: list[str],
    host: str,
) -> None:
    config = base / "input" / "config"
    config.mkdir(parents=True)
    for channel, contents in channels.items():
        folder = base / "input" / "data" / channel
        folder.mkdir(parents=True)
        for name, content in contents.items():
            (folder / name).write_bytes(content)
    resources = {"current_host": host, "hosts": hosts, "network_interface_name": "lo"}
    inputs: dict[str, object] = {name: {} for name in channels}
    files = {"hyperparameters": hyperparameters, "inputdataconfig": inputs, "resourceconfig": resources}
    for name, configuration in files.items():
        (config / f"{name}.json").write_text(json.dumps(configuration))


def run(arguments: Sequence[str], environ: Mapping[str, str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "translator", *arguments],
        env={**os.environ, **environ},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
