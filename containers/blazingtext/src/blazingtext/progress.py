"""BlazingText's progress lines, and the throughput that the `train:throughput` metric reads."""

from __future__ import annotations

import time


class Progress:
    """Prints a line about every 5 %, and the summary.

    Words per second are raw tokens of the corpus x epochs over training seconds of the wall clock, all hosts together.

    Args:
        total_words: raw tokens of the corpus x epochs.
        fenced: whether lines stand between #####, as they do on one host.
    """

    STEP = 0.05

    def __init__(self, *, total_words: int, fenced: bool) -> None:
        self._total_words, self._fenced = total_words, fenced
        self._started = time.perf_counter()
        self._seconds = 0.0
        self._words = 0
        self._next = self.STEP

    def tell(self, words: int, alpha: float, *, finished: bool) -> None:
        """Note that `words` are done on all hosts, and print a line when it is time for one."""
        self._words, self._seconds = words, time.perf_counter() - self._started
        done = 1.0 if finished else min(1.0, words / max(1, self._total_words))
        if done < self._next and not finished:
            return
        self._next = (done // self.STEP + 1) * self.STEP
        line = f"Alpha: {alpha:.4f}  Progress: {done:.2%}  Million Words/sec: {self.million_words_per_second:.2f}"
        print(f"##### {line} #####" if self._fenced else line)

    @property
    def million_words_per_second(self) -> float:
        """Throughput since the start, all hosts together."""
        return self._words / 1e6 / self._seconds if self._seconds else 0.0

    def summarise(self) -> None:
        """Print what the whole training took."""
        print("\nTraining finished!")
        print(f"Average throughput in Million words/sec: {self.million_words_per_second:.2f}")
        print(f"Total training time in seconds: {self._seconds:.2f}")
