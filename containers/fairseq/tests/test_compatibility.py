"""What makes fairseq run here, and that it touches nothing else."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

SHARED = """
import dataclasses, sys, os, pathlib
before = dataclasses.dataclass
from translator.compatibility import import_fairseq
import_fairseq()
"""


def python(code: str, *arguments: str) -> str:
    command = [sys.executable, "-W", "error::UserWarning", "-c", SHARED + code, *arguments]
    made = subprocess.run(command, capture_output=True, text=True, check=False)
    assert made.returncode == 0, made.stderr
    assert made.stderr == ""
    return made.stdout.strip()


def test_without_it_fairseq_cannot_be_imported() -> None:
    """The day on which this fails, the patch of dataclasses can go."""
    made = subprocess.run([sys.executable, "-c", "import fairseq"], capture_output=True, text=True, check=False)
    assert made.returncode != 0
    assert "mutable default" in made.stderr


def test_fairseq_is_imported_without_a_word_and_others_dataclasses_stay_as_they_were() -> None:
    code = """
from fairseq.models import ARCH_MODEL_REGISTRY
assert "fconv_iwslt_de_en" in ARCH_MODEL_REGISTRY
assert dataclasses.dataclass is before
@dataclasses.dataclass
class Plain:
    x: int = 0
assert Plain.__hash__ is None
from fairseq.dataclass.configs import CommonConfig
assert CommonConfig.__hash__ is not None
"""
    python(code)


def test_nothing_is_imported_that_translation_does_not_need() -> None:
    assert (
        python("print([name for name in ('torchaudio', 'tensorboard', 'matplotlib', 'pandas') if name in sys.modules])")
        == "[]"
    )


def test_a_copy_of_a_checkpoint_is_whole_or_not_there(tmp_path: Path) -> None:
    (tmp_path / "best").write_text("new")
    (tmp_path / "last").write_text("old")
    code = """
from fairseq.file_io import PathManager
best, last = sys.argv[1:]
assert not PathManager.copy(best, last)
assert pathlib.Path(last).read_text() == "old"
assert PathManager.copy(best, last, overwrite=True)
assert os.path.samefile(best, last)
"""
    python(code, str(tmp_path / "best"), str(tmp_path / "last"))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["best", "last"]


def test_processes_without_a_gpu_gather_what_cannot_be_summed() -> None:
    code = """
import torch
from fairseq.distributed import utils
torch.distributed.init_process_group("gloo", store=torch.distributed.HashStore(), rank=0, world_size=1)
print(utils.all_gather_list({"words": [1, 2]}))
torch.distributed.destroy_process_group()
"""
    assert python(code) == "[{'words': [1, 2]}]"
