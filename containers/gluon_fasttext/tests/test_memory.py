"""The memory of a job, held against the formula of docs/algorithms/gluon_fasttext.md."""

from __future__ import annotations

import json
import lzma
from pathlib import Path

import numpy as np
import pytest

from contract.testing import Jobs

SST2 = Path(__file__).resolve().parents[4] / "shared" / "data" / "sst2" / "sst2.train.xz"
MXNET_BYTES = 300e6
DIM = 100
STATES = 2  # of adam


@pytest.mark.skipif(not SST2.exists(), reason="needs the data set sst2 beside the checkout")
def test_trigrams_of_sst2_take_no_more_than_the_formula_says(jobs: Jobs) -> None:
    text = lzma.decompress(SST2.read_bytes())
    buckets = 2_000_000
    settings = {"ngrams": "3", "emsize": str(DIM), "epochs": "1", "batch_size": "512", "buckets": str(buckets)}
    (host,) = jobs.start(settings, {"train": {"train.txt": text}})
    peak = host.peak_bytes()
    assert host.finish() == 0, host.output
    texts = text.count(b"\n")
    tokens = len(text.split())  # labels are none, and each text ends with a token
    words = len(json.loads((host.model / "vocab.json").read_text())["idx_to_token"])
    used = len(np.load(host.model / "buckets.npy"))
    assert used > 150_000
    allowed = 4 * tokens + 64 * texts + 400 * words + 4 * DIM * (words + used) * (2 + STATES) + 5 * buckets
    print(f"{peak / 1e6:.0f} MB of {(allowed + MXNET_BYTES) / 1e6:.0f} MB allowed")
    assert peak < allowed + MXNET_BYTES
