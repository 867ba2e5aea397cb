"""One of a job's training processes: fairseq-train, told where it stands among the others and when to stop.

`python -m translator.fairseq_process JOB.json` trains as the job says. What this adds to fairseq's loop, by wrapping
three of its functions: metric lines, the history of the epochs, checkpoints by the clock, and an end that all processes
come to at the same update when the service asks for it.
"""

from __future__ import annotations

import json
import logging
import math
import multiprocessing
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NoReturn

from contract import logs
from contract.errors import ClientError, failure_reason, is_users_mistake
from translator.compatibility import import_fairseq
from translator.flags import parsed

logger = logging.getLogger(__name__)

_LARGEST_SHARE = 0.02  # of the time, spent on writing checkpoints
_AGREE_EVERY = 10  # updates, on GPUs, which would stand still meanwhile
_PROGRESS_S = 5.0
# What a process says when another one has gone: not the reason why the job failed.
_SECONDARY = ("connection closed", "connection reset", "nccl", "gloo", "broken pipe", "timed out", "store", "recv")

_OTHER_MODEL = "please ensure that the architectures match"  # fairseq's words


@dataclass(frozen=True)
class ProcessJob:
    """What one process is to do. `rank` and `world_size` count processes of all hosts; times in seconds."""

    arguments: Sequence[str]
    rank: int
    world_size: int
    init_method: str | None
    backend: str
    device: int | None
    threads: int
    history: str
    stop: str
    failure: str
    checkpoint_interval: float | None

    def dumps(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def loads(cls, text: str) -> ProcessJob:
        return cls(**json.loads(text))


@dataclass(frozen=True)
class ProcessFailure:
    """Why a process ended; a `secondary` failure is the echo of another process's end."""

    sentence: str
    users_mistake: bool = False
    secondary: bool = False


def main(arguments: Sequence[str]) -> int:
    """Train; the exit code. A failure is also written to the file that the job names."""
    job = ProcessJob.loads(Path(arguments[0]).read_text(encoding="utf-8"))
    logs.set_up(logging.INFO if job.rank == 0 else logging.WARNING)
    try:
        _train(job)
    except Exception as error:
        failure = _failure(error)
        logger.error("%s", failure.sentence, exc_info=None if failure.users_mistake or failure.secondary else error)
        Path(job.failure).write_text(json.dumps(asdict(failure)), encoding="utf-8")
        return 1
    return 0


def _failure(error: Exception) -> ProcessFailure:
    if is_users_mistake(error):
        return ProcessFailure(str(error), users_mistake=True)
    if isinstance(error, FloatingPointError):
        return ProcessFailure(f"training diverged ({error}); lower lr or clip-norm.", users_mistake=True)
    sentence = failure_reason(error).partition(": ")[2]
    if _OTHER_MODEL in sentence:
        return ProcessFailure(
            "the checkpoints that were found are of another model; give this job a checkpoint prefix of its own, or the"
            " same data, arch and sizes.",
            users_mistake=True,
        )
    lost = isinstance(error, RuntimeError | ConnectionError) and any(word in sentence.lower() for word in _SECONDARY)
    return ProcessFailure(sentence, secondary=lost)


def _train(job: ProcessJob) -> None:
    import_fairseq()
    import torch
    from fairseq.dataclass.utils import convert_namespace_to_omegaconf
    from fairseq.distributed import utils as distributed_utils
    from fairseq_cli import train

    torch.set_num_threads(job.threads)
    _quieten()
    namespace = parsed(job.arguments)
    namespace.distributed_world_size, namespace.distributed_rank = job.world_size, job.rank
    namespace.distributed_init_method, namespace.distributed_backend = job.init_method, job.backend
    namespace.device_id, namespace.distributed_no_spawn = job.device or 0, True
    namespace.cpu = job.device is None
    _Hooks(job, train).install()
    distributed_utils.call_main(convert_namespace_to_omegaconf(namespace), train.main)


def _quieten() -> None:
    """Leave of fairseq's log what concerns the user: the configuration alone is five screens."""
    for name in (
        "fairseq.tasks",
        "fairseq.data.iterators",
        "fairseq.data.data_utils",
        "fairseq.checkpoint_utils",
        "fairseq.trainer",
        "fairseq_cli.train",
    ):
        logging.getLogger(name).setLevel(logging.WARNING)


class _Hooks:
    """What is wrapped around fairseq's training loop."""

    def __init__(self, job: ProcessJob, train: Any) -> None:
        self._job, self._train = job, train
        self._validate_and_save, self._get_valid_stats = train.validate_and_save, train.get_valid_stats
        self._get_training_stats = train.get_training_stats
        self._due = time.monotonic()
        self._told = 0.0
        self._history: list[dict[str, Any]] = []
        self._epoch: dict[str, Any] = {}
        self._ended = self._recalled = False
        self._schedule_checkpoint(0.0)

    def install(self) -> None:
        self._train.validate_and_save = self._after_update
        self._train.get_valid_stats = self._after_validation
        self._train.get_training_stats = self._after_epoch

    def _schedule_checkpoint(self, took: float) -> None:
        if self._job.checkpoint_interval is not None:
            self._due = time.monotonic() + max(self._job.checkpoint_interval, took / _LARGEST_SHARE)

    def _after_update(
        self, cfg: Any, trainer: Any, task: Any, epoch_itr: Any, valid_subsets: list[str], end_of_epoch: bool
    ) -> tuple[list[float | None], bool]:
        """In place of validate_and_save, which fairseq calls after every update."""
        updates = trainer.get_num_updates()
        if not self._recalled:
            self._recalled = True
            self._recall(cfg, updates)
        self._epoch = {"epoch": epoch_itr.epoch, "updates": updates}
        stop, due = self._agreed(trainer, updates)
        if stop:
            logger.info("The job was asked to stop; saving its checkpoint at update %d.", updates)
            self._save(cfg, trainer, epoch_itr)
            return [None], True
        losses, should_stop = self._validate_and_save(cfg, trainer, task, epoch_itr, valid_subsets, end_of_epoch)
        if due and not should_stop and not end_of_epoch:
            self._save(cfg, trainer, epoch_itr)
        elif end_of_epoch:
            self._schedule_checkpoint(0.0)
        self._ended = end_of_epoch or should_stop
        self._tell_progress(cfg, trainer, epoch_itr, ended=self._ended, done=should_stop)
        return losses, should_stop

    def _agreed(self, trainer: Any, updates: int) -> tuple[bool, bool]:
        """Whether to stop, and whether a checkpoint is due: the same on every process."""
        import torch

        if trainer.cuda and updates % _AGREE_EVERY:
            return False, False
        due = self._job.rank == 0 and self._job.checkpoint_interval is not None and time.monotonic() >= self._due
        said = torch.tensor([Path(self._job.stop).exists(), due], dtype=torch.int32, device=trainer.device)
        if self._job.world_size > 1:
            torch.distributed.all_reduce(said, torch.distributed.ReduceOp.MAX)
        stop, checkpoint = said.tolist()
        return bool(stop), bool(checkpoint)

    def _save(self, cfg: Any, trainer: Any, epoch_itr: Any) -> None:
        from fairseq import checkpoint_utils

        began = time.monotonic()
        checkpoint_utils.save_checkpoint(cfg.checkpoint, trainer, epoch_itr, None)
        self._schedule_checkpoint(time.monotonic() - began)

    def _tell_progress(self, cfg: Any, trainer: Any, epoch_itr: Any, *, ended: bool, done: bool) -> None:
        if self._job.rank or (time.monotonic() - self._told < _PROGRESS_S and not ended):
            return
        from fairseq.logging import metrics

        self._told = time.monotonic()
        updates, limit = trainer.get_num_updates(), cfg.optimization.max_update or math.inf
        passed = 0.0
        if cfg.optimization.max_epoch:
            within = epoch_itr.iterations_in_epoch / max(1, len(epoch_itr))
            passed = (epoch_itr.epoch - 1 + min(1.0, within)) / cfg.optimization.max_epoch
        progress = 100 * max(passed, updates / limit)
        values = metrics.get_smoothed_values("train")
        print(
            f"Progress: {100.0 if done else min(progress, 100):.2f}% epoch: {epoch_itr.epoch} updates: {updates}"
            f" loss: {float(values.get('loss', 0)):.3f} wps: {float(values.get('wps', 0)):.1f}"
            f" lr: {trainer.get_lr():.3g}",
            flush=True,
        )

    def _after_validation(self, cfg: Any, trainer: Any, stats: dict[str, Any], tracking_best: bool) -> dict[str, Any]:
        """In place of get_valid_stats."""
        stats.setdefault("bleu", 0.0)  # fairseq leaves it out while no word is right
        stats = self._get_valid_stats(cfg, trainer, stats, tracking_best)
        loss, bleu = _number(stats["loss"]), _number(stats["bleu"])
        if not math.isfinite(loss):
            raise ClientError("training diverged (the validation loss is no number); lower lr.")
        self._epoch |= {"valid_loss": loss, "valid_bleu": bleu}
        if self._job.rank == 0:
            logger.info("#valid_loss: %.4f", loss)
            logger.info("#valid_bleu: %.2f", bleu)
        return stats

    def _after_epoch(self, stats: dict[str, Any]) -> dict[str, Any]:
        """In place of get_training_stats, which fairseq also calls within an epoch, of a few updates."""
        stats = self._get_training_stats(stats)
        if self._job.rank == 0 and self._ended and "valid_loss" in self._epoch:
            loss, pace = _number(stats["loss"]), _number(stats.get("wps", 0))
            logger.info("#train_loss: %.4f", loss)
            logger.info("#train_wps: %.1f", pace)
            self._history.append({**self._epoch, "train_loss": loss, "train_wps": pace})
            self._epoch = {}
            made = Path(f"{self._job.history}.part")
            made.write_text("".join(f"{json.dumps(line)}\n" for line in self._history), encoding="utf-8")
            made.replace(self._job.history)
        return stats

    def _recall(self, cfg: Any, updates: int) -> None:
        """What happened before this process began, in a job that goes on from a checkpoint."""
        path = Path(self._job.history)
        if updates <= 1 or not path.exists():
            return
        logger.info("Going on from the checkpoint at update %d.", updates - 1)
        lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        self._history = [line for line in lines if line["updates"] < updates]
        # fairseq itself forgets how long ago the best epoch was.
        for line in self._history:
            self._train.should_stop_early(cfg, line[f"valid_{cfg.checkpoint.best_checkpoint_metric}"])


def _number(value: Any) -> float:
    """The value of a meter, a tensor or a number."""
    return float(getattr(value, "avg", value))


def _leave(code: int) -> NoReturn:
    """End at once: an interpreter that shuts down while the data loader's thread reads ahead is aborted by C++."""
    for child in multiprocessing.active_children():
        child.terminate()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    _leave(main(sys.argv[1:]))
