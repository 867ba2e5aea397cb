"""Jobs of small tasks, each host a process with a base directory of its own."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from contract.cores import CPUS
from contract.recordio_protobuf import Rows, write_dense, write_sparse
from contract.testing import Channels, Jobs, Outcome, write_input
from contract.training import run_training
from linear_learner.train import train

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


def as_recordio(table: Table, labels: int = 1) -> bytes:
    stream = io.BytesIO()
    write_dense(stream, table[:, labels:], table[:, :labels])
    return stream.getvalue()


REGRESSION: Channels = {
    "train": {"train.csv": as_csv(regression(2000, 1))},
    "validation": {"validation.csv": as_csv(regression(400, 2))},
    "test": {"test.csv": as_csv(regression(400, 3))},
}
SMALL = {"predictor_type": "regressor", "mini_batch_size": "100"}


@dataclass(frozen=True)
class Finished(Outcome):
    """A job of one host that has ended."""

    base: Path
    code: int
    output: str


class QuickJobs(Jobs):
    """Trains on one host in this process, which has torch already; what is started is a process, as ever."""

    def train(  # type: ignore[override]
        self, hyperparameters: Mapping[str, str | None] | None = None, channels: Channels | None = None
    ) -> Finished:
        base = self.folder / f"quick-{len(list(self.folder.iterdir()))}"
        given = {**self.hyperparameters, **(hyperparameters or {})}
        chosen = {name: text for name, text in given.items() if text is not None}
        write_input(base, channels or self.channels, chosen, ["algo-1"], "algo-1")
        with pytest.MonkeyPatch.context() as patch, redirect_stdout(io.StringIO()) as output, torch.no_grad():
            patch.setenv("SAGEMAKER_BASE_DIR", str(base))
            patch.setenv(CPUS, "1")
            code = run_training("linear_learner", train)
        return Finished(base, code, output.getvalue())


def jobs_below(folder: Path) -> QuickJobs:
    """Jobs of SMALL on REGRESSION, where they do not say otherwise."""
    return QuickJobs("linear_learner", folder, SMALL, REGRESSION)


def as_sparse_recordio(table: Table) -> bytes:
    """Records of the features that are not zero."""
    stream = io.BytesIO()
    numbers, keys = np.nonzero(table[:, 1:])
    bounds = np.searchsorted(numbers, np.arange(len(table) + 1))
    rows = Rows(table[:, 1:][numbers, keys], keys.astype(np.int64), bounds.astype(np.int64), table.shape[1] - 1)
    write_sparse(stream, rows, table[:, 0])
    return stream.getvalue()


def sparse_classes(count: int, seed: int, features: int = 200) -> Table:
    """Labels 0 and 1, and features of which each record has five, told by the sum of their signs."""
    draw = np.random.default_rng(seed)
    signs = np.random.default_rng(0).choice([-1.0, 1.0], features)
    table = np.zeros((count, features + 1), np.float32)
    for row in table:
        chosen = draw.choice(features, 5, replace=False)
        row[1:][chosen] = draw.uniform(0.5, 1.5, 5)
        row[0] = row[1:] @ signs > 0
    return table


def quality(output: str, name: str) -> float:
    """A final measure of the log, such as "validation mse"."""
    found = re.search(rf"#quality_metric: host=algo-1, {re.escape(name)} <\w+>=(\S+)", output)
    assert found, output
    return float(found[1])


def losses(output: str, split: str) -> list[float]:
    """The best model's loss after each epoch."""
    return [float(text) for text in re.findall(rf"epoch=\d+, {split} \S+_objective <loss>=(\S+)", output)]
