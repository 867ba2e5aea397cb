"""A training job: texts read, the classifier fitted on all hosts, the model written and scored."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from contract.checkpoints import Checkpoints
from contract.environment import TrainingEnvironment
from contract.errors import ClientError
from contract.rendezvous import Hosts, rendezvous
from contract.text_classification import MOST_LABELS_TESTED
from contract.text_classification.report import Epoch, write_report
from contract.training import run_training
from gluon_fasttext import classifier
from gluon_fasttext.classifier import Config, TextClassifier
from gluon_fasttext.compatibility import load_mxnet
from gluon_fasttext.distributed import Cluster
from gluon_fasttext.examples import Data, read_data
from gluon_fasttext.fitting import Fitting, Settings, Weights, first_weights, plan, weights_of
from gluon_fasttext.network import Network
from gluon_fasttext.optimisation import Schedule, make_optimizer
from gluon_fasttext.parameters import OwnParameters, Parameters, SharedParameters
from gluon_fasttext.texts import Tokeniser, labelled_texts

logger = logging.getLogger(__name__)

_TEXTS_SCORED_AT_A_TIME = 1_000


def main() -> int:
    """Train as the environment says; ends the process."""
    code = run_training("gluon_fasttext", train)
    sys.stdout.flush()
    # Without the interpreter's shutdown: a kvstore that has lost its peers would wait for them.
    os._exit(code)


def train(environment: TrainingEnvironment) -> None:
    """Train on all hosts; the first writes the model, and scores it on the channel `test`.

    Raises:
        ClientError: a channel or a hyperparameter that cannot be trained with.
    """
    settings = Settings.model_validate(environment.hyperparameters)
    if settings.early_stopping and "validation" not in environment.channels:
        raise ClientError("early_stopping=True needs channel 'validation'; give it, or set early_stopping to False.")
    mx = load_mxnet(environment.cpus)
    devices = devices_of(mx, settings.gpu)
    logger.info("Training on %s of %d host(s).", ", ".join(map(str, devices)), len(environment.hosts))
    tokeniser = Tokeniser(settings.normalize, settings.max_length)
    with rendezvous(environment) as hosts:
        data = read_data(
            environment.channel("train"),
            environment.channels.get("validation"),
            tokeniser,
            hosts,
            min_count=settings.min_count,
            ngrams=settings.ngrams,
            buckets=settings.buckets,
        )
        print(f"Read {data.vocabulary.tokens} words")
        print(f"Number of words:  {len(data.vocabulary.words)}")
        print(f"Number of n-gram buckets used:  {data.rows - len(data.vocabulary.words)}")
        print(f"Number of labels:  {len(data.vocabulary.labels)}")
        weights, epochs = fit(mx, devices, environment, hosts, data, settings)
        if weights:
            write(environment, data, settings, weights)
            if not environment.stopping.is_set():
                score(environment, epochs)
        hosts.await_master()


def devices_of(mx: Any, gpu: int | None) -> list[Any]:
    """The devices to train on: the hyperparameter's GPU, or all of the host's, or the CPU.

    Raises:
        ClientError: the host has no such GPU.
    """
    count = mx.context.num_gpus()
    if gpu is not None and gpu >= count:
        raise ClientError(f"hyperparameter gpu={gpu} is not valid; this host has {count} GPUs that MXNet can use.")
    if gpu == -1 or not count:
        return [mx.cpu()]
    return [mx.gpu(gpu)] if gpu is not None else [mx.gpu(number) for number in range(count)]


def fit(
    mx: Any, devices: list[Any], environment: TrainingEnvironment, hosts: Hosts, data: Data, settings: Settings
) -> tuple[Weights | None, Sequence[Epoch]]:
    """The trained weights, on the first host, and what each epoch came to."""
    cut = plan(data, settings, hosts, environment)
    identity = {
        **environment.hyperparameters,
        "hosts": hosts.size,
        "training texts": sum(hosts.exchange(len(data.train))),
        "training tokens": data.vocabulary.tokens,
    }
    checkpoints = Checkpoints.of_job(environment, hosts, identity)
    found = checkpoints.newest() if checkpoints else None
    updates = 0 if not found else found.state["epochs_done"] * cut.updates + found.state["step"]
    mx.random.seed(settings.seed + hosts.rank + hosts.size * updates)
    schedule = Schedule(settings.lr_schedule, settings.lr, cut.updates, settings.epochs)
    optimizer = make_optimizer(mx, settings.optimizer, schedule)
    with ExitStack() as stack:
        cluster = None
        if hosts.size > 1:
            scratch = Path(stack.enter_context(TemporaryDirectory(prefix="kvstore-")))
            cluster = stack.enter_context(Cluster(mx, environment, hosts, scratch))
        start = weights_of(found, hosts) if found else first_weights(data, settings)
        parameters = parameters_of(mx, devices, cluster, optimizer, start)
        del start  # they are copied: each copy is as large as the model
        network = Network(mx, devices, parameters, settings.dropout)
        fitting = Fitting(
            network, parameters, len(devices), data, settings, hosts, environment, cut, checkpoints, found
        )
        return fitting.run(), fitting.history


def parameters_of(mx: Any, devices: list[Any], cluster: Cluster | None, optimizer: Any, start: Weights) -> Parameters:
    """Where the weights are trained: on the one device, in a kvstore of this host, or in one of all hosts."""
    if cluster:
        return SharedParameters(mx, devices, cluster.kvstore, optimizer, start.embedding, start.output, remote=cluster)
    if len(devices) > 1:
        return SharedParameters(mx, devices, mx.kv.create("local"), optimizer, start.embedding, start.output)
    return OwnParameters(mx, devices[0], optimizer, start.embedding, start.output)


def write(environment: TrainingEnvironment, data: Data, settings: Settings, weights: Weights) -> None:
    """Write the model."""
    config = Config(
        ngrams=settings.ngrams,
        buckets=settings.buckets,
        normalize=settings.normalize,
        max_length=settings.max_length,
        min_count=settings.min_count,
        epochs=settings.epochs,
        tokens=data.vocabulary.tokens,
    )
    classifier.write(environment.paths.model, config, data.vocabulary, data.hashing, weights.embedding, weights.output)


def score(environment: TrainingEnvironment, epochs: Sequence[Epoch]) -> None:
    """Score the written model on the channel `test`, or on `validation`; the report goes to the job's output data.

    Raises:
        ClientError: no line has a label.
    """
    name = next((name for name in ("test", "validation") if name in environment.channels), None)
    if name is None:
        return
    channel = environment.channel(name)
    model = TextClassifier.read(environment.paths.model)
    truth: list[list[str]] = []
    predictions: list[list[tuple[str, float]]] = []
    lines = labelled_texts(channel)
    while some := list(islice(lines, _TEXTS_SCORED_AT_A_TIME)):
        answers = model.predict([text.decode(errors="replace") for _, text in some], MOST_LABELS_TESTED)
        truth += [[label.decode(errors="replace") for label in labels] for labels, _ in some]
        predictions += [list(zip(answer["label"], answer["prob"], strict=True)) for answer in answers]
    if not truth:
        raise ClientError(f"channel {channel.name!r} holds no line with a label.")
    found = write_report(environment.paths.output_data, truth, predictions, name, epochs)
    if name == "test":
        print(f"\n#test_accuracy: {found.accuracy:.4f}")
        print(f"Number of test examples: {found.examples}")
