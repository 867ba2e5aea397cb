"""Keeps the models of several hosts together while each trains its own part of the corpus.

At every synchronisation a row becomes what it was at the one before, plus the hosts' changes since, added up and
damped. Rows that few windows touched in the meantime take the whole sum, as if one host had made all the changes one
after the other; a row that every host has moved far takes nearly the mean, because each has made the same way. Between
the two: updates of size a on a row that follows x' = -h x leave of its distance exp(-a h u) = q after u updates, and
q^n after those of n hosts one after the other, while the sum of n changes from a common start covers n (1 - q) of it.
Hence the damping

    s = (1 - q^n) / (n (1 - q)),    1 for u -> 0, 1/n for u -> infinity.

Frequent words change fastest, so their rows are synchronised at every step and all rows every few steps.
"""

from __future__ import annotations

import zlib

import numpy as np
from numpy.typing import NDArray

from blazingtext._engine import Corpus
from blazingtext.gpu import AnyTrainer
from contract.errors import ClientError
from contract.rendezvous import Hosts

_INTERVALS = 200  # steps of one job, at least
_LONGEST_INTERVAL = 250_000  # raw tokens of one host
_SHORTEST_INTERVAL = 2_000
_FREQUENT_ROWS = 4096
_FULL_EVERY = 5
_CURVATURE = 1.0  # h, by trial: the least that keeps four hosts stable; mean_rho stays near that of one host


class Averaging:
    """The synchronised copy of the model that the hosts share.

    Args:
        hosts: of the job.
        trainer: of this host, before its first step; every host's starts from the same matrices.
        corpus: the same on every host.
    Raises:
        ClientError: the hosts were given different corpora.
    """

    def __init__(self, hosts: Hosts, trainer: AnyTrainer, corpus: Corpus) -> None:
        self._hosts, self._trainer = hosts, trainer
        self._steps = 0
        self._words_since_full = 0
        if hosts.size == 1:
            return
        self._check_same(corpus)
        self._live = (trainer.input, trainer.output)
        self._shared = tuple(np.ascontiguousarray(matrix) for matrix in self._live)
        self._frequency = corpus.counts / max(1, corpus.tokens_read)

    @property
    def interval(self) -> int | None:
        """Raw tokens of this host from one synchronisation to the next; None on one host."""
        if self._hosts.size == 1:
            return None
        return max(_SHORTEST_INTERVAL, min(_LONGEST_INTERVAL, self._trainer.total_words // _INTERVALS))

    def synchronise(self, trained: int, *, everything: bool) -> None:
        """Bring the hosts' models together after each has trained `trained` more words.

        Args:
            everything: all rows, not only those of frequent words.
        """
        if self._hosts.size == 1:
            return
        self._steps += 1
        self._words_since_full += trained
        everything = everything or self._steps % _FULL_EVERY == 0
        self._add_changes(slice(0, _FREQUENT_ROWS), trained)
        if everything:
            self._add_changes(slice(_FREQUENT_ROWS, None), self._words_since_full)
            self._words_since_full = 0

    def _add_changes(self, rows: slice, words: int) -> None:
        damping = self._damping(self._frequency[rows] * words)
        for live, shared in zip(self._live, self._shared, strict=True):
            changes = live[rows] - shared[rows]
            self._hosts.add_up(changes)
            changes *= damping
            shared[rows] += changes
            live[rows] = shared[rows]

    def _damping(self, occurrences: NDArray[np.float64]) -> NDArray[np.float32]:
        """s for rows of words that occurred so often on each host; shape (rows, 1)."""
        hosts = self._hosts.size
        decay = np.maximum(self._trainer.alpha * _CURVATURE * occurrences, 1e-9)
        damping: NDArray[np.float32] = (np.expm1(-hosts * decay) / (hosts * np.expm1(-decay))).astype(np.float32)
        return damping[:, None]

    def _check_same(self, corpus: Corpus) -> None:
        digest = zlib.crc32(corpus.counts.tobytes(), zlib.crc32("\0".join(corpus.words).encode()))
        found = self._hosts.exchange([digest, corpus.tokens_read])
        if any(other != found[0] for other in found):
            tokens = ", ".join(str(tokens) for _, tokens in found)
            raise ClientError(
                f"channel 'train' differs from host to host ({tokens} tokens);"
                " its distribution must be FullyReplicated."
            )
