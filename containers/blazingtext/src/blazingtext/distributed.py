"""Keeps the models of several hosts together while each trains its own part of the corpus.

At every synchronisation a row becomes what it was at the one before, plus the hosts' changes since, added up and
damped where they overlap. Updates of size a on a row that follows x' = -h x leave of its distance q = exp(-a h u)
after u updates, and q^n after those of n hosts one after the other, while the sum of n changes from a common start
covers n (1 - q) of it. Hence the damping

    s = (1 - q^n) / (n (1 - q)),    1 for u -> 0, 1/n for u -> infinity.

The curvature h differs much between directions (curvature.py): in the few where it is large the hosts have all made the
same way, and s is near 1/n; in most others each has added something of its own, and s is near 1. So s is taken for each
direction by itself.

That holds near where the curvature was measured. A sum that is longer than its row has left that region, as in the
first steps of a job, when rows grow from almost nothing: it is cut to the length of the row (replica.cpp).

Rows of frequent words change fastest. The first rows are synchronised at every step, twice as many at every second,
four times as many at every fourth ..., so that a row's turn comes about in proportion to its word's frequency.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import ThreadpoolController

from blazingtext._engine import Replica, Trainer
from blazingtext.curvature import Curvature, Updates
from contract.rendezvous import Hosts

_STEPS_FOR_EACH_OTHER_HOST = 50  # of one job: the more others, the more of their changes a host lacks between two steps
_SHORTEST_INTERVAL = 2_000  # raw tokens of one host
_LONGEST_INTERVAL = 1_000_000
_FREQUENT_ROWS = 512
_LEVELS = 6  # the rows that are left after so many doublings are synchronised together
_CURVATURE_EVERY = 8  # steps, but at each of the first: then the rows grow fast
_FIRST_ITERATIONS = 4  # from directions that are as good as any


class Synchronisation:
    """The model that the hosts share, and when a host's own becomes it.

    Args:
        hosts: of the job, more than one.
        trainer: of this host, before its first step; every host's starts from the same matrices.
        updates: of each row.
    """

    def __init__(self, hosts: Hosts, trainer: Trainer, updates: Updates) -> None:
        self._hosts, self._trainer, self._updates = hosts, trainer, updates
        self._steps = 0
        self._replica = Replica(trainer)
        words, dim = trainer.output.shape
        # The rows before each end that are behind the one before have their turn at every 1, 2, 4, ... steps.
        self._ends = [min(words, _FREQUENT_ROWS << level) for level in range(_LEVELS)] + [words]
        self._since = np.zeros(len(self._ends))  # learning rate x tokens of one host since the rows' last turn
        self._of_inputs, self._of_outputs = Curvature(updates.outputs, dim), Curvature(updates.inputs, dim)
        self._blas = ThreadpoolController()
        hosts.exchange(None)  # from here on the hosts keep step, and none may take long

    @property
    def interval(self) -> int:
        """Raw tokens of this host from one synchronisation to the next."""
        steps = _STEPS_FOR_EACH_OTHER_HOST * (self._hosts.size - 1)
        return max(_SHORTEST_INTERVAL, min(_LONGEST_INTERVAL, self._trainer.total_words // steps))

    def synchronise(self, travelled: float, *, everything: bool) -> None:
        """Bring the hosts' models together.

        Args:
            travelled: learning rate x tokens since the last time, the mean over hosts: the same number on all of them.
            everything: all rows, whether or not it is their turn.
        """
        self._steps += 1
        if self._steps == 1:
            for _ in range(_FIRST_ITERATIONS):
                self._measure_curvature()
        elif self._steps < _CURVATURE_EVERY or self._steps % _CURVATURE_EVERY == 0:
            self._measure_curvature()
        self._since += travelled
        turns = [level for level in range(len(self._ends)) if everything or self._steps % (1 << level) == 0]
        end = self._ends[turns[-1]]
        since = self._since[np.searchsorted(self._ends, np.arange(end), side="right")]
        for start in range(0, end, Replica.ROWS):
            self._add_changes(start, min(start + Replica.ROWS, end), since[start : start + Replica.ROWS])
        self._since[: len(turns)] = 0.0

    def _measure_curvature(self) -> None:
        """From the rows after training: at the start of a job they grow fast, and with them the curvature."""
        # OpenBLAS's threads would spin for tens of ms after each product, on the cores that are to train.
        with self._blas.limit(limits=1):
            measured = np.hstack(
                [self._of_inputs.measure(self._trainer.output), self._of_outputs.measure(self._trainer.input)]
            )
            self._hosts.add_up(measured)
            of_inputs, of_outputs = np.hsplit(measured / np.float32(self._hosts.size), 2)
            self._curvatures = self._of_inputs.follow(of_inputs), self._of_outputs.follow(of_outputs)

    def _add_changes(self, begin: int, end: int, since: NDArray[np.float64]) -> None:
        """Of the rows from begin to end; `since`, shape (end - begin,), is learning rate x tokens of one host."""
        rates = np.concatenate([self._updates.inputs[begin:end] * since, self._updates.outputs[begin:end] * since])
        self._hosts.add_up(self._replica.tell(begin, end))
        self._replica.take(begin, end, self._hosts.size, rates.astype(np.float32), *self._curvatures)
