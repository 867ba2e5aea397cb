"""Small training jobs for the engine's tests."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from blazingtext._engine import Corpus, CorpusPart, Trainer

JOB: dict[str, Any] = {
    "mode": "batch_skipgram",
    "dim": 20,
    "window_size": 5,
    "negative_samples": 5,
    "batch_size": 11,
    "epochs": 1,
    "learning_rate": 0.05,
    "sampling_threshold": 0.5,
    "subwords": False,
    "min_char": 3,
    "max_char": 6,
    "buckets": 1000,
    "seed": 1,
    "threads": 1,
}

WAYS: list[dict[str, Any]] = [
    {"mode": "batch_skipgram"},
    {"mode": "batch_skipgram", "batch_size": 3, "negative_samples": 15},
    {"mode": "skipgram"},
    {"mode": "cbow"},
    {"mode": "skipgram", "subwords": True},
    {"mode": "cbow", "subwords": True},
]

FRUIT = ["apple", "pear", "plum", "cherry", "grape"]
TOOLS = ["hammer", "saw", "chisel", "plane", "drill"]


def corpus_of(path: Path, text: str, *, min_count: int = 1) -> Corpus:
    path.write_text(text)
    return Corpus([str(path)], min_count, 1)


def part_of(paths: list[str], rank: int, ranks: int, *, min_count: int = 1, threads: int = 1) -> Corpus:
    """What one of several ranks makes of the files, all ranks' counts exchanged."""
    parts = [CorpusPart(paths, threads, other, ranks) for other in range(ranks)]
    others = [part.counts for other, part in enumerate(parts) if other != rank]
    return parts[rank].encode(min_count, threads, others)


def two_groups(path: Path, sentences: int = 2000) -> Corpus:
    """Sentences of fruit and sentences of tools: words of one group share their contexts."""
    random = np.random.default_rng(7)
    lines = [" ".join(random.choice(FRUIT if i % 2 else TOOLS, 8)) for i in range(sentences)]
    return corpus_of(path, "\n".join(lines))


def random_words(path: Path, *, words: int, tokens: int, per_line: int = 50) -> Corpus:
    drawn = [f"w{number}" for number in np.random.default_rng(11).zipf(1.2, tokens) % words]
    return corpus_of(path, "\n".join(" ".join(drawn[i : i + per_line]) for i in range(0, tokens, per_line)))


def trained(corpus: Corpus, portion: int = 10**9, **job: Any) -> Trainer:
    trainer = Trainer(corpus, **{**JOB, **job})
    while trainer.train(portion):
        pass
    return trainer


def vectors(corpus: Corpus, **job: Any) -> NDArray[np.float32]:
    return trained(corpus, **job).word_vectors()


def similarities(matrix: NDArray[np.float32]) -> NDArray[np.float32]:
    unit = matrix / np.linalg.norm(matrix, axis=1, keepdims=True)
    product: NDArray[np.float32] = unit @ unit.T
    return product
