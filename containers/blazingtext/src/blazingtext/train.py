"""A training job: word2vec, from its channel to vectors.txt, vectors.bin and eval.json.

Text classification, the mode `supervised`, has a job of its own: classification.py.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict

from blazingtext import classification, gpu
from blazingtext._engine import Corpus, CorpusPart, Trainer
from blazingtext.checkpointing import TrainerCheckpoints
from blazingtext.cuda_device import Device, find_device
from blazingtext.curvature import Updates
from blazingtext.distributed import Synchronisation
from blazingtext.divergence import divergence_named
from blazingtext.evaluation import evaluate, rows_of_pairs
from blazingtext.gpu import AnyTrainer
from blazingtext.machine import cpu_sockets, identify_gpus
from blazingtext.packed import unpack
from blazingtext.pretrained import PretrainedVectors
from blazingtext.progress import Pace, Progress
from blazingtext.quantised import QuantisedMatrix
from contract import fasttext_format
from contract.channels import InputChannel
from contract.environment import TrainingEnvironment
from contract.errors import ClientError
from contract.rendezvous import Hosts, rendezvous
from contract.training import run_training

logger = logging.getLogger(__name__)


class Word2Vec(BaseModel):
    """The hyperparameters of the word2vec modes, typed; defaults and ranges are in algorithm.toml."""

    model_config = ConfigDict(frozen=True, strict=True)

    mode: Literal["batch_skipgram", "skipgram", "cbow"]
    batch_size: int
    buckets: int
    epochs: int
    evaluation: bool
    learning_rate: float
    min_char: int
    max_char: int
    min_count: int
    negative_samples: int
    quantize: bool
    quantized_block: int
    sampling_threshold: float
    seed: int
    subwords: bool
    threads: int
    vector_dim: int
    window_size: int


def main() -> int:
    """Train as the environment says; the exit code."""
    return run_training("blazingtext", train)


def train(environment: TrainingEnvironment) -> None:
    """Train what the mode says: word vectors or a text classifier."""
    if environment.hyperparameters["mode"] == "supervised":
        classification.train(environment)
    else:
        train_word_vectors(environment)


def train_word_vectors(environment: TrainingEnvironment) -> None:
    """Read the corpus, train on all hosts, and on the first host write and score the vectors."""
    settings = Word2Vec.model_validate(environment.hyperparameters)
    device = choose_device(environment)
    announce(environment, settings, device)
    with rendezvous(environment) as hosts:
        pretrained = PretrainedVectors.of(environment, model_settings(settings), threads(environment, settings))
        corpus = read_corpus(hosts, environment, settings, pretrained.words if pretrained else [])
        trainer = make_trainer(corpus, environment, settings, device, pretrained)
        if fit(trainer, corpus, hosts, environment, settings) and environment.is_master:
            write_model(trainer, corpus, environment.paths.model, settings, threads(environment, settings))
            if settings.evaluation and not environment.stopping.is_set():
                score(trainer, corpus, environment.paths.model)
        hosts.await_master()
    if not environment.is_master:
        logger.info(
            "Master host is not alive. Training might have finished. Shutting down.... Check the logs for %s machine.",
            environment.hosts[0],
        )


def choose_device(environment: TrainingEnvironment) -> Device | None:
    """The GPU to train on, None for the CPU."""
    print("Arguments: train")
    gpus, seconds = identify_gpus()
    logger.info("nvidia-smi took: %s secs to identify %d gpus", seconds, gpus)
    if gpus and len(environment.hosts) > 1:
        logger.warning("The GPUs are not used: a job of %d hosts trains on their CPUs.", len(environment.hosts))
        return None
    return find_device(gpus)


def announce(environment: TrainingEnvironment, settings: Word2Vec, device: Device | None) -> None:
    """Say what is about to run, and warn of settings that are allowed but rarely wise."""
    if len(environment.hosts) > 1:
        logger.info(
            "Running distributed CPU BlazingText training using %s on %d hosts.", settings.mode, len(environment.hosts)
        )
        print(
            f"processor name: {environment.current_host}, number of processors: {len(environment.hosts)},"
            f" rank: {environment.rank}"
        )
    else:
        processor = "GPU" if device else "CPU"
        logger.info("Running single machine %s BlazingText training using %s mode.", processor, settings.mode)
    print(f"Number of CPU sockets found in instance is  {cpu_sockets()}")
    recommended = 2 * settings.window_size + 1
    if settings.mode == "batch_skipgram" and settings.batch_size != recommended:
        logger.warning(
            "It is recommended that you set batch_size as 2*window_size + 1 which is %d in this case.", recommended
        )
    if settings.vector_dim >= 1500:
        logger.warning("vector_dim=%d needs much memory; most uses need no more than 300.", settings.vector_dim)


def read_corpus(hosts: Hosts, environment: TrainingEnvironment, settings: Word2Vec, words: list[str]) -> Corpus:
    """This host's part of the channel's files, encoded by the vocabulary of all.

    Args:
        words: are in the vocabulary however often they occur.

    Raises:
        ClientError: no files, other files than on the other hosts, gzip data that is damaged, bytes that are not
            UTF-8, or no word that is frequent enough.
    """
    channel = environment.channel("train")
    files = channel.files()
    for path in files:
        print(f"Processing {path} . File size: {path.stat().st_size / 2**20} MB")
    cores = threads(environment, settings)
    with TemporaryDirectory(prefix="unpacked-") as scratch:
        paths = unpack(channel, files, Path(scratch), cores)
        try:
            part = CorpusPart([str(path) for path in paths], cores, hosts.rank, hosts.size)
        except ValueError as error:
            found = str(error).replace(f"{channel.directory}/", "").replace(f"{scratch}/", "")
            raise ClientError(f"channel {channel.name!r}: {found}") from error
    corpus = part.encode(settings.min_count, cores, others_counts(part, files, channel, hosts), words)
    for millions in range(10, corpus.tokens_read // 10**6, 10):
        print(f"Read {millions}M words")
    print(f"Read {corpus.tokens_read // 10**6}M words")
    print(f"Number of words:  {len(corpus.counts)}")
    if not corpus.counts.any():
        raise ClientError(
            f"channel {channel.name!r} holds no word that occurs at least min_count={settings.min_count} times"
            f" ({corpus.tokens_read} tokens read); lower min_count or check the corpus."
        )
    return corpus


def others_counts(part: CorpusPart, files: Sequence[Path], channel: InputChannel, hosts: Hosts) -> list[bytes]:
    """What the other hosts counted in their parts of the channel.

    Raises:
        ClientError: they were given other files.
    """
    if hosts.size == 1:
        return []
    seen = hosts.exchange([[str(path.relative_to(channel.directory)), path.stat().st_size] for path in files])
    if any(listed != seen[0] for listed in seen):
        found = ", ".join(f"{len(listed)} files of {sum(size for _, size in listed)} bytes" for listed in seen)
        raise ClientError(
            f"channel {channel.name!r} differs from host to host ({found}); its distribution must be FullyReplicated."
        )
    counts = hosts.share(part.counts)
    return counts[: hosts.rank] + counts[hosts.rank + 1 :]


def threads(environment: TrainingEnvironment, settings: Word2Vec) -> int:
    """Threads that this host can use."""
    return settings.threads or environment.cpus


def make_trainer(
    corpus: Corpus,
    environment: TrainingEnvironment,
    settings: Word2Vec,
    device: Device | None,
    pretrained: PretrainedVectors | None,
) -> AnyTrainer:
    """The engine, or the device with its help, ready to train this host's part.

    Raises:
        ClientError: the model does not fit into memory, or a pretrained vector is damaged.
    """
    try:
        trainer = Trainer(
            corpus,
            mode=settings.mode,
            dim=settings.vector_dim,
            window_size=settings.window_size,
            negative_samples=settings.negative_samples,
            batch_size=settings.batch_size,
            epochs=settings.epochs,
            learning_rate=settings.learning_rate,
            sampling_threshold=settings.sampling_threshold,
            subwords=settings.subwords,
            min_char=settings.min_char,
            max_char=settings.max_char,
            buckets=settings.buckets,
            seed=settings.seed,
            threads=threads(environment, settings),
            rank=environment.rank,
        )
        if pretrained:
            pretrained.start(trainer, corpus)
        if device:
            return gpu.Trainer(trainer, corpus, device)
        if trainer.threads < threads(environment, settings):
            logger.warning(
                "Training with %d of %d threads: the corpus has so few different words that more would get in each"
                " other's way.",
                trainer.threads,
                threads(environment, settings),
            )
        return trainer
    except MemoryError:
        raise ClientError(
            f"the vectors of {len(corpus.counts)} words{' and their n-grams' if settings.subwords else ''} with"
            f" vector_dim={settings.vector_dim} do not fit into memory; lower vector_dim or raise min_count, or choose"
            " a larger instance."
        ) from None


def fit(
    trainer: AnyTrainer, corpus: Corpus, hosts: Hosts, environment: TrainingEnvironment, settings: Word2Vec
) -> bool:
    """Train to the end, or until the job is asked to stop; whether there is anything worth keeping.

    A job with checkpoints goes on from the newest, and writes more as it goes and when it ends.

    Raises:
        ClientError: the vectors grew beyond all bounds, or the checkpoint is another job's.
    """
    checkpoints = TrainerCheckpoints(environment, hosts, trainer, corpus)
    synchronisation = None
    if isinstance(trainer, Trainer) and hosts.size > 1:
        synchronisation = Synchronisation(hosts, trainer, updates(corpus, settings))
    words: int
    words = words_before = sum(hosts.exchange(trainer.words_done))
    progress = Progress(
        total_words=corpus.tokens_read * settings.epochs, words_before=words_before, fenced=hosts.size == 1
    )
    pace = Pace(trainer)
    unfinished, stopping = True, False
    while not stopping:
        with divergence_named(settings.learning_rate):
            trained = trainer.train(synchronisation.interval) if synchronisation else pace.train()
        report = np.array(
            [
                [trainer.words_done],
                [trainer.alpha * trained],
                [trained > 0 and trainer.words_done < trainer.total_words],
                [environment.stopping.is_set()],
                [checkpoints.due],
            ],
            np.float64,
        )
        hosts.add_up(report)
        words, unfinished = int(report[0, 0]), report[2, 0] > 0
        stopping = not unfinished or report[3, 0] > 0
        saving = checkpoints.active and words > words_before and (stopping or report[4, 0] > 0)
        if saving:
            with divergence_named(settings.learning_rate):
                checkpoints.pause()
        if synchronisation:
            synchronisation.synchronise(report[1, 0] / hosts.size, everything=stopping or saving)
        if saving:
            checkpoints.save()
        progress.tell(words, trainer.alpha, finished=not unfinished)
    with divergence_named(settings.learning_rate):
        trainer.check_finite()
    if unfinished:
        logger.warning("The job was asked to stop; keeping what was trained so far.")
    else:
        progress.summarise()
    return words > 0


def updates(corpus: Corpus, settings: Word2Vec) -> Updates:
    """How often batch_skipgram, the mode that several hosts run, moves each row."""
    return Updates.of_batch_skipgram(
        corpus.counts,
        corpus.tokens_read,
        window_size=settings.window_size,
        negative_samples=settings.negative_samples,
        sampling_threshold=settings.sampling_threshold,
    )


def model_settings(settings: Word2Vec) -> fasttext_format.Settings:
    """The hyperparameters as a fastText .bin records them."""
    return fasttext_format.Settings(
        architecture="cbow" if settings.mode == "cbow" else "skipgram",
        dim=settings.vector_dim,
        window_size=settings.window_size,
        epochs=settings.epochs,
        min_count=settings.min_count,
        negative_samples=settings.negative_samples,
        buckets=settings.buckets if settings.subwords else 0,
        min_char=settings.min_char if settings.subwords else 0,
        max_char=settings.max_char if settings.subwords else 0,
        sampling_threshold=settings.sampling_threshold,
    )


def write_model(trainer: AnyTrainer, corpus: Corpus, folder: Path, settings: Word2Vec, threads: int) -> None:
    """Write vectors.txt, vectors.bin, and vectors.ftz where it is asked for."""
    # Words of pretrained vectors alone count as one occurrence, as in fastText: gensim drops those with none.
    counts = np.maximum(corpus.counts, 1)
    trainer.write_text_vectors(str(folder / "vectors.txt"))
    fasttext_format.write(
        folder / "vectors.bin",
        model_settings(settings),
        words=corpus.words,
        counts=counts,
        tokens=corpus.tokens_read,
        input=trainer.input,
        bucket_ids=trainer.bucket_ids,
        output=trainer.output,
    )
    if settings.quantize:
        block = min(settings.quantized_block, settings.vector_dim)
        fasttext_format.write_quantised(
            folder / "vectors.ftz",
            model_settings(settings),
            words=corpus.words,
            counts=counts,
            tokens=corpus.tokens_read,
            input=QuantisedMatrix.of(trainer.input, block, seed=settings.seed, threads=threads),
            bucket_ids=trainer.bucket_ids,
        )


def score(trainer: AnyTrainer, corpus: Corpus, folder: Path) -> None:
    """Evaluate the vectors on WordSim-353; write eval.json, and print the metric where there is one."""
    print("\nEvaluating word embeddings....")
    print(f"Vectors read from: {folder / 'vectors.txt'}")
    words = corpus.words
    rows = rows_of_pairs(words)
    evaluation = evaluate([words[row] for row in rows], trainer.word_vectors(rows))
    content = json.dumps(evaluation.as_json(), indent=4)
    (folder / "eval.json").write_text(content + "\n", encoding="utf-8")
    print(content)
    if evaluation.mean_rho is None:
        logger.warning(
            "WordSim-353 gives no score: both words are known of only %d of its %d pairs.",
            evaluation.found,
            evaluation.total,
        )
        return
    if 2 * evaluation.found < evaluation.total:
        logger.warning(
            "The score says little: both words are known of only %d of WordSim-353's %d pairs.",
            evaluation.found,
            evaluation.total,
        )
    logger.info("#mean_rho: %s", evaluation.mean_rho)
