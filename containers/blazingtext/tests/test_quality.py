"""The quality that users of BlazingText know, on a corpus of Wikipedia's."""

from __future__ import annotations

import json
import lzma
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PACKED = Path(__file__).resolve().parents[4] / "shared" / "data" / "text8like" / "text8like.xz"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(1800),
    pytest.mark.skipif(not PACKED.exists(), reason="the text8-like corpus is not on this machine"),
]


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("corpus") / "text8like"
    with lzma.open(PACKED) as packed, path.open("wb") as unpacked:
        shutil.copyfileobj(packed, unpacked)
    return path


@pytest.mark.parametrize(("mode", "at_least"), [("batch_skipgram", 0.66), ("skipgram", 0.66), ("cbow", 0.62)])
def test_the_published_settings_reach_the_published_score(
    corpus: Path, tmp_path: Path, mode: str, at_least: float
) -> None:
    (tmp_path / "input/config").mkdir(parents=True)
    (tmp_path / "input/data/train").mkdir(parents=True)
    (tmp_path / "input/data/train/text8like").symlink_to(corpus)
    (tmp_path / "input/config/hyperparameters.json").write_text(json.dumps({"mode": mode}))
    environment = {**os.environ, "SAGEMAKER_BASE_DIR": str(tmp_path)}
    subprocess.run([sys.executable, "-m", "blazingtext", "train"], env=environment, check=True)
    evaluation = json.loads((tmp_path / "model/eval.json").read_text())
    assert evaluation["EN-WS-353-ALL.txt"]["not_found"] == 2
    assert evaluation["mean_rho"] >= at_least
