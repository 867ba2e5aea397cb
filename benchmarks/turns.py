"""Trains with one thread and with two in turns of half a second, in one process, and says how fast each turn was.

`python -m benchmarks.turns CORPUS SECONDS` runs in BlazingText's environment; a line of JSON for each turn. Turns that
follow each other meet the same machine, which runs of half a minute do not where its host is shared.
"""

from __future__ import annotations

import json
import sys
import time

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
    trainers = [make_trainer(corpus, settings, threads) for threads in (1, 2)]
    end = time.time() + float(sys.argv[2])
    while time.time() < end:
        for trainer in trainers:
            trainer.train(_WORDS_BEFORE * trainer.threads)
            began = time.time()
            trained = trainer.train(_WORDS * trainer.threads)
            ended = time.time()
            speed = trained / (ended - began)
            turn = {"threads": trainer.threads, "began": began, "ended": ended, "words_per_second": speed}
            print(json.dumps(turn), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
