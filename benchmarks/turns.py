"""Trains with one thread, with two, and two trainings side by side, in turns of half a second, and says how fast.

`python -m benchmarks.turns CORPUS SECONDS` runs in BlazingText's environment; a line of JSON for each round of turns,
in words a second. Turns that follow each other meet the same machine, which runs of half a minute do not where its host
is shared.
"""

from __future__ import annotations

import json
import sys
import time
from concurrent.futures import ThreadPoolExecutor

from benchmarks.programs import Settings
from blazingtext._engine import Corpus, Trainer

_WORDS = 1_500_000  # of a turn and thread, about half a second
_WORDS_BEFORE = 200_000  # that are not timed: caches hold what the turn before left there
_EPOCHS = 1000  # more than will be trained


def make_trainer(corpus: Corpus, settings: Settings, threads: int) -> Trainer:
    """batch_skipgram with the settings of all programs, which a job would begin so."""
    return Trainer(
        corpus,
        mode="batch_skipgram",
        dim=settings.vector_dim,
        window_size=settings.window_size,
        negative_samples=settings.negative_samples,
        batch_size=2 * settings.window_size + 1,
        epochs=_EPOCHS,
        learning_rate=settings.learning_rate,
        sampling_threshold=settings.sampling_threshold,
        subwords=False,
        min_char=settings.min_char,
        max_char=settings.max_char,
        buckets=settings.buckets,
        seed=settings.seed,
        threads=threads,
        rank=0,
    )


def main() -> int:
    if len(sys.argv) != 3:
        print("usage: python -m benchmarks.turns CORPUS SECONDS", file=sys.stderr)
        return 2
    settings = Settings()
    corpus = Corpus([sys.argv[1]], settings.min_count, settings.threads)
    kinds = {
        "one": [make_trainer(corpus, settings, 1)],
        "two": [make_trainer(corpus, settings, 2)],
        "separate": [make_trainer(corpus, settings, 1), make_trainer(corpus, settings, 1)],
    }
    end = time.time() + float(sys.argv[2])
    with ThreadPoolExecutor(2) as executor:
        while time.time() < end:
            began = time.time()
            speeds = {kind: turn(trainers, executor) for kind, trainers in kinds.items()}
            print(json.dumps({"began": began, "ended": time.time(), **speeds}), flush=True)
    return 0


def turn(trainers: list[Trainer], executor: ThreadPoolExecutor) -> float:
    """Words a second of trainers that run side by side."""

    def train(words: int) -> int:
        return sum(executor.map(lambda trainer: trainer.train(words * trainer.threads), trainers))

    train(_WORDS_BEFORE)
    began = time.perf_counter()
    trained = train(_WORDS)
    return trained / (time.perf_counter() - began)


if __name__ == "__main__":
    sys.exit(main())
