"""Records as training takes them: a matrix, or its compressed sparse rows; the bias is a last feature of 1."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol, Self

import numpy as np
import torch
from numpy.typing import NDArray

from contract.recordio_protobuf import Rows

Tensor = Any


class Records(Protocol):
    """Some records, of which arithmetic needs the products with weights and with derivatives of scores."""

    @property
    def labels(self) -> Tensor:
        """Shape (n, 1), float32."""

    def __len__(self) -> int: ...

    def part(self, start: int, stop: int) -> Self:
        """The records between two places."""

    def scores(self, weights: Tensor) -> Tensor:
        """Of weights of shape (rows, columns): shape (n, columns)."""

    def gradient(self, derivatives: Tensor) -> tuple[Tensor, Tensor | None]:
        """Sums over the records of features times derivatives, shape (rows, columns).

        Returns:
            the sums and None, or the sums of some rows and their numbers; all others are zero.
        """


@dataclass(frozen=True)
class Dense:
    """`features` has the shape (n, rows), float32."""

    features: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    def part(self, start: int, stop: int) -> Self:
        """See Records."""
        return type(self)(self.features[start:stop], self.labels[start:stop])

    def scores(self, weights: Tensor) -> Tensor:
        """See Records."""
        return self.features @ weights

    def gradient(self, derivatives: Tensor) -> tuple[Tensor, None]:
        """See Records."""
        return self.features.T @ derivatives, None


@dataclass(frozen=True)
class Sparse:
    """Record i has `values[bounds[i]:bounds[i + 1]]` at the rows `keys`; int64 and float32."""

    values: Tensor
    keys: Tensor
    bounds: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    def part(self, start: int, stop: int) -> Self:
        """See Records."""
        bounds = self.bounds[start : stop + 1]
        inside = slice(int(bounds[0]), int(bounds[-1]))
        return type(self)(self.values[inside], self.keys[inside], bounds - bounds[0], self.labels[start:stop])

    def taken(self, order: Tensor) -> Sparse:
        """The records at some places."""
        lengths = self.bounds.diff()[order]
        bounds = torch.cat((torch.zeros(1, dtype=torch.int64), lengths.cumsum(0)))
        within = torch.arange(int(bounds[-1])) - bounds[:-1].repeat_interleave(lengths)
        places = self.bounds[:-1][order].repeat_interleave(lengths) + within
        return Sparse(self.values[places], self.keys[places], bounds, self.labels[order])

    def scores(self, weights: Tensor) -> Tensor:
        """See Records."""
        rows, place, _, _ = self._by_row
        return _weighted_sums(weights[rows], place, self.bounds, self.values)

    def gradient(self, derivatives: Tensor) -> tuple[Tensor, Tensor]:
        """See Records."""
        rows, _, bounds, order = self._by_row
        records = torch.arange(len(self), device=order.device).repeat_interleave(self.bounds.diff())
        return _weighted_sums(derivatives, records[order], bounds, self.values[order]), rows

    @cached_property
    def _by_row(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """The transposed matrix.

        Returns:
            the distinct rows; each value's place among them; bounds of the values by row; the values' order by row.
        """
        ordered, order = self.keys.sort(stable=True)
        rows, counts = ordered.unique_consecutive(return_counts=True)
        place = torch.empty_like(self.keys)
        place[order] = torch.arange(len(rows), device=order.device).repeat_interleave(counts)
        bounds = torch.cat((torch.zeros(1, dtype=torch.int64, device=order.device), counts.cumsum(0)))
        return rows, place, bounds, order


def _weighted_sums(table: Tensor, places: Tensor, bounds: Tensor, values: Tensor) -> Tensor:
    """For each bag the sum of the table's rows at its places, times its values: a sparse matrix times a dense one."""
    if not len(places):
        return torch.zeros(len(bounds) - 1, table.shape[1], device=table.device)
    return torch.nn.functional.embedding_bag(
        places, table, bounds, mode="sum", per_sample_weights=values, include_last_offset=True
    )


def sparse_records(rows: Rows, labels: NDArray[np.float32], scale: NDArray[np.float32], bias: bool) -> Sparse:
    """Sparse records, each value divided by its feature's scale, shape (width,)."""
    values, keys, bounds = rows.values / scale[rows.keys], rows.keys, rows.bounds
    if bias:
        # A value of 1 at the end of each record.
        ends = bounds[1:]
        values, keys = np.insert(values, ends, np.float32(1)), np.insert(keys, ends, rows.width)
        bounds = bounds + np.arange(len(bounds))
    column = torch.from_numpy(labels.reshape(-1, 1))
    return Sparse(torch.from_numpy(values), torch.from_numpy(keys), torch.from_numpy(bounds), column)
