"""The memory of a job, held against the formula of docs/algorithms/linear_learner.md."""

from __future__ import annotations

import numpy as np
import pytest

from .jobs import QuickJobs, Table, as_recordio, as_sparse_recordio

TORCH_BYTES = 350e6
RECORDS, FEATURES = 200_000, 100


def table(records: int) -> Table:
    return np.random.default_rng(1).normal(size=(records, FEATURES + 1)).astype(np.float32)


@pytest.mark.parametrize("sparse", [False, True])
def test_a_job_takes_no_more_than_the_formula_says(jobs: QuickJobs, sparse: bool) -> None:
    records = RECORDS // 10 if sparse else RECORDS
    made = table(records)
    if sparse:
        made[:, 1:][np.random.default_rng(2).random((records, FEATURES)) > 0.5] = 0
    content = as_sparse_recordio(made) if sparse else as_recordio(made)
    (host,) = jobs.start({"epochs": "1", "num_models": "1"}, {"train": {"train": content}})
    peak = host.peak_bytes()
    assert host.finish() == 0, host.output
    kept = 12 * np.count_nonzero(made[:, 1:]) if sparse else 4 * (FEATURES + 1) * records
    allowed = (5 if sparse else 3) * kept + TORCH_BYTES
    print(f"{peak / 1e6:.0f} MB of {allowed / 1e6:.0f} MB allowed, {kept / 1e6:.0f} MB of them the records")
    assert peak < allowed
