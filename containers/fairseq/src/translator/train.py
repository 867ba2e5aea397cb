"""A training job: hyperparameters checked, data made ready, fairseq on every host's processes, the model written."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from contract.checkpoints import INTERVAL
from contract.environment import TrainingEnvironment
from contract.errors import ClientError
from contract.rendezvous import Hosts, Patience, free_port, master_address, rendezvous
from contract.specification import Value
from contract.training import run_training
from translator import artifact, evaluation
from translator.compatibility import silence
from translator.fairseq_process import ProcessJob
from translator.flags import Flags, parsed
from translator.preparation import PreparedData, binarised, prepare
from translator.supervision import Processes, watch
from translator.translation import Search

logger = logging.getLogger(__name__)

_CHECKPOINT_INTERVAL_S = 60.0
_ENDS = ("max-epoch", "max-update", "patience", "force-anneal", "stop-time-hours")
_BEST, _LAST = "checkpoint_best.pt", "checkpoint_last.pt"


def main() -> int:
    """Train as the environment says; the exit code."""
    silence()
    return run_training("translator", train)


def train(environment: TrainingEnvironment) -> None:
    """Train on all hosts, and on the first write the best checkpoint's model, its scores and sample translations.

    Raises:
        ClientError: a hyperparameter that fairseq refuses, or data that cannot be trained on.
    """
    flags = Flags.of(environment.hyperparameters)
    given, asked = flags.values, flags.arguments()
    if not any(_is_set(given.get(name)) for name in _ENDS):
        logger.warning("Nothing but its time ends this job: set %s.", ", ".join(_ENDS[:-1]) + f" or {_ENDS[-1]}")
    with rendezvous(environment) as hosts, TemporaryDirectory(prefix="translator-") as scratch:
        data = make_ready(environment, given, Path(scratch))
        save_dir = _save_dir(environment, Path(scratch))
        arguments = [*_job_flags(data, save_dir, given), *asked]
        namespace = parsed([data.argument, *arguments])
        _same_everywhere(hosts, data)
        _same_checkpoint(hosts, save_dir)
        if not environment.stopping.is_set():
            jobs = _jobs(environment, hosts, given, [data.argument, *arguments], save_dir, Path(scratch))
            with Processes(jobs, Path(scratch), Path(jobs[0].stop)) as processes:
                watch(processes, hosts, environment.stopping)
        if environment.is_master:
            write_model(environment, data, save_dir, _search(namespace))
        hosts.await_master()


def _is_set(value: Value | None) -> bool:
    return value is not None and float(value) > 0


def make_ready(environment: TrainingEnvironment, given: Mapping[str, Value | None], scratch: Path) -> PreparedData:
    """The binarised data of this host.

    Raises:
        ClientError: channels that are missing or hold something else.
    """
    if "training" in environment.channels:
        return binarised(environment.channel("training"), given)
    for name in ("train", "validation"):
        if name not in environment.channels:
            found = ", ".join(sorted(environment.channels)) or "none"
            raise ClientError(
                f"channel {name!r} is missing; give raw text in train and validation, or binarised data in training"
                f" (channels given: {found})."
            )
    folder = scratch / "prepared"
    folder.mkdir()
    return prepare(environment.channel("train"), environment.channel("validation"), given, folder, environment.cpus)


def write_model(environment: TrainingEnvironment, data: PreparedData, save_dir: Path, search: Search) -> None:
    """The best checkpoint, or the last where none was measured, as a model; its scores on the validation sentences."""
    import torch

    path = next((save_dir / name for name in (_BEST, _LAST) if (save_dir / name).exists()), None)
    if path is None:
        logger.warning("The job was asked to stop before there was anything worth keeping.")
        return
    checkpoint = torch.load(path, map_location="cpu", weights_only=False)  # this job's own
    artifact.write(environment.paths.model, checkpoint, data.folder, data.pipeline, search)
    if environment.stopping.is_set():
        logger.warning("The job was asked to stop; keeping what was trained so far.")
    torch.set_num_threads(environment.cpus)
    history, measured = save_dir / evaluation.HISTORY, not environment.stopping.is_set()
    evaluation.write(environment.paths.model, environment.paths.output_data, data, history, measured=measured)


def _save_dir(environment: TrainingEnvironment, scratch: Path) -> Path:
    """Where checkpoints lie: where the service keeps them, in a job that has them."""
    folder = environment.paths.checkpoints
    if folder.is_dir():
        return folder
    (scratch / "checkpoints").mkdir()
    return scratch / "checkpoints"


def _job_flags(data: PreparedData, save_dir: Path, given: Mapping[str, Value | None]) -> list[str]:
    """The flags that the job decides itself, beside its hyperparameters."""
    pipeline = data.pipeline
    metric = given["best-checkpoint-metric"]
    flags = [
        *(f"--source-lang={pipeline.source_lang}", f"--target-lang={pipeline.target_lang}"),
        *(f"--save-dir={save_dir}", "--no-epoch-checkpoints", "--no-progress-bar", "--log-format=none"),
        *("--eval-bleu", '--eval-bleu-args={"beam": 1}', f"--eval-bleu-detok={pipeline.tokenizer}"),
        f'--eval-bleu-detok-args={{"target_lang": "{pipeline.target_lang}"}}',
    ]
    if pipeline.codes:
        flags.append("--eval-bleu-remove-bpe")
    if metric == "bleu":
        flags.append("--maximize-best-checkpoint-metric")
    if "skip-invalid-size-inputs-valid-test" not in given:
        flags.append("--skip-invalid-size-inputs-valid-test")
    return flags


def _jobs(
    environment: TrainingEnvironment,
    hosts: Hosts,
    given: Mapping[str, Value | None],
    arguments: Sequence[str],
    save_dir: Path,
    scratch: Path,
) -> list[ProcessJob]:
    """One job for each of this host's processes."""
    gpus = _gpus()
    asked = given["processes"]
    assert isinstance(asked, int)
    if gpus and asked > gpus:
        raise ClientError(f"hyperparameter processes={asked} is not valid; this host has {gpus} GPUs.")
    count = asked or gpus or 1
    counts = hosts.exchange(count)
    if len(set(counts)) > 1:
        raise ClientError(f"the hosts have {counts} training processes; they must have the same number.")
    size = count * hosts.size
    legacy = [] if gpus else ["--ddp-backend=legacy_ddp"]  # the other ones want a GPU
    written = environment.paths.checkpoints.is_dir()
    interval = float(os.environ.get(INTERVAL, _CHECKPOINT_INTERVAL_S)) if written else None
    address = _meeting_place(environment, hosts) if size > 1 else None
    stop = scratch / "stop"
    return [
        ProcessJob(
            arguments=[*arguments, *(legacy if size > 1 else [])],
            rank=environment.rank * count + number,
            world_size=size,
            init_method=address,
            backend="nccl" if gpus else "gloo",
            device=number if gpus else None,
            threads=max(1, environment.cpus // count),
            history=str(save_dir / evaluation.HISTORY),
            stop=str(stop),
            failure=str(scratch / f"process-{number}.failure"),
            checkpoint_interval=interval,
        )
        for number in range(count)
    ]


def _meeting_place(environment: TrainingEnvironment, hosts: Hosts) -> str:
    """Where the training processes of all hosts meet: a free port of the first host."""
    alone = hosts.size == 1  # its name need not be known to anybody
    address = "127.0.0.1" if alone else master_address(environment, Patience.from_environ().join)[0]
    port = free_port(address) if environment.is_master else 0
    return f"tcp://{address}:{hosts.exchange(port)[0]}"


def _gpus() -> int:
    import torch

    return int(torch.cuda.device_count())


def _search(namespace: Any) -> Search:
    """The search of the hyperparameters, which becomes the model's."""
    return Search(
        beam=namespace.beam,
        lenpen=float(namespace.lenpen),
        unkpen=float(namespace.unkpen),
        max_len_a=float(namespace.max_len_a),
        max_len_b=namespace.max_len_b,
        min_len=namespace.min_len,
        no_repeat_ngram_size=namespace.no_repeat_ngram_size,
    )


def _same_everywhere(hosts: Hosts, data: PreparedData) -> None:
    """Hosts that train on different data would wait for each other for ever.

    Raises:
        ClientError: their data differ.
    """
    sizes = [[path.name, path.stat().st_size] for folder in data.folders for path in sorted(folder.iterdir())]
    if any(found != sizes for found in hosts.exchange(sizes)):
        raise ClientError("the channels differ from host to host; their distribution must be FullyReplicated.")


def _same_checkpoint(hosts: Hosts, save_dir: Path) -> None:
    """See that every host goes on from the first host's checkpoint, or none does.

    fairseq reads it in the first process alone, but asks every process whether it is there.
    """
    path = save_dir / _LAST
    first, *_ = hosts.exchange(path.is_file())
    if first and not path.is_file():
        path.touch()
    elif not first and path.exists():
        logger.warning("The first host has no checkpoint, so training starts at the beginning.")
        path.unlink()
    if not first:
        for stale in (save_dir / _BEST, save_dir / evaluation.HISTORY):
            stale.unlink(missing_ok=True)
