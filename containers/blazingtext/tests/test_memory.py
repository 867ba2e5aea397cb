"""The memory of a job is what the documentation's formula says."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

MB = 2**20
DIM = 60  # 64 floats with the padding to whole cache lines
ROW_BYTES = 64 * 4


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """4,000,000 tokens; Zipf's law with a long tail of rare words."""
    path = tmp_path_factory.mktemp("memory") / "corpus.txt"
    ranks = np.random.default_rng(3).zipf(1.25, 4_000_000) % 400_000
    path.write_text(" ".join(f"word{rank}" for rank in ranks.tolist()))
    return path


@pytest.mark.parametrize("threads", [1, 2])
def test_a_job_takes_three_bytes_a_token_the_vocabulary_and_two_matrices(corpus: Path, threads: int) -> None:
    probe = Path(__file__).with_name("memory_of_a_job.py")
    command = [sys.executable, str(probe), str(corpus), str(DIM), str(threads)]
    job = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    different = len(set(corpus.read_text().split()))
    tokens, words = job["tokens"], job["words"]
    print(job, different)
    assert job["tokens"] == 4_000_000

    # The sampler's thread and what the allocator keeps at hand; a fourth byte for each token would be more.
    spare = (1 + threads) * MB
    parts_under_way = (2 + threads) * MB
    reading = 4 * tokens + threads * different * 110  # the counters, at the sizes that this corpus makes them
    matrices = words * 2 * ROW_BYTES
    own_rows = matrices / 16 if threads > 1 else 0
    training = 3 * tokens + words * 100 + matrices + own_rows
    assert job["read"] - job["start"] <= reading + spare + parts_under_way
    assert job["train"] - job["start"] <= training + spare
    assert job["write"] - job["start"] <= training + spare
