"""Means and deviations of features and labels: taken from a sample, applied for training, undone in the weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from contract.recordio_protobuf import Batch, Rows
from contract.rendezvous import Hosts
from linear_learner.settings import Settings
from linear_learner.vectors import width_of


@dataclass(frozen=True)
class Scaler:
    """A feature x is trained on as (x - shift) / scale, and so is the label of a regressor.

    `shift` and `scale` have the shape (features,), float32: the very numbers that are undone.
    """

    shift: NDArray[np.float32]
    scale: NDArray[np.float32]
    label_shift: float = 0.0
    label_scale: float = 1.0

    @classmethod
    def of(cls, sample: Batch, settings: Settings, hosts: Hosts) -> Self:
        """Of all hosts' samples together, alike on every host.

        A feature or label that is always the same is not scaled.
        """
        width = width_of(sample)
        labels = np.asarray(sample.labels, np.float64)
        sums = np.zeros((3, width + 1))
        sums[0] = len(labels)
        sums[1, -1], sums[2, -1] = labels.sum(), (labels**2).sum()
        if isinstance(sample.features, Rows):
            values = sample.features.values.astype(np.float64)
            sums[1, :-1] = np.bincount(sample.features.keys, values, width)
            sums[2, :-1] = np.bincount(sample.features.keys, values**2, width)
        else:
            features = sample.features.astype(np.float64)
            sums[1, :-1], sums[2, :-1] = features.sum(0), (features**2).sum(0)
        hosts.add_up(sums)
        means = sums[1] / sums[0]
        deviations = np.sqrt(np.maximum(sums[2] / sums[0] - means**2, 0))
        # What rounding leaves of a constant's deviation is none.
        deviations[deviations <= 1e-7 * np.abs(means)] = 1.0
        shifts = settings.shifts_data(isinstance(sample.features, Rows))
        return cls(
            (means[:-1] if shifts else np.zeros(width)).astype(np.float32),
            (deviations[:-1] if settings.normalize_data else np.ones(width)).astype(np.float32),
            float(np.float32(means[-1])) if settings.shifts_label else 0.0,
            float(np.float32(deviations[-1])) if settings.scales_label else 1.0,
        )

    def labels(self, labels: NDArray[np.float32]) -> NDArray[np.float32]:
        """Labels as they are trained on."""
        return ((labels - np.float32(self.label_shift)) / np.float32(self.label_scale)).astype(np.float32, copy=False)

    def undone(
        self, weights: NDArray[np.float32], bias: NDArray[np.float32]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Weights, shape (outputs, features), and bias, shape (outputs,), for features and labels as they come."""
        plain = weights.astype(np.float64) * self.label_scale / self.scale
        shifted = bias.astype(np.float64) * self.label_scale + self.label_shift - plain @ self.shift.astype(np.float64)
        return plain.astype(np.float32), shifted.astype(np.float32)
