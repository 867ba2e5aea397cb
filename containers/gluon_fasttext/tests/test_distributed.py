"""Several hosts, and several devices of one host."""

from __future__ import annotations

import os
import re
import signal
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from contract.testing import Jobs
from gluon_fasttext.compatibility import load_mxnet
from gluon_fasttext.hashing import Bags
from gluon_fasttext.network import Network
from gluon_fasttext.optimisation import Schedule, make_optimizer
from gluon_fasttext.parameters import OwnParameters, Parameters, SharedParameters

from .jobs import TOPICS, as_csv, topics
from .test_training import metric

ROWS, LABELS, DIM = 40, 3, 8


def test_two_hosts_learn_as_one_with_twice_the_batch(jobs: Jobs) -> None:
    """Batches of all texts, so that their order does not matter."""
    settings = {"ngrams": "2", "lr": "0.05", "epochs": "6"}
    one = jobs.train({**settings, "batch_size": "1500"})
    first, second = jobs.start({**settings, "batch_size": "750"}, hosts=2)
    assert (first.finish(), second.finish()) == (0, 0), first.output + second.output
    assert metric(first.output, "validation_accuracy") == metric(second.output, "validation_accuracy")
    for name in ("train_loss", "train_accuracy", "validation_loss", "validation_accuracy"):
        assert metric(first.output, name) == pytest.approx(metric(one.output, name), abs=1e-3), name
    assert metric(first.output, "train_loss")[-1] < 0.95 * metric(first.output, "train_loss")[0]
    assert not list(second.model.iterdir()), "the first host writes the model"
    assert np.load(first.model / "embedding.npy").shape == np.load(one.model / "embedding.npy").shape
    log = re.sub("Found .* for host", "", first.output + second.output)
    assert not re.search(r"warning|deprecat|lazy_update|traceback|fatal", log, re.IGNORECASE), log


def test_hosts_with_shards_of_different_words_share_one_vocabulary(jobs: Jobs) -> None:
    shards = [
        {"train": {"part.csv": as_csv([(label, f"{text} only{number}") for label, text in topics(count, number)])}}
        for number, count in ((1, 300), (2, 200))
    ]
    channels = [{**shard, "validation": TOPICS["validation"]} for shard in shards]
    hosts = jobs.start({"batch_size": "16"}, channels, hosts=2, sharded=["train"])
    assert [host.finish() for host in hosts] == [0, 0], hosts[0].output
    words = (hosts[0].model / "vocab.json").read_text()
    assert "only1" in words
    assert "only2" in words
    assert metric(hosts[0].output, "validation_accuracy")[-1] > 0.9


def test_a_killed_host_ends_the_job_on_the_other_with_its_name(jobs: Jobs) -> None:
    first, second = jobs.start({"epochs": "100000"}, hosts=2, environ={"KINDLING_HOST_SILENCE_S": "4"})
    second.read_until("End of epoch: 1")
    servers = first.children("kvstore_process")
    second.process.kill()
    began = time.monotonic()
    assert first.finish() == 1
    assert time.monotonic() - began < 60
    assert "host algo-2" in first.failure
    deadline = time.monotonic() + 10
    while any(Path(f"/proc/{pid}").exists() for pid in servers):
        assert time.monotonic() < deadline, "the kvstore's processes end with the job"
        time.sleep(0.1)


@pytest.mark.slow
def test_a_server_that_ends_ends_the_job_on_both_hosts(jobs: Jobs) -> None:
    hosts = jobs.start({"epochs": "100000"}, hosts=2, environ={"KINDLING_HOST_SILENCE_S": "4"})
    hosts[1].read_until("End of epoch: 1")
    for pid in hosts[1].children("kvstore_process"):
        os.kill(pid, signal.SIGKILL)
    assert [host.finish() for host in hosts] == [1, 1]
    assert "a process of the kvstore ended with exit code -9." in hosts[1].failure
    assert "host algo-2" in hosts[0].failure


@pytest.mark.slow
def test_an_interrupted_job_of_two_hosts_goes_on_where_it_was(jobs: Jobs, tmp_path: Path) -> None:
    settings = {"epochs": "6", "batch_size": "32"}
    (whole, _) = jobs.start(settings, hosts=2)
    whole.finish()
    often = {"KINDLING_CHECKPOINT_INTERVAL_S": "0"}
    hosts = jobs.start(settings, hosts=2, checkpoints=tmp_path, environ=often)
    hosts[0].read_until("End of epoch: 2")
    for host in hosts:
        host.process.terminate()
    assert [host.finish() for host in hosts] == [0, 0], hosts[0].output
    hosts = jobs.start(settings, hosts=2, checkpoints=tmp_path, environ=often)
    assert [host.finish() for host in hosts] == [0, 0], hosts[0].output
    assert "Resuming from checkpoint" in hosts[0].output
    assert metric(hosts[0].output, "validation_loss")[-1] == pytest.approx(
        metric(whole.output, "validation_loss")[-1], rel=1e-3
    )


def some_bags(draw: np.random.Generator, texts: int) -> Bags:
    sizes = draw.integers(1, 6, texts)
    return Bags(draw.integers(0, ROWS, sizes.sum()), np.concatenate([[0], np.cumsum(sizes)]), sizes)


def joined(bags: list[Bags]) -> Bags:
    sizes = np.concatenate([part.sizes for part in bags])
    return Bags(np.concatenate([part.rows for part in bags]), np.concatenate([[0], np.cumsum(sizes)]), sizes)


def weights_after(mx: Any, parameters: Parameters, devices: list[Any], updates: int = 12) -> list[np.ndarray]:
    draw = np.random.default_rng(5)
    network = Network(mx, devices, parameters, 0.0)
    for _ in range(updates):
        bags = [some_bags(draw, 4) for _ in range(2)]
        labels = [draw.integers(0, LABELS, 4) for _ in range(2)]
        if len(devices) == 1:
            network.train([(joined(bags), np.concatenate(labels))], 8)
        else:
            network.train(list(zip(bags, labels, strict=True)), 8)
    return [parameters.embedding(), parameters.output()]


def first_weights() -> list[np.ndarray]:
    draw = np.random.default_rng(3)
    return [draw.normal(size=(ROWS, DIM)).astype(np.float32), draw.normal(size=(LABELS, DIM)).astype(np.float32)]


@pytest.mark.parametrize("optimizer", ["adam", "adagrad", "groupadagrad", "sgd"])
def test_two_devices_update_as_one_and_a_state_that_was_put_back_goes_on(optimizer: str) -> None:
    mx = load_mxnet(1)
    schedule = Schedule("linear", 0.05, 12, 2)
    one, two = [mx.cpu()], [mx.cpu(0), mx.cpu(1)]
    own = OwnParameters(mx, one[0], make_optimizer(mx, optimizer, schedule), *first_weights())
    shared = SharedParameters(mx, two, mx.kv.create("local"), make_optimizer(mx, optimizer, schedule), *first_weights())
    after = weights_after(mx, own, one)
    assert all(np.allclose(*pair, atol=1e-5) for pair in zip(after, weights_after(mx, shared, two), strict=True))
    assert any((start != end).any() for start, end in zip(first_weights(), after, strict=True))

    states = [own.state(), shared.state()]
    expected = weights_after(mx, own, one)
    optimizers = [make_optimizer(mx, optimizer, schedule) for _ in states]
    again: list[tuple[Parameters, list[Any]]] = [
        (OwnParameters(mx, one[0], optimizers[0], *after), one),
        (SharedParameters(mx, two, mx.kv.create("local"), optimizers[1], *after), two),
    ]
    for (parameters, devices), state in zip(again, states, strict=True):
        parameters.restore(state)
        found = weights_after(mx, parameters, devices)
        assert all(np.allclose(*pair, atol=1e-5) for pair in zip(expected, found, strict=True))


NOTHING = Bags(np.empty(0, np.int64), np.zeros(1, np.int64), np.empty(0, np.int64))


@pytest.mark.parametrize("parts", ["the second device has no text", "a text has no feature", "no text has a feature"])
def test_texts_that_are_few_or_have_no_feature_are_trained_on(parts: str) -> None:
    mx = load_mxnet(1)
    devices = [mx.cpu(0), mx.cpu(1)]
    optimizer = make_optimizer(mx, "adagrad", Schedule("constant", 0.1, 1, 1))
    parameters = SharedParameters(mx, devices, mx.kv.create("local"), optimizer, *first_weights())
    network = Network(mx, devices, parameters, 0.0)
    one, label = Bags(np.array([3]), np.array([0, 1]), np.array([1])), np.array([1])
    empty = Bags(np.empty(0, np.int64), np.zeros(2, np.int64), np.zeros(1, np.int64))
    given = {
        "the second device has no text": [(one, label), (NOTHING, np.empty(0, np.int64))],
        "a text has no feature": [(one, label), (empty, label)],
        "no text has a feature": [(empty, label), (empty, label)],
    }[parts]
    network.train(given, sum(len(labels) for _, labels in given))
    tally = network.take_tally()
    assert tally.texts == sum(len(labels) for _, labels in given)
    assert np.isfinite(tally.loss)
    assert np.isfinite(network.scores(empty)).all()
    changed = np.flatnonzero((parameters.embedding() != first_weights()[0]).any(axis=1))
    assert changed.tolist() == ([] if parts == "no text has a feature" else [3])


@pytest.mark.parametrize(
    ("kind", "rates"), [("linear", [1, 0.75, 0.5, 0.25]), ("halve", [1, 1, 0.5, 0.5]), ("constant", [1] * 4)]
)
def test_the_learning_rate_falls_as_the_schedule_says(kind: str, rates: list[float]) -> None:
    schedule = Schedule(kind, 1.0, updates_per_epoch=2, epochs=2)
    assert [schedule(update) for update in range(1, 5)] == rates
