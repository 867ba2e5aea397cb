"""Jobs of a small task, each host a process with a base directory of its own."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from contract.testing import Channels, Host, start_job

_FILLERS = [f"word{number}" for number in range(60)]
_TOPICS = {"sport": ["goal", "team", "match"], "trade": ["price", "market", "share"], "art": ["stage", "novel", "song"]}


def topics(count: int, seed: int) -> list[tuple[str, str]]:
    """Labels and texts that one word of the text tells."""
    made, draw = [], random.Random(seed)
    for _ in range(count):
        label = draw.choice(list(_TOPICS))
        words = [*draw.choices(_FILLERS, k=6), draw.choice(_TOPICS[label])]
        draw.shuffle(words)
        made.append((label, " ".join(words)))
    return made


def orders(count: int, seed: int) -> list[tuple[str, str]]:
    """Labels and texts that only the order of two words tells: every word is as frequent with both labels."""
    made, draw = [], random.Random(seed)
    for _ in range(count):
        pair = ["not", "good"]
        label = draw.choice(["__label__no", "__label__yes"])
        words = draw.choices(_FILLERS, k=4)
        place = draw.randrange(5)
        words[place:place] = pair if label.endswith("no") else pair[::-1]
        made.append((label.removeprefix("__label__"), " ".join(words)))
    return made


def as_csv(examples: Sequence[tuple[str, str]]) -> bytes:
    """The script's form."""
    return "".join(f"{label},{text}\n" for label, text in examples).encode()


def as_fasttext(examples: Sequence[tuple[str, str]]) -> bytes:
    """fastText's form."""
    return "".join(f"__label__{label} {text}\n" for label, text in examples).encode()


TOPICS: Channels = {
    "train": {"train.csv": as_csv(topics(1500, 1))},
    "validation": {"validation.csv": as_csv(topics(300, 2))},
    "test": {"test.csv": as_csv(topics(300, 3))},
}
SMALL = {"emsize": "16", "epochs": "4", "batch_size": "64", "buckets": "20000"}


@dataclass
class Jobs:
    """Starts training jobs below one folder."""

    folder: Path
    started: list[Host] = field(default_factory=list)

    def start(
        self,
        hyperparameters: Mapping[str, str] | None = None,
        channels: Channels | Sequence[Channels] = TOPICS,
        *,
        hosts: int = 1,
        sharded: Sequence[str] = (),
        checkpoints: Path | None = None,
        environ: Mapping[str, str] | None = None,
    ) -> list[Host]:
        """Start a job of SMALL with the given hyperparameters."""
        folders = [checkpoints / f"algo-{number + 1}" for number in range(hosts)] if checkpoints else []
        job = start_job(
            "gluon_fasttext",
            self.folder / f"job-{len(self.started)}",
            {**SMALL, **(hyperparameters or {})},
            channels,
            hosts=hosts,
            sharded=sharded,
            checkpoints=folders,
            environ={"KINDLING_CPUS_PER_HOST": "1", **(environ or {})},
        )
        self.started += job
        return job

    def train(self, hyperparameters: Mapping[str, str] | None = None, channels: Channels = TOPICS) -> Host:
        """Train on one host to the end."""
        (host,) = self.start(hyperparameters, channels)
        host.finish()
        return host

    def kill(self) -> None:
        """End what is still running."""
        for host in self.started:
            host.kill()
