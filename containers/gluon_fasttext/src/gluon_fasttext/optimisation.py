"""MXNet's optimizers by their names, their learning rate, and their state as arrays.

Rows that a batch does not have keep their state: adam, adagrad and the like update lazily here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gluon_fasttext.compatibility import say_now_what_is_said_once


@dataclass(frozen=True)
class Schedule:
    """The learning rate at each update; MXNet asks for it by the number of the update, counted from 1.

    Args:
        kind: "linear" (to zero at the end), "halve" (by half at every epoch) or "constant".
        base_lr: at the beginning.
        updates_per_epoch, epochs: of the whole job.
    """

    kind: str
    base_lr: float
    updates_per_epoch: int
    epochs: int

    def __call__(self, num_update: int) -> float:
        done = num_update - 1
        if self.kind == "linear":
            return self.base_lr * max(0.0, 1 - done / (self.updates_per_epoch * self.epochs))
        if self.kind == "halve":
            return float(self.base_lr * 0.5 ** (done // self.updates_per_epoch))
        return self.base_lr


def make_optimizer(mx: Any, name: str, schedule: Schedule) -> Any:
    """MXNet's optimizer; gradients are taken as they come, for losses are means already."""
    say_now_what_is_said_once(mx, name)
    return mx.optimizer.create(name, learning_rate=schedule.base_lr, lr_scheduler=schedule, rescale_grad=1.0)


def state_of(updater: Any) -> dict[str, NDArray[Any]]:
    """The state of an MXNet updater, as arrays.

    Returns:
        `KEY/PLACE/STORAGE`: what it keeps for a key, float32, shape as the weights' or (rows, 1); `KEY/updates`: how
        many updates the key has had, shape (1,), int64.
    """
    arrays: dict[str, NDArray[Any]] = {}
    for key, state in updater.states.items():
        for place, part in enumerate(_parts(state)):
            arrays[f"{key}/{place}/{part.stype}"] = part.asnumpy()
        arrays[f"{key}/updates"] = np.array([updater.optimizer._index_update_count.get(key, 0)], np.int64)
    return arrays


def restore(mx: Any, updater: Any, arrays: Mapping[str, NDArray[Any]], device: Any) -> None:
    """Put a state back that `state_of` gave."""
    parts: dict[int, list[Any]] = {}
    for name in sorted(arrays):
        key, _, *storage = name.split("/")
        found = parts.setdefault(int(key), [])
        if storage:
            found.append(_array(mx, arrays[name], storage[0], device))
        else:
            updates = int(arrays[name][0])
            updater.optimizer._index_update_count[int(key)] = updates
            updater.optimizer.num_update = max(updater.optimizer.num_update, updates)
    for number, found in parts.items():
        updater.states[number] = tuple(found) if len(found) > 1 else found[0] if found else None
        updater.states_synced[number] = True


def whole_rows(mx: Any, values: NDArray[np.float32], device: Any) -> Any:
    """A matrix as MXNet's row_sparse array with all its rows, those of zeros too: updates ask for that."""
    rows = mx.nd.array(np.arange(len(values)), ctx=device, dtype="int64")
    return mx.nd.sparse.row_sparse_array((mx.nd.array(values, ctx=device), rows), shape=values.shape, ctx=device)


def _array(mx: Any, values: NDArray[np.float32], storage: str, device: Any) -> Any:
    return whole_rows(mx, values, device) if storage == "row_sparse" else mx.nd.array(values, ctx=device)


def _parts(state: Any) -> tuple[Any, ...]:
    if state is None:
        return ()
    return tuple(state) if isinstance(state, tuple | list) else (state,)
