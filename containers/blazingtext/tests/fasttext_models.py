"""Small models that the fastText package trains, and what it makes of texts: what ours is held against."""

from __future__ import annotations

import random
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import fasttext
import numpy as np
from numpy.typing import NDArray

WORDS = [*(f"w{number}" for number in range(50)), "über", "naïve", "世界", "x" * 40, "</s", "-", "label"]


@dataclass(frozen=True)
class Draw:
    """Random corpora and texts; equal seeds give equal ones."""

    seed: int

    def text(self, random: random.Random, most: int = 12) -> str:
        return " ".join(random.choices(WORDS, k=random.randint(1, most)))

    def labelled(self, path: Path, labels: int, lines: int = 300) -> Path:
        """A corpus for a classifier whose later labels are rarer."""
        drawn = random.Random(self.seed)
        with path.open("w") as file:
            for number in range(lines):
                file.write(f"__label__{drawn.randrange(1 + number % labels)} {self.text(drawn)}\n")
        return path

    def plain(self, path: Path) -> Path:
        """A corpus for word vectors."""
        drawn = random.Random(self.seed)
        path.write_text("".join(self.text(drawn) + "\n" for _ in range(300)))
        return path

    def texts(self) -> list[str]:
        """Texts with all that makes a difference: unknown words, labels, ends, separators, nothing at all."""
        drawn = random.Random(self.seed + 1)
        odd = [" unseen", "\t__label__0 ", " __label__none w1", " </s> w2 w3", "\v\fw1\r", "\0w1\0w2", " wörld 世"]
        some = [self.text(drawn) + drawn.choice(["", *odd]) for _ in range(12)]
        return [*some, *odd, "", "   ", "unseen", "__label__0", "</s>", "w1 " * 300]


def trained_by(train: Any, corpus: Path, **options: Any) -> Any:
    """A model of few buckets.

    Each thread of fastText 0.9.3 fills a tenth of the input matrix, rounded down, and what nobody fills is whatever was
    in memory: nineteen threads fill all of it, however small.
    """
    return train(str(corpus), **{"thread": 19, "verbose": 0, "bucket": 400, "minCount": 1, **options})


def save(model: Any, path: Path) -> Any:
    """Write a model and let fastText read it again, which is what ours is held against."""
    model.save_model(str(path))
    return fasttext.load_model(str(path))


def predictions(model: Any, text: str, k: int, threshold: float = 0.0) -> dict[str, list[Any]]:
    """fastText's own answer, without the binding's array that NumPy 2 refuses."""
    found = model.f.predict(text + "\n", k, threshold, "strict")
    return {"label": [label for _, label in found], "prob": [probability for probability, _ in found]}


def assert_alike(
    ours: list[dict[str, list[Any]]], theirs: list[dict[str, list[Any]]], *, sigmoid: bool = False
) -> None:
    """The same labels in the same order, with the same probabilities.

    fastText's sigmoid is a table of steps: where a sum lies on the edge of one, its last bit may decide. So one text
    may be a step off.
    """
    differing = [
        (mine, other)
        for mine, other in zip(ours, theirs, strict=True)
        if mine["label"] != other["label"] or not np.allclose(mine["prob"], other["prob"], rtol=0, atol=2e-6)
    ]
    if sigmoid and len(differing) == 1:
        ((mine, other),) = differing
        np.testing.assert_allclose(mine["prob"], other["prob"], rtol=0, atol=1 / 120)
    else:
        assert not differing


def relative_error(ours: NDArray[np.float32], theirs: NDArray[np.float32]) -> float:
    return float(np.abs(ours - theirs).max() / max(1e-3, np.abs(theirs).max()))
