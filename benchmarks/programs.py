"""The word2vec programs that are compared, and the settings that all of them are given."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What every program is told, in BlazingText's names; `threads` is per host."""

    vector_dim: int = 100
    window_size: int = 5
    negative_samples: int = 5
    sampling_threshold: float = 1e-4
    min_count: int = 5
    learning_rate: float = 0.05
    epochs: int = 5
    min_char: int = 3
    max_char: int = 6
    buckets: int = 2_000_000
    threads: int = 2
    seed: int = 1

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, kw_only=True)
class Program:
    """One line of the comparison.

    Attributes:
        package: ours, or the peer's name in the package index.
        pace: million words a second and thread, roughly: nothing but the announced running time depends on it.
    """

    name: str
    package: Literal["kindling", "gensim", "fasttext"]
    mode: Literal["batch_skipgram", "skipgram", "cbow"]
    subwords: bool = False
    pace: float

    @property
    def is_peer(self) -> bool:
        return self.package != "kindling"


# In the order of a round: each of ours follows the peer that it is compared with.
PROGRAMS = {
    program.name: program
    for program in (
        Program(name="gensim-skipgram", package="gensim", mode="skipgram", pace=0.26),
        Program(name="batch_skipgram", package="kindling", mode="batch_skipgram", pace=2.5),
        Program(name="fasttext-skipgram", package="fasttext", mode="skipgram", pace=0.12),
        Program(name="skipgram", package="kindling", mode="skipgram", pace=0.6),
        Program(name="fasttext-cbow", package="fasttext", mode="cbow", pace=0.6),
        Program(name="cbow", package="kindling", mode="cbow", pace=2.5),
        Program(name="fasttext-skipgram-subwords", package="fasttext", mode="skipgram", subwords=True, pace=0.1),
        Program(name="skipgram-subwords", package="kindling", mode="skipgram", subwords=True, pace=0.5),
        Program(name="cbow-subwords", package="kindling", mode="cbow", subwords=True, pace=1.0),
    )
}
