"""How sharply the loss of batch_skipgram curves for each row: what tells how far the changes of hosts overlap.

A step on a pair of an input row x and an output row y moves x along y: the loss curves for x only in the directions of
the y that it meets, each time by sigma'(x . y) y y^T. Over many steps that is close to the mean over all output rows by
how often they are targets, and likewise for y with the input rows. A few directions hold much of that mean.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_DIRECTIONS = 8
_ROWS = 4096  # the most frequent words' rows; those after them are met seldom
_SLOPE = 0.05  # sigma'(x . y), a typical value: 0.25 at the start, less as the negatives' products fall

CurvatureArrays = tuple[NDArray[np.float32], NDArray[np.float32], float]


@dataclass(frozen=True)
class Updates:
    """Mean updates of each word's rows by one raw token of the corpus; both of shape (V,)."""

    inputs: NDArray[np.float32]
    outputs: NDArray[np.float32]

    @classmethod
    def of_batch_skipgram(
        cls,
        counts: NDArray[np.int64],
        tokens: int,
        *,
        window_size: int,
        negative_samples: int,
        sampling_threshold: float,
    ) -> Updates:
        """Count the pairs that words are expected to be part of.

        Args:
            counts: shape (V,), occurrences in the corpus.
            tokens: of the corpus, with those that are not in the vocabulary.
        """
        relative = np.maximum(counts, 1) / counts.sum() / sampling_threshold  # words without occurrences: no matter
        trained = counts / tokens * np.minimum(1.0, (np.sqrt(relative) + 1.0) / relative)
        contexts = window_size + 1  # of one centre: both sides, the mean of 1 to window_size each
        negatives = counts**0.75
        negatives *= negative_samples * trained.sum() / negatives.sum()
        return cls(
            inputs=(trained * contexts * (1 + negative_samples)).astype(np.float32),
            outputs=((trained + negatives) * contexts).astype(np.float32),
        )


class Curvature:
    """The curvature for the rows of one matrix, followed as the other matrix changes.

    Args:
        weights: shape (V,), how often each row of the other matrix is met; of any scale.
        dim: of the rows.
    """

    def __init__(self, weights: NDArray[np.float32], dim: int) -> None:
        chosen = weights[:_ROWS]
        self._weights = (chosen / chosen.sum())[:, None]
        self._directions = np.eye(dim, min(_DIRECTIONS, dim), dtype=np.float32)

    def measure(self, others: NDArray[np.float32]) -> NDArray[np.float32]:
        """What `follow` needs to know of the other matrix's rows, which hosts may add up.

        Args:
            others: shape (V, dim).
        Returns:
            shape (dim, k + 1): the product of the rows' second moments and the k directions followed, then the moments'
            trace, spread over the rows.
        """
        others = others[:_ROWS]
        weighted = self._weights * others
        trace = np.full((others.shape[1], 1), np.vdot(weighted, others) / others.shape[1], np.float32)
        return np.hstack([others.T @ (weighted @ self._directions), trace], dtype=np.float32)

    def follow(self, measured: NDArray[np.float32]) -> CurvatureArrays:
        """The curvature along the directions followed; the next will be nearer to where it is largest.

        A step of subspace iteration: the directions are multiplied by the moments and made orthonormal again.

        Args:
            measured: mean of what hosts measured.
        Returns:
            directions, shape (k, dim), orthonormal; the curvature along each, shape (k,); the mean along all others.
        """
        products, trace = measured[:, :-1], float(measured[:, -1].sum())
        directions = self._directions
        along = np.maximum(0, (directions * products).sum(axis=0))
        elsewhere = max(0.0, trace - float(along.sum())) / max(1, len(directions) - len(along))
        if products.any():
            self._directions, _ = np.linalg.qr(products)
        return np.ascontiguousarray(directions.T), np.float32(_SLOPE) * along, _SLOPE * elsewhere
