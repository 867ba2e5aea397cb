"""Jobs of one thread, of two, and two jobs side by side, trained whole in turns of half a second, and their speeds.

`python -m benchmarks.turns CORPUS TRAININGS` runs in BlazingText's environment. It prints a line of JSON for each round
of turns, in words a second, and one with the scores at the end of each training. Turns that follow each other meet the
same machine, which runs of half a minute do not where its host is shared.
"""

from __future__ import annotations

import json
import sys
import time
from concurrent.futures import ThreadPoolExecutor

from benchmarks.programs import Settings
from blazingtext import evaluation
from blazingtext._engine import Corpus, Trainer

_TURNS = 40  # of a training: two million words each
_WORDS_BEFORE = 200_000  # of a turn and thread that are not timed: caches hold what the turn before left there


def make_trainer(corpus: Corpus, settings: Settings, threads: int) -> Trainer:
    """batch_skipgram with the settings of all programs, which a job would begin so."""
    return Trainer(
        corpus,
        mode="batch_skipgram",
        dim=settings.vector_dim,
        window_size=settings.window_size,
        negative_samples=settings.negative_samples,
        batch_size=2 * settings.window_size + 1,
        epochs=settings.epochs,
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
        print("usage: python -m benchmarks.turns CORPUS TRAININGS", file=sys.stderr)
        return 2
    settings = Settings()
    corpus = Corpus([sys.argv[1]], settings.min_count, settings.threads)
    for seed in range(1, 1 + int(sys.argv[2])):
        train_in_turns(corpus, Settings(seed=seed))
    return 0


def train_in_turns(corpus: Corpus, settings: Settings) -> None:
    """Print the rounds of one training of each kind, and their scores; `separate` has another seed, too."""
    kinds = {
        "one": [make_trainer(corpus, settings, 1)],
        "two": [make_trainer(corpus, settings, 2)],
        "separate": [make_trainer(corpus, Settings(seed=settings.seed + more), 1) for more in (0, 1)],
    }
    total = kinds["one"][0].total_words
    with ThreadPoolExecutor(2) as executor:
        for number in range(_TURNS):
            words = total * (number + 1) // _TURNS - total * number // _TURNS
            # Forth and back, so that none always follows the same one.
            order = list(kinds) if number % 2 == 0 else list(reversed(kinds))
            began = time.time()
            speeds = {kind: turn(kinds[kind], words, executor) for kind in order}
            print(json.dumps({"seed": settings.seed, "began": began, "ended": time.time(), **speeds}), flush=True)
    scores = {
        kind: evaluation.evaluate(corpus.words, kinds[kind][0].word_vectors()).mean_rho for kind in ("one", "two")
    }
    print(json.dumps({"seed": settings.seed, "mean_rho": scores}), flush=True)


def turn(trainers: list[Trainer], words: int, executor: ThreadPoolExecutor) -> float:
    """Words a second of trainers that run side by side and train so many words each."""

    def train(words: int) -> int:
        return sum(executor.map(lambda trainer: trainer.train(words), trainers))

    before = min(_WORDS_BEFORE * trainers[0].threads, words // 4)
    train(before)
    began = time.perf_counter()
    trained = train(words - before)
    return trained / (time.perf_counter() - began)


if __name__ == "__main__":
    sys.exit(main())
