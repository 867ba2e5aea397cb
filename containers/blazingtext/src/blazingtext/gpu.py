"""Training on one GPU: the same jobs as the engine's Trainer, by the CUDA kernels of word2vec.cu.

Many blocks train at a time, and each works on copies of rows. A row that one block holds takes its changes whole, as
if blocks trained one after the other. Of a row that n blocks hold, each copy makes much the same way, and the sum of n
such changes would overshoot. As between hosts (see distributed.py), a change is therefore multiplied by

    s = (1 - q^n) / (n (1 - q)),    q = exp(-learning rate x pairs),    1 for n = 1, near 1 / n for many,

where `pairs` change a copy while it is held. n is expected from the word's frequency and the number of blocks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources

import numpy as np
from numpy.typing import NDArray

from blazingtext import _engine
from blazingtext.cuda_device import Device, DeviceArray

_MODES = {"batch_skipgram": 0, "skipgram": 1, "cbow": 2}
_PORTION = 2**20  # tokens that are sampled at a time; windows end at a portion's edges
_CHUNK = 256  # of them, those that one GPU thread samples
_THREADS = 128  # of a block, but when training
_MOST_THREADS = 256  # of a block when training; kMostThreads in word2vec.cu
_WARP = 32
_MOST_COPIES = 64  # of the most frequent word's row; more would learn little from each
_LOWEST_RATE = 1e-4  # share of the learning rate that is left at the end, as in the engine


@dataclass(frozen=True)
class _Portion:
    """A stretch of the corpus in one epoch, and its words that are trained."""

    epoch: int
    begin: int
    size: int
    words: DeviceArray
    places: DeviceArray
    count: int


class Trainer:
    """Trains on a GPU what `engine` would train on the CPU; both have the same interface, described there.

    What is drawn depends on the seed and the place in the corpus alone, but blocks add to the same rows in any order:
    no two trainings are equal to the bit.

    Args:
        engine: before its first step, of a job of one host; gives the settings, and its matrices are trained.
        corpus: the engine's.
    Raises:
        MemoryError: the corpus and the matrices do not fit into the device's memory.
    """

    def __init__(self, engine: _engine.Trainer, corpus: _engine.Corpus, device: Device) -> None:
        self._engine, self._device, self._settings = engine, device, engine.settings
        dim = engine.output.shape[1]
        device.compile(
            resources.files("blazingtext").joinpath("word2vec.cu").read_text(encoding="utf-8"),
            {
                "MODE": _MODES[self._settings["mode"]],
                "SUBWORDS": int(self._settings["subwords"]),
                "DIM": dim,
                "WINDOW": self._settings["window_size"],
                "NEGATIVES": self._settings["negative_samples"],
                "BATCH": self._settings["batch_size"],
                "CHUNK": _CHUNK,
            },
        )
        self._tokens = device.upload(corpus.tokens())
        self._size = corpus.tokens_read
        self._keep = device.upload(engine.keep_probabilities)
        self._negatives = device.upload(engine.negative_table)
        self._occurring = np.uint32(len(engine.negative_table))  # words; others come from pretrained vectors
        self._starts = device.upload(engine.subword_starts.astype(np.int64))
        self._rows = device.upload(engine.subword_rows)
        inputs, outputs = self._frequencies(corpus)
        self._frequency = tuple(device.upload(f.astype(np.float32)) for f in (inputs, outputs))
        self._shares = tuple(device.zeros(len(f), np.float32) for f in (inputs, outputs))
        self._diverged = device.zeros(1, np.int32)
        passes = -(-dim // _MOST_THREADS)
        self._threads = -(-dim // (passes * _WARP)) * _WARP
        reach = 2 * self._settings["window_size"] + 1
        self._blocks = max(
            1,
            min(
                device.blocks_at_a_time("train_words", self._threads),
                int(_MOST_COPIES / (reach * max(inputs.max(), outputs.max()))),
            ),
        )
        self._portion: _Portion | None = None
        self._words_done = 0
        self._matrices: tuple[DeviceArray, DeviceArray] | None = None  # None: the engine's are the newer ones
        self._bring_over()

    def _frequencies(self, corpus: _engine.Corpus) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """The share of each row of the input matrix among the words trained, and of the output matrix among targets."""
        counts = corpus.counts.astype(np.float64)
        trained = counts * (self._engine.keep_probabilities / 2.0**32)
        trained /= trained.sum()
        negative = counts**0.75 / (counts**0.75).sum()
        negatives = self._settings["negative_samples"]
        targets = (trained + negatives * negative) / (1 + negatives)
        if not self._settings["subwords"]:
            return trained, targets
        starts = self._engine.subword_starts.astype(np.int64)
        of_rows = np.repeat(trained, starts[1:] - starts[:-1])
        rows = np.bincount(self._engine.subword_rows, of_rows, minlength=len(self._engine.input))
        return rows.astype(np.float64), targets

    @property
    def total_words(self) -> int:
        """Tokens of the corpus x epochs."""
        return self._engine.total_words

    @property
    def words_done(self) -> int:
        """Tokens trained so far."""
        return self._words_done

    @property
    def progress(self) -> float:
        """words_done / total_words."""
        return self._words_done / self.total_words

    @property
    def alpha(self) -> float:
        """The learning rate now: it falls linearly with progress, to a ten thousandth of the first."""
        return float(self._settings["learning_rate"] * max(1.0 - self.progress, _LOWEST_RATE))

    @property
    def input(self) -> NDArray[np.float32]:
        """The engine's input matrix, brought up to date; what is written to it before `train` is called is trained."""
        self._bring_back()
        return self._engine.input

    @property
    def output(self) -> NDArray[np.float32]:
        """The engine's output matrix, likewise."""
        self._bring_back()
        return self._engine.output

    @property
    def bucket_ids(self) -> NDArray[np.uint32]:
        """shape (R,): the hash bucket of each row of `input` after the words'."""
        return self._engine.bucket_ids

    def word_vectors(self, rows: Sequence[int] | None = None) -> NDArray[np.float32]:
        """shape (len(rows), dim): a copy of some words' vectors, or of all."""
        self._bring_back()
        return self._engine.word_vectors(rows)

    def write_text_vectors(self, path: str) -> None:
        """Writes `word_vectors()` in word2vec's text format, as the engine does."""
        self._bring_back()
        self._engine.write_text_vectors(path)

    def check_finite(self) -> None:
        """Looks at all numbers of both matrices.

        Raises:
            FloatingPointError: one is not finite.
        """
        self._bring_back()
        self._engine.check_finite()

    def train(self, words: int) -> int:
        """Trains up to `words` more tokens and returns how many there were, 0 at the end.

        Raises:
            FloatingPointError: the learning rate is so high that the vectors grow beyond all bounds.
            MemoryError: the matrices do not fit into the device's memory.
        """
        before = self._words_done
        end = min(before + words, self.total_words)
        while self._words_done < end:
            portion = self._portion_at(self._words_done)
            place = self._words_done % self._size - portion.begin
            count = min(end - self._words_done, portion.size - place)
            self._train_portion(portion, place, place + count)
            self._words_done += count
        if self._device.download(self._diverged)[0]:
            raise FloatingPointError("the vectors have grown beyond all bounds; lower learning_rate.")
        return self._words_done - before

    def pause(self) -> NDArray[np.uint64]:
        """Where training is: what `resume` takes.

        Returns:
            shape (1,): words_done.
        """
        return np.array([self._words_done], np.uint64)

    def resume(self, paused: NDArray[np.uint64]) -> None:
        """Goes on where a trainer of the same corpus and settings was paused; the matrices are not part of it."""
        (self._words_done,) = (int(words) for words in paused)

    def _portion_at(self, word: int) -> _Portion:
        epoch, position = divmod(word, self._size)
        begin = position // _PORTION * _PORTION
        if self._portion is None or (self._portion.epoch, self._portion.begin) != (epoch, begin):
            self._portion = None  # its memory is free for the next one
            self._portion = self._sampled(epoch, begin, min(_PORTION, self._size - begin))
        return self._portion

    def _sampled(self, epoch: int, begin: int, size: int) -> _Portion:
        device, chunks = self._device, -(-size // _CHUNK)
        drawn_by = np.uint64(begin), np.uint64(self._settings["seed"]), np.uint64(epoch)
        tokens = self._tokens[begin : begin + size]
        arguments = tokens, np.int32(size), *drawn_by, self._keep
        counts = device.zeros(chunks, np.int32)
        blocks = -(-chunks // _THREADS)
        device.launch("count_words", blocks, _THREADS, *arguments, counts)
        ends = np.cumsum(device.download(counts), dtype=np.int32)
        count = int(ends[-1])
        words, places = device.zeros(max(1, count), np.uint32), device.zeros(max(1, count), np.int32)
        starts = device.upload(np.concatenate([np.zeros(1, np.int32), ends[:-1]]))
        device.launch("gather_words", blocks, _THREADS, *arguments, starts, words, places)
        return _Portion(epoch, begin, size, words, places, count)

    def _train_portion(self, portion: _Portion, begin: int, end: int) -> None:
        matrices = self._bring_over()
        for matrix, frequency in enumerate(self._frequency):
            rows = len(frequency)
            self._device.launch(
                *("set_shares", -(-rows // _THREADS), _THREADS),
                *(frequency, np.int32(rows), np.int32(matrix == 0), np.int32(self._blocks)),
                *(np.float32(self.alpha), self._shares[matrix]),
            )
        first = self._settings["learning_rate"]
        left = 1.0 - (portion.epoch * self._size + portion.begin) / self.total_words
        self._device.launch(
            *("train_words", self._blocks, self._threads),
            *(portion.words, portion.places, np.int32(portion.count), np.int32(begin), np.int32(end)),
            *(np.uint64(portion.begin), np.uint64(self._settings["seed"]), np.uint64(portion.epoch)),
            *(self._negatives, self._occurring),
            *(np.float32(first * left), np.float32(first / self.total_words), np.float32(first * _LOWEST_RATE)),
            *(self._starts, self._rows, *matrices, *self._shares, self._diverged),
        )

    def _bring_over(self) -> tuple[DeviceArray, DeviceArray]:
        if self._matrices is None:
            self._matrices = self._device.upload(self._engine.input), self._device.upload(self._engine.output)
        return self._matrices

    def _bring_back(self) -> None:
        if self._matrices is not None:
            self._engine.input[:], self._engine.output[:] = map(self._device.download, self._matrices)
            self._matrices = None


AnyTrainer = _engine.Trainer | Trainer
