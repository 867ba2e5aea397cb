"""The classifier's two matrices where they are trained: here alone, or in MXNet's kvstore for several devices or hosts.

A batch takes the few rows of the embedding matrix that it has, and gives their gradients back.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from gluon_fasttext.optimisation import restore, state_of, whole_rows

EMBEDDING, OUTPUT = 0, 1
_ROWS_AT_A_TIME = 2**16


class OptimizerState(Protocol):
    """What an optimizer keeps beside the parameters; this host's part of it."""

    def state(self) -> dict[str, NDArray[Any]]:
        """The state as arrays."""

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Put a state back."""


class Parameters(OptimizerState, Protocol):
    """The embedding matrix, shape (rows, dim), and the output matrix, shape (labels, dim); float32."""

    def pull(self, rows: Sequence[NDArray[np.int64]]) -> tuple[list[Any], list[Any]]:
        """For each device: some rows of the embedding matrix (distinct, ascending), and the output matrix."""

    def push(self, of_rows: Sequence[Any], of_output: Sequence[Any]) -> None:
        """Update by the gradients of the rows that were pulled last, and of the output matrix, from each device."""

    def embedding(self) -> NDArray[np.float32]:
        """A copy of the embedding matrix."""

    def output(self) -> NDArray[np.float32]:
        """A copy of the output matrix."""


class OwnParameters:
    """Of a job with one device on one host."""

    def __init__(self, mx: Any, device: Any, optimizer: Any, embedding: NDArray[Any], output: NDArray[Any]) -> None:
        self._mx, self._device = mx, device
        self._updater = mx.optimizer.get_updater(optimizer)
        self._embedding = mx.nd.array(embedding, ctx=device)
        self._output = mx.nd.array(output, ctx=device)

    def pull(self, rows: Sequence[NDArray[np.int64]]) -> tuple[list[Any], list[Any]]:
        (own,) = rows
        self._numbers = self._mx.nd.array(own, ctx=self._device, dtype="int64")
        return [self._mx.nd.take(self._embedding, self._numbers)], [self._output.copy()]

    def push(self, of_rows: Sequence[Any], of_output: Sequence[Any]) -> None:
        gradient = self._mx.nd.sparse.row_sparse_array(
            (of_rows[0], self._numbers), shape=self._embedding.shape, ctx=self._device
        )
        self._updater(EMBEDDING, gradient, self._embedding)
        self._updater(OUTPUT, of_output[0], self._output)

    def embedding(self) -> NDArray[np.float32]:
        copy: NDArray[np.float32] = self._embedding.asnumpy()
        return copy

    def output(self) -> NDArray[np.float32]:
        copy: NDArray[np.float32] = self._output.asnumpy()
        return copy

    def state(self) -> dict[str, NDArray[Any]]:
        return state_of(self._updater)

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        restore(self._mx, self._updater, state, self._device)


class SharedParameters:
    """Of a job with several devices or hosts: they lie in a kvstore, which sums gradients up and updates.

    Args:
        devices: of this host.
        kvstore: MXNet's, "local" for several devices, "dist_sync" for several hosts.
        remote: where the optimizer's state lies, if in the kvstore's servers.
    """

    def __init__(
        self,
        mx: Any,
        devices: Sequence[Any],
        kvstore: Any,
        optimizer: Any,
        embedding: NDArray[np.float32],
        output: NDArray[np.float32],
        remote: OptimizerState | None = None,
    ) -> None:
        self._mx, self._devices, self._kvstore, self._remote = mx, devices, kvstore, remote
        self._shape = embedding.shape
        kvstore.init(EMBEDDING, whole_rows(mx, embedding, mx.cpu()))
        kvstore.init(OUTPUT, mx.nd.array(output))
        kvstore.set_optimizer(optimizer)
        self._output = [mx.nd.zeros(output.shape, device) for device in devices]

    def pull(self, rows: Sequence[NDArray[np.int64]]) -> tuple[list[Any], list[Any]]:
        sparse = self._mx.nd.sparse
        self._numbers = [
            self._mx.nd.array(own, ctx=device, dtype="int64") for own, device in zip(rows, self._devices, strict=True)
        ]
        found = [sparse.zeros("row_sparse", self._shape, ctx=device) for device in self._devices]
        self._kvstore.row_sparse_pull(EMBEDDING, out=found, row_ids=self._numbers)
        self._kvstore.pull(OUTPUT, out=self._output)
        return [part.data for part in found], [part.copy() for part in self._output]

    def push(self, of_rows: Sequence[Any], of_output: Sequence[Any]) -> None:
        sparse = self._mx.nd.sparse
        gradients = [
            sparse.row_sparse_array((gradient, numbers), shape=self._shape, ctx=device)
            for gradient, numbers, device in zip(of_rows, self._numbers, self._devices, strict=True)
        ]
        self._kvstore.push(EMBEDDING, gradients)
        self._kvstore.push(OUTPUT, list(of_output))

    def embedding(self) -> NDArray[np.float32]:
        nd, copy = self._mx.nd, np.empty(self._shape, np.float32)
        for start in range(0, len(copy), _ROWS_AT_A_TIME):
            numbers = np.arange(start, min(start + _ROWS_AT_A_TIME, len(copy)))
            found = nd.sparse.zeros("row_sparse", self._shape)
            self._kvstore.row_sparse_pull(EMBEDDING, out=found, row_ids=nd.array(numbers, dtype="int64"))
            copy[numbers] = found.data.asnumpy()
        return copy

    def output(self) -> NDArray[np.float32]:
        found = self._mx.nd.zeros(self._output[0].shape)
        self._kvstore.pull(OUTPUT, out=found)
        copy: NDArray[np.float32] = found.asnumpy()
        return copy

    def state(self) -> dict[str, NDArray[Any]]:
        return self._remote.state() if self._remote else state_of(self._kvstore._updater)

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        if self._remote:
            self._remote.restore(state)
        else:
            restore(self._mx, self._kvstore._updater, state, self._mx.cpu())
