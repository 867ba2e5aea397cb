"""A checkpoint of fairseq's own as a model."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from contract.errors import ClientError
from translator.convert import convert

from .jobs import translator

if TYPE_CHECKING:
    from contract.testing import Host


@pytest.fixture
def checkpoint(trained: Host, tmp_path: Path) -> Path:
    """A folder as people keep one: the checkpoint, dictionaries and codes."""
    folder = tmp_path / "checkpoint"
    folder.mkdir()
    shutil.copy(trained.base / "checkpoints" / "checkpoint_best.pt", folder)
    for name in ("dict.de.txt", "dict.en.txt", "bpecodes"):
        shutil.copy(trained.model / name, folder)
    return folder


def converted(*arguments: object) -> tuple[int, str]:
    process = translator(["convert", *map(str, arguments)], {})
    output, _ = process.communicate(timeout=120)
    return process.returncode, output


def test_a_converted_checkpoint_is_the_model_that_training_wrote(
    trained: Host, checkpoint: Path, tmp_path: Path
) -> None:
    code, output = converted(checkpoint, tmp_path / "made", "beam=3")
    assert code == 0, output
    for name in ("config.json", "model.safetensors", "dict.de.txt", "dict.en.txt", "bpecodes"):
        assert (tmp_path / "made" / name).read_bytes() == (trained.model / name).read_bytes(), name


def test_the_checkpoint_itself_can_be_named(checkpoint: Path, tmp_path: Path) -> None:
    code, output = converted(checkpoint / "checkpoint_best.pt", tmp_path / "made", "lenpen=0.6", "tokenizer=space")
    assert code == 0, output
    config = json.loads((tmp_path / "made" / "config.json").read_text())
    assert config["search"]["lenpen"] == 0.6
    assert config["tokenizer"] == "space"


OPTIONS = {"tokenizer": "moses", "beam": 5, "lenpen": 1.0}


@pytest.mark.filterwarnings("ignore")  # of fairseq's imports, which the command silences by itself
@pytest.mark.parametrize(
    ("missing", "sentence"),
    [
        ("checkpoint_best.pt", "holds no checkpoint_best.pt and is no checkpoint; name a fairseq checkpoint."),
        ("dict.en.txt", "holds no dict.en.txt; put the checkpoint's dictionaries beside it."),
        ("bpecodes", "holds no bpecodes, but the model's words are split; put its BPE codes beside it."),
    ],
)
def test_what_is_missing_is_said(checkpoint: Path, tmp_path: Path, missing: str, sentence: str) -> None:
    (checkpoint / missing).unlink()
    with pytest.raises(ClientError, match=re.escape(sentence)):
        convert(checkpoint, tmp_path / "made", OPTIONS)
    assert not (tmp_path / "made").exists()


def test_a_file_that_is_no_checkpoint_is_refused(checkpoint: Path, tmp_path: Path) -> None:
    (checkpoint / "checkpoint_best.pt").write_bytes(b"no checkpoint")
    code, output = converted(checkpoint, tmp_path / "made")
    assert code == 1
    assert "is no checkpoint that torch can load" in output
    assert "Traceback" not in output
