"""Several hosts."""

from __future__ import annotations

import re
import time
from pathlib import Path

import numpy as np
import pytest

from linear_learner.model import LinearModel

from .jobs import (
    REGRESSION,
    QuickJobs,
    as_csv,
    as_sparse_recordio,
    losses,
    quality,
    regression,
    sparse_classes,
    two_classes,
)

# Every record in every update, so that how they lie on the hosts does not matter.
WHOLE = {"mini_batch_size": "1000", "epochs": "20", "num_models": "4", "early_stopping_patience": "21"}


def test_two_hosts_with_shards_learn_as_one_with_all(jobs: QuickJobs) -> None:
    table = regression(2000, 1)
    one = jobs.train({**WHOLE, "mini_batch_size": "2000"})
    shards = [{**REGRESSION, "train": {"a.csv": as_csv(part)}} for part in (table[:1000], table[1000:])]
    first, second = jobs.start(WHOLE, shards, hosts=2, sharded=["train"])
    assert (first.finish(), second.finish()) == (0, 0), first.output + second.output
    assert losses(first.output, "validation") == pytest.approx(losses(one.output, "validation"), rel=0.02)
    assert losses(first.output, "train") == pytest.approx(losses(one.output, "train"), rel=0.02)
    asked = table[:, 1:]
    alone, together = (LinearModel.read(host.model).scores(asked) for host in (one, first))
    assert together == pytest.approx(alone, abs=0.02 * float(alone.std()))
    assert not list(second.model.iterdir()), "the first host writes the model"
    assert losses(second.output, "validation") == [], "and tells of the epochs"
    log = re.sub("Found .* for host", "", first.output + second.output)
    assert not re.search(r"warning|deprecat|traceback", log, re.IGNORECASE), log


def test_a_host_without_records_left_waits_for_the_others(jobs: QuickJobs) -> None:
    table = regression(2000, 1)
    shards = [{**REGRESSION, "train": {"a.csv": as_csv(part)}} for part in (table[:150], table[150:])]
    hosts = jobs.start({"epochs": "5"}, shards, hosts=2, sharded=["train"])
    assert [host.finish() for host in hosts] == [0, 0], hosts[0].output + hosts[1].output
    assert quality(hosts[0].output, "test mse") < 0.05


def test_channels_to_measure_on_may_be_sharded_too(jobs: QuickJobs) -> None:
    table, validation, test = regression(1000, 1), regression(300, 2), regression(301, 3)
    channels = ("train", "validation", "test")
    parts = [
        {"train": {"a": as_csv(table[half::2])}, "validation": {"a": as_csv(validation[half::2])}} for half in (0, 1)
    ]
    # One object of test, and two hosts.
    shards = [{**parts[0], "test": {"a": as_csv(test)}}, {**parts[1], "test": {}}]
    hosts = jobs.start({"epochs": "4", "num_models": "2"}, shards, hosts=2, sharded=channels)
    assert [host.finish() for host in hosts] == [0, 0], hosts[0].output + hosts[1].output
    errors = LinearModel.read(hosts[0].model).scores(test[:, 1:]) - test[:, 0]
    assert quality(hosts[0].output, "test mse") == pytest.approx(float(np.mean(errors**2)), rel=1e-4)
    assert quality(hosts[0].output, "test mse_objective") == pytest.approx(float(np.mean(errors**2)), rel=1e-3)
    errors = LinearModel.read(hosts[0].model).scores(validation[:, 1:]) - validation[:, 0]
    assert quality(hosts[0].output, "validation mse") == pytest.approx(float(np.mean(errors**2)), rel=1e-4)


def test_more_hosts_than_records_to_validate_by(jobs: QuickJobs) -> None:
    table = regression(1000, 1)
    shards = [
        {"train": {"a.csv": as_csv(part)}, "validation": {"a.csv": as_csv(regression(1, 2))}}
        for part in (table[:5], table[5:])
    ]
    hosts = jobs.start({"epochs": "2", "mini_batch_size": "5"}, shards, hosts=2, sharded=["train"])
    assert [host.finish() for host in hosts] == [0, 0], hosts[0].output + hosts[1].output
    # Without a channel to validate by, five records are too few to hold one back.
    shards = [{"train": shard["train"]} for shard in shards]
    hosts = jobs.start({"epochs": "2", "mini_batch_size": "5"}, shards, hosts=2, sharded=["train"])
    assert [host.finish() for host in hosts] == [0, 0], hosts[0].output + hosts[1].output


@pytest.mark.parametrize("sparse", [False, True])
def test_classes_are_calibrated_by_what_all_hosts_hold_back(jobs: QuickJobs, sparse: bool) -> None:
    made, form = (sparse_classes, as_sparse_recordio) if sparse else (two_classes, as_csv)
    table, test = made(4000, 1), made(1000, 2)
    shards = [{"train": {"a": form(part)}, "test": {"a": form(test)}} for part in (table[:1000], table[1000:])]
    settings = {"predictor_type": "binary_classifier", "num_models": "4", "epochs": "8"}
    hosts = jobs.start(settings, shards, hosts=2, sharded=["train"])
    assert [host.finish() for host in hosts] == [0, 0], hosts[0].output + hosts[1].output
    assert quality(hosts[0].output, "test binary_classification_accuracy") > 0.92


def order_of(seed: int, rank: int) -> list[int]:
    """Of two batches in the first epoch."""
    return np.random.default_rng((seed, rank, 0)).permutation(2).tolist()


def test_hosts_with_all_the_data_take_different_records(jobs: QuickJobs) -> None:
    """Two batches, and two hosts that begin with one each: both updates of the epoch are by all records."""
    seed = next(seed for seed in range(100) if order_of(seed, 0) != order_of(seed, 1))
    settings = {**WHOLE, "num_models": "1", "seed": f"{seed}", "learning_rate": "0.1"}
    # Half of the records' gradients alone would be others.
    train = {"train": {"a.csv": as_csv(np.sort(regression(2000, 1), axis=0))}}
    hosts = jobs.start({**settings, "epochs": "1"}, train, hosts=2)
    assert [host.finish() for host in hosts] == [0, 0], hosts[0].output + hosts[1].output
    one = jobs.train({**settings, "mini_batch_size": "2000", "epochs": "2"}, train)
    asked = regression(100, 4)[:, 1:]
    alone, together = (LinearModel.read(host.model).scores(asked) for host in (one, hosts[0]))
    assert together == pytest.approx(alone, rel=1e-3)
    half = jobs.train({**settings, "epochs": "1"}, train)
    assert np.abs(LinearModel.read(half.model).scores(asked) / alone - 1).max() > 0.01, "halves alone are others"


def test_a_killed_host_ends_the_job_on_the_other_with_its_name(jobs: QuickJobs) -> None:
    settings = {"epochs": "1000000", "early_stopping_patience": "1000001", "num_models": "1"}
    first, second = jobs.start(settings, hosts=2, environ={"KINDLING_HOST_SILENCE_S": "4"})
    first.read_until("epoch=3, validation")
    second.process.kill()
    began = time.monotonic()
    assert first.finish() == 1
    assert time.monotonic() - began < 60
    assert "host algo-2" in first.failure


def test_a_mistake_on_one_host_is_the_jobs(jobs: QuickJobs) -> None:
    shards = [{"train": {"a.csv": content}} for content in (as_csv(regression(500, 1)), b"1,2\n" * 500)]
    hosts = jobs.start({}, shards, hosts=2, sharded=["train"])
    assert [host.finish() for host in hosts] == [1, 1]
    for host in hosts:
        assert "the hosts' records differ: 1 dense and 4 dense features; all must be alike." in host.failure


@pytest.mark.slow
def test_a_stopped_job_of_two_hosts_goes_on_where_it_was(jobs: QuickJobs, tmp_path: Path) -> None:
    settings = {**WHOLE, "epochs": "30", "early_stopping_patience": "31", "mini_batch_size": "50"}
    (whole, other) = jobs.start(settings, hosts=2)
    assert (whole.finish(), other.finish()) == (0, 0)
    often = {"KINDLING_CHECKPOINT_INTERVAL_S": "0"}
    hosts = jobs.start(settings, hosts=2, checkpoints=tmp_path, environ=often)
    hosts[0].read_until("epoch=5, validation")
    for host in hosts:
        host.process.terminate()
    assert [host.finish() for host in hosts] == [0, 0], hosts[0].output
    hosts = jobs.start(settings, hosts=2, checkpoints=tmp_path, environ=often)
    assert [host.finish() for host in hosts] == [0, 0], hosts[0].output
    assert "Going on after epoch" in hosts[0].output
    resumed, uninterrupted = (np.load(host.model / "weights.npy") for host in (hosts[0], whole))
    assert resumed == pytest.approx(uninterrupted, rel=1e-4, abs=1e-5)
