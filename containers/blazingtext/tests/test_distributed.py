"""Jobs of several hosts, each a process with a base directory of its own."""

from __future__ import annotations

import random
import re
import signal
import time
from typing import TYPE_CHECKING

import numpy as np
import pytest

if TYPE_CHECKING:
    from conftest import Host, Jobs, ReadText

QUICK = {"KINDLING_HOST_SILENCE_S": "4", "KINDLING_HOST_JOIN_S": "120"}


def finish(hosts: list[Host]) -> list[int]:
    return [host.finish() for host in hosts]


def test_two_hosts_train_one_model_that_the_first_writes(jobs: Jobs, corpus: bytes, read_text: ReadText) -> None:
    first, second = jobs.start(corpus, hosts=2, environ=QUICK)
    assert finish([first, second]) == [0, 0], first.output + second.output
    assert sorted(path.name for path in first.model.iterdir()) == ["eval.json", "vectors.bin", "vectors.txt"]
    assert not list(second.model.iterdir())
    assert set(read_text(first.model / "vectors.txt")) == set(corpus.decode().split())
    assert "training using batch_skipgram on 2 hosts." in first.output
    assert re.search(r"^Alpha: 0\.0000  Progress: 100\.00%  Million Words/sec: \d+\.\d\d$", first.output, re.MULTILINE)
    assert "#####" not in first.output
    assert "Evaluating" not in second.output
    assert "Shutting down.... Check the logs for algo-1 machine." in second.output


def test_every_host_trains_its_share(jobs: Jobs, read_text: ReadText) -> None:
    """The second half of the corpus, which the second host trains, has words that the first half lacks."""
    text = ("sun moon star sky " * 300 + "\n") + ("bread butter milk jam " * 300 + "\n")
    hyperparameters = {"epochs": "5", "evaluation": "False", "sampling_threshold": "0.9"}
    first, second = jobs.start(text.encode(), hyperparameters, hosts=2, environ=QUICK)
    assert finish([first, second]) == [0, 0], first.output + second.output
    vectors = read_text(first.model / "vectors.txt")
    for word in ("sun", "bread"):  # trained vectors are far longer than the initial ones, whose numbers are < 1/(2 dim)
        assert max(abs(number) for number in vectors[word]) > 1 / (2 * 12), word


def test_a_corpus_that_differs_from_host_to_host_is_refused_on_all(jobs: Jobs, corpus: bytes) -> None:
    hosts = jobs.start(corpus, hosts=2, corpora={1: b"quite another text"}, environ=QUICK)
    assert finish(hosts) == [1, 1]
    for host in hosts:
        assert "channel 'train' differs from host to host" in host.failure
        assert host.failure.startswith("ClientError: ")


def test_a_bad_byte_in_one_hosts_part_ends_the_job_on_both(jobs: Jobs, corpus: bytes) -> None:
    first, second = jobs.start(corpus + b"bad \xfe", hosts=2, environ=QUICK)
    assert finish([first, second]) == [1, 1]
    sentence = f"channel 'train': corpus.txt is not UTF-8 text: byte 0xfe at offset {len(corpus) + 4}."
    assert second.failure == f"ClientError: {sentence}"
    assert first.failure == f"ClientError: host algo-2 failed: {sentence}"


SURVIVORS_HAVE = 60  # seconds from a host's death to the end of the job


@pytest.mark.parametrize("lost", [0, 1])
@pytest.mark.parametrize(
    ("phase", "last_words"),
    [("joining", "Processing "), ("exchanging counts", "hosts have met."), ("training", "Progress: ")],
)
def test_a_host_that_is_killed_ends_the_job_on_the_other_with_its_name(
    jobs: Jobs, corpus: bytes, phase: str, last_words: str, lost: int
) -> None:
    hosts = jobs.start(corpus * 500, {"epochs": "1000"}, hosts=2, environ=QUICK)
    hosts[0 if phase == "training" else lost].read_until(last_words)
    if phase == "joining":
        time.sleep(0.5)  # it has signed in by now; that all have met takes a few seconds
    hosts[lost].process.kill()
    assert hosts[1 - lost].finish(timeout=SURVIVORS_HAVE) == 1
    reason = f"AlgorithmError: host algo-{lost + 1} stopped answering, so the job ends on every host."
    assert hosts[1 - lost].failure == reason


def test_a_first_host_that_is_killed_while_it_writes_ends_the_job_on_the_other(jobs: Jobs) -> None:
    words = " ".join(f"w{number}" for number in range(200_000)).encode()
    first, second = jobs.start(words, {"epochs": "1", "vector_dim": "100"}, hosts=2, environ=QUICK)
    first.read_until("Training finished!")
    first.process.kill()
    assert second.finish(timeout=SURVIVORS_HAVE) == 1
    assert second.failure == "AlgorithmError: host algo-1 stopped answering, so the job ends on every host."
    assert not (first.model / "eval.json").exists()


@pytest.mark.parametrize("lost", [0, 1])
def test_a_host_that_is_killed_before_its_first_word_is_waited_for_but_not_for_ever(
    jobs: Jobs, corpus: bytes, lost: int
) -> None:
    hosts = jobs.start(corpus, hosts=2, environ={**QUICK, "KINDLING_HOST_JOIN_S": "10"})
    hosts[lost].process.kill()
    assert hosts[1 - lost].finish(timeout=SURVIVORS_HAVE) == 1
    assert hosts[1 - lost].failure.startswith(f"AlgorithmError: host algo-{lost + 1} did not join the job ")
    assert hosts[1 - lost].failure.endswith(" within 10 s; check its log.")


def test_a_stopped_job_of_two_hosts_keeps_what_was_trained_so_far(jobs: Jobs, corpus: bytes) -> None:
    hosts = jobs.start(corpus * 500, {"epochs": "10000"}, hosts=2, environ=QUICK)
    for host in hosts:
        host.read_until("Number of words:")
        host.process.send_signal(signal.SIGTERM)
    assert finish(hosts) == [0, 0], hosts[0].output + hosts[1].output
    assert (hosts[0].model / "vectors.bin").exists()
    assert not (hosts[0].model / "eval.json").exists()


def test_modes_of_one_host_are_refused_on_two(jobs: Jobs, corpus: bytes) -> None:
    hosts = jobs.start(corpus, {"mode": "cbow"}, hosts=2, environ=QUICK)
    assert finish(hosts) == [1, 1]
    for host in hosts:
        assert host.failure == (
            "ClientError: mode=cbow runs on one host, but this job has 2;"
            " use batch_skipgram, or set instance_count to 1."
        )


def test_words_of_one_topic_end_up_near_one_another_whichever_host_saw_them(jobs: Jobs, read_text: ReadText) -> None:
    choices = random.Random(1).choices
    topics = [["cat", "dog", "horse", "cow"], ["car", "bus", "train", "bike"]]
    lines = [" ".join(choices(topics[number % 2], k=8)) for number in range(3000)]
    hyperparameters = {"epochs": "10", "sampling_threshold": "0.9", "evaluation": "False"}
    hosts = jobs.start("\n".join(lines).encode(), hyperparameters, hosts=2, environ=QUICK)
    assert finish(hosts) == [0, 0], hosts[0].output + hosts[1].output
    vectors = {word: np.array(row) for word, row in read_text(hosts[0].model / "vectors.txt").items()}

    def mean_cosine(first: list[str], second: list[str]) -> float:
        pairs = [(vectors[a], vectors[b]) for a in first for b in second if a != b]
        return float(np.mean([a @ b / np.linalg.norm(a) / np.linalg.norm(b) for a, b in pairs]))

    animals, vehicles = topics
    within = min(mean_cosine(animals, animals), mean_cosine(vehicles, vehicles))
    assert within > mean_cosine(animals, vehicles) + 0.3
