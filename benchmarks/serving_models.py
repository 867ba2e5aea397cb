"""Makes the models that the serving benchmark serves, and the requests that it sends.

`python -m benchmarks.serving_models CORPUS FOLDER` runs in BlazingText's environment. Speed depends on the size of a
model and on how often words are asked for, not on what was learnt, so the vectors are random numbers for the corpus's
vocabulary and the labels of the classifier's texts are drawn by lot. Words are asked for as often as the corpus has
them.
"""

from __future__ import annotations

import json
import random
import sys
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import fasttext
import numpy as np

from contract import fasttext_format

DIM, MIN_COUNT, LABELS = 100, 5, 14
REQUESTS = 2000
_TEXTS, _TEXT_WORDS = 5000, 100


def make_vectors(path: Path, words: list[str]) -> None:
    """A vectors.bin of all words that occur often enough, without subwords."""
    counts = [(word, count) for word, count in Counter(words).most_common() if count >= MIN_COUNT]
    rows = np.random.default_rng(1).normal(0, 0.3, (len(counts), DIM)).astype(np.float32)
    settings = fasttext_format.Settings(
        architecture="skipgram",
        dim=DIM,
        window_size=5,
        epochs=1,
        min_count=MIN_COUNT,
        negative_samples=5,
        buckets=0,
        min_char=0,
        max_char=0,
        sampling_threshold=1e-4,
    )
    fasttext_format.write(
        path,
        settings,
        words=[word for word, _ in counts],
        counts=np.array([count for _, count in counts], dtype=np.int64),
        tokens=len(words),
        input=rows,
        bucket_ids=np.empty(0, dtype=np.uint32),
        output=rows,
    )


def make_classifier(path: Path, words: list[str]) -> None:
    """A model.bin of fastText's, with word bigrams and ten dimensions."""
    draw = random.Random(2)
    texts = path.with_name("texts.txt")
    with texts.open("w", encoding="utf-8") as file:
        for text in islice(_stretches(words, _TEXT_WORDS, draw), _TEXTS):
            file.write(f"__label__{draw.randrange(LABELS)} {' '.join(text)}\n")
    model = fasttext.train_supervised(str(texts), dim=10, wordNgrams=2, bucket=2_000_000, epoch=1, thread=1, verbose=0)
    model.save_model(str(path))


def write_requests(folder: Path, words: list[str]) -> None:
    """The bodies of each kind of request, one a line."""
    draw = random.Random(3)
    kinds = {
        "five-words": ([draw.choices(words, k=5)] for _ in range(REQUESTS)),
        "one-text": ([[" ".join(text)]] for text in islice(_stretches(words, _TEXT_WORDS, draw), REQUESTS)),
        "hundred-texts": (
            [[" ".join(text) for text in islice(_stretches(words, _TEXT_WORDS, draw), 100)]] for _ in range(100)
        ),
    }
    for kind, bodies in kinds.items():
        lines = (json.dumps({"instances": instances}) for (instances,) in bodies)
        (folder / f"{kind}.jsonl").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def _stretches(words: list[str], length: int, draw: random.Random) -> Iterator[list[str]]:
    """Stretches of running text."""
    while True:
        start = draw.randrange(len(words) - length)
        yield words[start : start + length]


def main() -> None:
    corpus, folder = Path(sys.argv[1]), Path(sys.argv[2])
    words = corpus.read_text(encoding="utf-8").split()
    for name, make in (("vectors.bin", make_vectors), ("model.bin", make_classifier)):
        path = folder / name.partition(".")[0] / "model" / name
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            make(path, words)
    write_requests(folder, words)


if __name__ == "__main__":
    main()
