"""How much faster batch_skipgram trains with two threads than with one, beside two processes that share nothing.

`.venvs/blazingtext/bin/python -m benchmarks.scaling CORPUS [ROUNDS]`. Where other machines share the processor, runs of
half a minute say more of those than of ours: here each takes turns of a quarter of a second, and the fastest turn of
twenty counts. It is what the engine can do at best, not what a whole job gets. Two processes that share nothing show
what the machine has to give.
"""

from __future__ import annotations

import subprocess
import sys
import time

from benchmarks.programs import Settings
from blazingtext._engine import Corpus, Trainer

_TURNS = 20
_TOKENS = 1_000_000  # of a turn and thread


def fastest_turn(corpus: str, threads: int) -> float:
    """Million words a second of the fastest turn."""
    settings = Settings(threads=threads)
    trainer = Trainer(
        Corpus([corpus], settings.min_count, threads),
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
    best = 0.0
    for _ in range(_TURNS):
        began = time.perf_counter()
        trained = trainer.train(_TOKENS * threads)
        best = max(best, trained / (time.perf_counter() - began) / 1e6)
    return best


def processes(corpus: str, count: int) -> float:
    """The same, of so many processes side by side, one thread each, added up."""
    command = [sys.executable, "-m", "benchmarks.scaling", "--one", corpus]
    started = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(count)]
    return sum(float(process.communicate()[0]) for process in started)


def main() -> int:
    match sys.argv[1:]:
        case ["--one", corpus]:
            print(fastest_turn(corpus, 1))
        case [corpus, *rounds]:
            for _ in range(int(rounds[0]) if rounds else 3):
                one, two, apart = fastest_turn(corpus, 1), fastest_turn(corpus, 2), processes(corpus, 2)
                print(
                    f"1 thread {one:.2f}, 2 threads {two:.2f}, 2 processes {apart:.2f} M words/s:"
                    f" {two / one:.2f} x and {apart / one:.2f} x"
                )
        case _:
            print("usage: python -m benchmarks.scaling CORPUS [ROUNDS]", file=sys.stderr)
            return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
