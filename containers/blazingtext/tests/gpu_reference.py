"""What word2vec.cu should compute, one centre after the other, with the engine's own step (`update_batch`).

It draws what the kernels draw, written again from the description of SplitMix64 and of Walker's alias method.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from blazingtext._engine import Corpus, Trainer, update_batch

_BITS = 2**64 - 1
_GOLDEN = 0x9E3779B97F4A7C15
_END, _UNKNOWN, _ALWAYS = 0x80000000, 0x7FFFFFFF, 0xFFFFFFFF


def mixed(z: int) -> int:
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & _BITS
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & _BITS
    return z ^ (z >> 31)


@dataclass(frozen=True)
class Draws:
    """The random numbers of one epoch, by place in the corpus and number of the draw."""

    seed: int
    epoch: int

    def bits(self, position: int, number: int) -> int:
        key = mixed((self.seed + _GOLDEN) & _BITS) ^ mixed((~self.epoch + _GOLDEN) & _BITS)
        return mixed((key + ((position << 26) + number + 1) * _GOLDEN) & _BITS)

    def keeps(self, position: int, probability: int) -> bool:
        return probability == _ALWAYS or self.bits(position, 0) >> 32 < probability

    def width(self, position: int, window_size: int) -> int:
        return 1 + (((self.bits(position, 1) >> 32) * window_size) >> 32)

    def negative(self, position: int, number: int, positive: int, table: NDArray[np.uint32]) -> int | None:
        for attempt in range(16):
            bits = self.bits(position, 2 + number * 16 + attempt)
            place = ((bits >> 32) * len(table)) >> 32
            word = place if bits & _ALWAYS <= table[place, 0] else int(table[place, 1])
            if word != positive:
                return word
        return None


def trained_words(corpus: Corpus, trainer: Trainer, draws: Draws, begin: int, end: int) -> list[tuple[int, int, int]]:
    """(position, word, sentence) of the tokens from `begin` to `end` that are trained."""
    kept, sentence = [], 0
    for position, token in enumerate(corpus.tokens()[begin:end].tolist(), begin):
        word = token & ~_END
        if word != _UNKNOWN and draws.keeps(position, int(trainer.keep_probabilities[word])):
            kept.append((position, word, sentence))
        sentence += token >> 31
    return kept


class Reference:
    """Trains the matrices as the kernels should with one block, as long as no word is twice in reach of a run.

    Args:
        contexts, targets: how many the kernels work on at a time.
    """

    def __init__(self, corpus: Corpus, job: dict[str, Any], *, contexts: int, targets: int) -> None:
        self.corpus, self.job = corpus, job
        self.trainer = Trainer(corpus, **job)
        self.input, self.output = self.trainer.input.copy(), self.trainer.output.copy()
        self._contexts, self._targets = contexts, targets

    def train(self, portion: int) -> None:
        size = self.corpus.tokens_read
        for epoch in range(self.job["epochs"]):
            draws = Draws(self.job["seed"], epoch)
            for begin in range(0, size, portion):
                words = trained_words(self.corpus, self.trainer, draws, begin, min(begin + portion, size))
                for index, (position, _, _) in enumerate(words):
                    done = (epoch * size + position) / (self.job["epochs"] * size)
                    self._alpha = self.job["learning_rate"] * max(1 - done, 1e-4)
                    self._train_centre(draws, words, index)

    def _train_centre(self, draws: Draws, words: list[tuple[int, int, int]], index: int) -> None:
        position, centre, sentence = words[index]
        width = draws.width(position, self.job["window_size"])
        around = [*range(max(0, index - width), index), *range(index + 1, min(len(words), index + width + 1))]
        contexts = [words[other][1] for other in around if words[other][2] == sentence]
        negatives, table = self.job["negative_samples"], self.trainer.negative_table

        def pair(positive: int, number: int) -> list[tuple[int | None, bool]]:
            drawn = [draws.negative(position, number * negatives + k, positive, table) for k in range(negatives)]
            return [(positive, True), *((word, False) for word in drawn)]

        if self.job["mode"] == "batch_skipgram":
            for i in range(0, len(contexts), self._contexts):
                rows = contexts[i : i + self._contexts]
                x = self.input[rows]
                self.input[rows] = self._steps(x, pair(centre, 0))
            return
        if self.job["mode"] == "skipgram":
            rows = self._rows(centre)
            targets = [target for number, context in enumerate(contexts) for target in pair(context, number)]
        else:
            rows = [row for context in contexts for row in self._rows(context)]
            targets = pair(centre, 0)
        if not contexts:
            return
        mean = self.input[rows].mean(axis=0, keepdims=True)
        np.add.at(self.input, rows, self._steps(mean, targets) - mean)

    def _rows(self, word: int) -> list[int]:
        if not self.job["subwords"]:
            return [word]
        begin, end = self.trainer.subword_starts[word : word + 2].astype(int)
        return [int(row) for row in self.trainer.subword_rows[begin:end]]

    def _steps(self, x: NDArray[np.float32], targets: list[tuple[int | None, bool]]) -> NDArray[np.float32]:
        """x after the steps on all targets, which are stepped on, too."""
        for begin in range(0, len(targets), self._targets):
            before, changes = x, []
            for word, positive in targets[begin : begin + self._targets]:
                if word is None:
                    continue
                # update_batch takes its first target as the positive one: zeros stand for it, and add nothing to x.
                y = self.output[[word]] if positive else np.stack([np.zeros_like(self.output[0]), self.output[word]])
                after, stepped = update_batch(before, y, self._alpha)
                x = x + (after - before)
                changes.append((word, stepped[-1] - self.output[word]))
            for word, change in changes:
                self.output[word] += change
        return x
