"""Makes fairseq 0.12.2 usable on Python 3.11, torch 2.13 and processes without a GPU. The only module that knows how.

What it mends, and why:

- Python 3.11 refuses an instance of a dataclass as a field's default unless it can be hashed. fairseq and hydra have
  hundreds of them, so their dataclasses get `unsafe_hash` while they are imported.
- `torch.load` refuses by default to unpickle more than tensors; fairseq's checkpoints hold an argparse.Namespace. What
  reads the job's own checkpoints says so by TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD, and the endpoint never does.
- `all_gather_list`, by which processes exchange what cannot be summed, goes through the GPU even if there is none.
- A copy of a checkpoint that is interrupted is a torn one: copies become hard links, which are whole or not there.
- Where a gradient is no number, fairseq trains the batch again to find out where; the hooks that it does so by fail on
  modules that give dictionaries, and hide the FloatingPointError.
- Deprecated ways of calling torch, and notices of optional packages, are warned of in hundreds of lines.
"""

from __future__ import annotations

import dataclasses
import logging
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

TRUST_CHECKPOINTS = {"TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD": "1"}
"""Environment of a process that reads checkpoints which this job, or a person's trust, vouches for."""

_MENDED = ("fairseq", "hydra")
_NOISY = ("fairseq", "torch", "hydra", "omegaconf", "sacrebleu", "subword_nmt", "sacremoses")


def import_fairseq() -> None:
    """Import fairseq, mended, with its tasks, models and everything that registers itself; takes seconds once."""
    if "fairseq.tasks" in sys.modules:
        return
    silence()
    import torch  # noqa: F401 - before the patch: its own dataclasses need no mending

    with _hashable_dataclasses():
        import fairseq.models
        import fairseq.options
        import fairseq.tasks  # noqa: F401
        import fairseq_cli.train  # noqa: F401
    _mend_gathering()
    _mend_copying()
    _mend_divergence()


def silence() -> None:
    """Ignore the warnings of what this package builds on: none is of anything that its user could change."""
    for name in _NOISY:
        warnings.filterwarnings("ignore", module=rf"{name}(\.|$)")
    # Some blame the caller of their caller.
    warnings.filterwarnings("ignore", message=r"\n?'[a-z]+' is validated against ConfigStore schema")
    warnings.filterwarnings("ignore", message=".*weight_norm.*", category=FutureWarning)
    warnings.filterwarnings("ignore", message=".*(reduce_op|lr_scheduler|non-tuple|__floordiv__|TypedStorage|nested).*")
    logging.getLogger("fairseq.tasks.text_to_speech").setLevel(logging.ERROR)  # tensorboardX is not installed


@contextmanager
def _hashable_dataclasses() -> Iterator[None]:
    original: Any = dataclasses.dataclass

    def dataclass(cls: Any = None, /, **options: Any) -> Any:
        if sys._getframe(1).f_globals.get("__name__", "").partition(".")[0] in _MENDED:
            options.setdefault("unsafe_hash", True)
        return original(cls, **options)

    dataclasses.dataclass = dataclass
    try:
        yield
    finally:
        dataclasses.dataclass = original


def _mend_gathering() -> None:
    import torch
    from fairseq.distributed import utils as distributed_utils

    original: Callable[..., list[Any]] = distributed_utils.all_gather_list

    def all_gather_list(data: Any, group: Any = None, max_size: int = 16384) -> list[Any]:
        if torch.distributed.get_backend(group) == "nccl":
            return original(data, group=group, max_size=max_size)
        gathered: list[Any] = [None] * torch.distributed.get_world_size(group)
        torch.distributed.all_gather_object(gathered, data, group=group)
        return gathered

    distributed_utils.all_gather_list = all_gather_list


def _mend_divergence() -> None:
    from fairseq import trainer

    trainer.NanDetector = nullcontext


def _mend_copying() -> None:
    from fairseq.file_io import PathManager

    def copy(source: str, target: str, overwrite: bool = False) -> bool:
        linked = Path(f"{target}.link")
        if not overwrite and Path(target).exists():
            return False
        linked.unlink(missing_ok=True)
        linked.hardlink_to(source)
        linked.replace(target)
        return True

    PathManager.copy = staticmethod(copy)
