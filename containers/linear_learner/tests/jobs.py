"""Jobs of small tasks, each host a process with a base directory of its own."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from contract.recordio_protobuf import write_dense
from contract.testing import Channels, Jobs

Table = NDArray[np.float32]

WEIGHTS = np.array([2.0, -1.0, 0.5, 0.0], np.float32)


def regression(count: int, seed: int, noise: float = 0.1) -> Table:
    """Labels, first, and features of unlike means and deviations that tell them linearly."""
    draw = np.random.default_rng(seed)
    features = draw.normal([5, 0, -100, 0.1], [1, 10, 30, 0.01], (count, 4))
    labels = features @ WEIGHTS + 7 + draw.normal(0, noise, count)
    return np.column_stack((labels, features)).astype(np.float32)


def two_classes(count: int, seed: int) -> Table:
    """Labels 0 and 1, a third of them 1, that the features tell but for some noise."""
    draw = np.random.default_rng(seed)
    features = draw.normal(0, 1, (count, 4))
    labels = features @ WEIGHTS + draw.normal(0, 0.5, count) > 1
    return np.column_stack((labels, features)).astype(np.float32)


def classes(count: int, seed: int, number: int = 4) -> Table:
    """Labels from 0, each with features around a centre of its own."""
    draw = np.random.default_rng(seed)
    centres = np.random.default_rng(0).normal(0, 2, (number, 4))
    labels = draw.integers(0, number, count)
    return np.column_stack((labels, centres[labels] + draw.normal(0, 1, (count, 4)))).astype(np.float32)


def as_csv(table: Table) -> bytes:
    return "".join(",".join(f"{value!r}" for value in row) + "\n" for row in table.tolist()).encode()


def as_recordio(table: Table) -> bytes:
    stream = io.BytesIO()
    write_dense(stream, table[:, 1:], table[:, 0])
    return stream.getvalue()


REGRESSION: Channels = {
    "train": {"train.csv": as_csv(regression(2000, 1))},
    "validation": {"validation.csv": as_csv(regression(400, 2))},
    "test": {"test.csv": as_csv(regression(400, 3))},
}
SMALL = {"predictor_type": "regressor", "mini_batch_size": "100"}


def jobs_below(folder: Path) -> Jobs:
    """Jobs of SMALL on REGRESSION, where they do not say otherwise."""
    return Jobs("linear_learner", folder, SMALL, REGRESSION)
