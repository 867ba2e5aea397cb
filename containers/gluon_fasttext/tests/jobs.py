"""Jobs of a small task, each host a process with a base directory of its own."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path

from contract.testing import Channels, Jobs

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


def jobs_below(folder: Path) -> Jobs:
    """Jobs of SMALL on TOPICS, where they do not say otherwise."""
    return Jobs("gluon_fasttext", folder, SMALL, TOPICS)
