"""Jobs that are stopped or killed and started again with the same checkpoint folder."""

from __future__ import annotations

import random
import signal
import time
from typing import TYPE_CHECKING

import numpy as np
import pytest

from .conftest import Jobs

if TYPE_CHECKING:
    from pathlib import Path

    from .conftest import Host, ReadText

LONG = {"epochs": "150", "evaluation": "False"}
EAGER = {"KINDLING_CHECKPOINT_INTERVAL_S": "0.05", "KINDLING_HOST_SILENCE_S": "4"}


@pytest.fixture(scope="module")
def text(corpus: bytes) -> bytes:
    return corpus * 300


@pytest.fixture(scope="module")
def expected(text: bytes, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The model of a job that was not interrupted and wrote no checkpoints."""
    host = Jobs(tmp_path_factory.mktemp("uninterrupted")).train(text, LONG)
    assert host.process.returncode == 0, host.output
    return model(host)


def model(host: Host) -> bytes:
    return (host.model / "vectors.bin").read_bytes()


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_stopped_job_goes_on_to_the_vectors_of_one_that_was_not_stopped(
    jobs: Jobs, text: bytes, expected: bytes, tmp_path: Path
) -> None:
    folder = tmp_path / "checkpoints"
    (stopped,) = jobs.start(text, LONG, checkpoints=[folder])
    stopped.read_until("Progress: ")
    stopped.process.send_signal(signal.SIGTERM)
    assert stopped.finish() == 0, stopped.output
    assert "The job was asked to stop" in stopped.output
    assert "Progress: 100.00%" not in stopped.output
    assert model(stopped) != expected
    assert names(folder) == ["checkpoint-00000000-rank-0.ckpt"]

    (resumed,) = jobs.start(text, LONG, checkpoints=[folder])
    assert resumed.finish() == 0, resumed.output
    assert "Going on from checkpoint 0, with " in resumed.output
    assert "Progress: 100.00%" in resumed.output
    assert model(resumed) == expected


def test_a_job_killed_again_and_again_ends_with_the_same_vectors(
    jobs: Jobs, text: bytes, expected: bytes, tmp_path: Path
) -> None:
    """Killed while it writes checkpoints all the time: whatever a kill leaves behind is survived."""
    folder = tmp_path / "checkpoints"
    delays = random.Random(5)
    for _ in range(4):
        (host,) = jobs.start(text, LONG, checkpoints=[folder], environ={**EAGER, "KINDLING_CHECKPOINT_INTERVAL_S": "0"})
        host.read_until("Number of words:")
        time.sleep(0.4 * delays.random())
        host.process.kill()
        assert host.finish() == -signal.SIGKILL
    (host,) = jobs.start(text, LONG, checkpoints=[folder], environ=EAGER)
    assert host.finish() == 0, host.output
    assert "Going on from checkpoint" in host.output
    assert model(host) == expected
    assert len(names(folder)) == 2


def test_after_a_torn_checkpoint_the_one_before_serves(
    jobs: Jobs, text: bytes, expected: bytes, tmp_path: Path
) -> None:
    folder = tmp_path / "checkpoints"
    (stopped,) = jobs.start(text, LONG, checkpoints=[folder], environ=EAGER)
    stopped.read_until("Checkpoint 1 was written")
    stopped.process.send_signal(signal.SIGTERM)
    assert stopped.finish() == 0
    before, newest = sorted(folder.iterdir())
    newest.write_bytes(newest.read_bytes()[:-100])

    (resumed,) = jobs.start(text, LONG, checkpoints=[folder])
    assert resumed.finish() == 0, resumed.output
    assert f"{newest.name} is not a whole checkpoint (its checksum is wrong), so it is ignored." in resumed.output
    assert f"Going on from checkpoint {int(before.name.split('-')[1])}, with" in resumed.output
    assert model(resumed) == expected


def test_a_finished_job_writes_its_model_again_at_once(jobs: Jobs, corpus: bytes, tmp_path: Path) -> None:
    folder = tmp_path / "checkpoints"
    (first,) = jobs.start(corpus, checkpoints=[folder])
    assert first.finish() == 0, first.output
    checkpoint = folder / "checkpoint-00000000-rank-0.ckpt"
    written = checkpoint.stat().st_mtime_ns

    (again,) = jobs.start(corpus, checkpoints=[folder])
    assert again.finish() == 0, again.output
    assert "Going on from checkpoint 0, with 100.00% trained." in again.output
    assert "Average throughput" not in again.output
    assert "#mean_rho: " in again.output
    assert model(again) == model(first)
    assert names(folder) == [checkpoint.name]
    assert checkpoint.stat().st_mtime_ns == written


def test_more_threads_train_the_same_words(jobs: Jobs, text: bytes, tmp_path: Path) -> None:
    folder = tmp_path / "checkpoints"
    (stopped,) = jobs.start(text, {**LONG, "threads": "3"}, checkpoints=[folder])
    stopped.read_until("Progress: ")
    stopped.process.send_signal(signal.SIGTERM)
    assert stopped.finish() == 0, stopped.output
    for threads, part in (("2", "with "), ("1", "with 100.00% trained.")):
        (resumed,) = jobs.start(text, {**LONG, "threads": threads}, checkpoints=[folder])
        assert resumed.finish() == 0, resumed.output
        assert part in resumed.output
        assert "Progress: 100.00%" in resumed.output


@pytest.mark.parametrize(
    ("text_after", "hyperparameters", "differs"),
    [
        (None, {"learning_rate": "0.1"}, "learning_rate=0.05, but this one has learning_rate=0.1;"),
        (
            None,
            {"mode": "cbow", "window_size": "2"},
            "mode=batch_skipgram and window_size=5, but this one has mode=cbow and window_size=2;",
        ),
        (b"the tiger saw the cat\n", {}, "channel 'train'="),
    ],
)
def test_another_job_is_refused_and_leaves_the_checkpoints_alone(
    jobs: Jobs,
    corpus: bytes,
    tmp_path: Path,
    text_after: bytes | None,
    hyperparameters: dict[str, str],
    differs: str,
) -> None:
    folder = tmp_path / "checkpoints"
    (first,) = jobs.start(corpus, checkpoints=[folder])
    assert first.finish() == 0, first.output
    kept = {path.name: path.read_bytes() for path in folder.iterdir()}

    (other,) = jobs.start(text_after or corpus, hyperparameters, checkpoints=[folder])
    assert other.finish() == 1
    assert other.failure.startswith("ClientError: the checkpoints that were found are of a job with ")
    assert differs in other.failure
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == kept


def test_without_a_checkpoint_folder_there_are_no_checkpoints(trained: Host) -> None:
    assert not (trained.base / "checkpoints").exists()
    assert "heckpoint" not in trained.output


@pytest.mark.parametrize("shared", [pytest.param(True, marks=pytest.mark.slow), False])
def test_two_hosts_go_on_together_whether_they_share_a_folder_or_not(
    jobs: Jobs, read_text: ReadText, tmp_path: Path, shared: bool
) -> None:
    choices = random.Random(1).choices
    topics = [["cat", "dog", "horse", "cow"], ["car", "bus", "train", "bike"]]
    text = "\n".join(" ".join(choices(topics[number % 2], k=8)) for number in range(3000)).encode()
    hyperparameters = {"epochs": "60", "sampling_threshold": "0.9", "evaluation": "False"}
    folders = [tmp_path / ("both" if shared else str(rank)) for rank in range(2)]

    hosts = jobs.start(text, hyperparameters, hosts=2, checkpoints=folders, environ=EAGER)
    for host in hosts:
        host.read_until("Checkpoint 1 was written")
    hosts[1].process.kill()
    assert hosts[0].finish(timeout=60) == 1
    assert "host algo-2 stopped answering" in hosts[0].failure

    hosts = jobs.start(text, hyperparameters, hosts=2, checkpoints=folders, environ=EAGER)
    assert [host.finish() for host in hosts] == [0, 0], hosts[0].output + hosts[1].output
    for host in hosts:
        assert "Going on from checkpoint" in host.output
    assert "Progress: 100.00%" in hosts[0].output
    vectors = {word: np.array(row) for word, row in read_text(hosts[0].model / "vectors.txt").items()}

    def mean_cosine(first: list[str], second: list[str]) -> float:
        pairs = [(vectors[a], vectors[b]) for a in first for b in second if a != b]
        return float(np.mean([a @ b / np.linalg.norm(a) / np.linalg.norm(b) for a, b in pairs]))

    animals, vehicles = topics
    assert min(mean_cosine(animals, animals), mean_cosine(vehicles, vehicles)) > mean_cosine(animals, vehicles) + 0.3


def test_a_job_of_another_number_of_hosts_is_refused(jobs: Jobs, corpus: bytes, tmp_path: Path) -> None:
    folder = tmp_path / "checkpoints"
    (first,) = jobs.start(corpus, checkpoints=[folder])
    assert first.finish() == 0, first.output
    hosts = jobs.start(corpus, hosts=2, checkpoints=[folder, folder], environ=EAGER)
    assert [host.finish() for host in hosts] == [1, 1]
    assert "instance_count=1, but this one has instance_count=2;" in hosts[0].failure
    assert hosts[1].failure.startswith("ClientError: host algo-1 failed: the checkpoints that were found")
