"""BlazingText's progress lines, the throughput that the `train:throughput` metric reads, and the steps between them."""

from __future__ import annotations

import time

from blazingtext.gpu import AnyTrainer


class Pace:
    """Trains in steps: short enough that a request to stop is heard in time, and so many that progress can be told.

    Args:
        trainer: of a job of one host; hosts that synchronise stop anyway.
    """

    STEPS = 100
    FIRST_WORDS = 10_000
    LONGEST_S = 2.0

    def __init__(self, trainer: AnyTrainer) -> None:
        self._trainer = trainer
        self._most = max(1, trainer.total_words // self.STEPS)
        self._words = min(self._most, self.FIRST_WORDS)

    def train(self) -> int:
        """One step; how many words it trained, 0 at the end.

        Raises:
            FloatingPointError: as in `Trainer.train`.
        """
        began = time.perf_counter()
        trained = self._trainer.train(self._words)
        seconds = max(time.perf_counter() - began, 1e-6)
        self._words = max(1, min(self._most, int(trained / seconds * self.LONGEST_S)))
        return trained


class Progress:
    """Prints a line about every 5 %, and the summary.

    Words per second are raw tokens of the corpus x epochs over training seconds of the wall clock, all hosts together.

    Args:
        total_words: raw tokens of the corpus x epochs.
        words_before: those of them that were trained before this process went on from a checkpoint.
        fenced: whether lines stand between #####, as they do on one host.
        ending: the mark after "Training finished", which BlazingText's modes differ in.
    """

    STEP = 0.05

    def __init__(self, *, total_words: int, words_before: int = 0, fenced: bool = True, ending: str = "!") -> None:
        self._total_words, self._words_before, self._fenced = total_words, words_before, fenced
        self._ending = ending
        self._started = time.perf_counter()
        self._seconds = 0.0
        self._words = words_before
        self._next = (words_before / max(1, total_words) // self.STEP + 1) * self.STEP

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
        """Throughput since this process began to train, all hosts together."""
        return (self._words - self._words_before) / 1e6 / self._seconds if self._seconds else 0.0

    def summarise(self) -> None:
        """Print what the training took; a job that found nothing left to train has no throughput."""
        print(f"\nTraining finished{self._ending}")
        if self._words == self._words_before:
            return
        print(f"Average throughput in Million words/sec: {self.million_words_per_second:.2f}")
        print(f"Total training time in seconds: {self._seconds:.2f}")
