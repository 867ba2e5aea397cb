"""Hosts' changes brought together: the arithmetic, and whose turn it is."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from threadpoolctl import threadpool_info, threadpool_limits

from blazingtext._engine import Corpus, Replica, Trainer
from blazingtext.curvature import Curvature, Updates
from blazingtext.distributed import Synchronisation
from contract.rendezvous import OneHost

from .engine_jobs import JOB, random_words
from .engine_jobs import trained as trained_to_the_end

DIM = 20
Directions = tuple[NDArray[np.float32], NDArray[np.float32], float]
FLAT: Directions = (np.zeros((0, DIM), np.float32), np.zeros(0, np.float32), 0.0)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    return random_words(tmp_path_factory.mktemp("corpus") / "corpus.txt", words=3000, tokens=60_000)


def new_trainer(corpus: Corpus, rank: int = 0) -> Trainer:
    return Trainer(corpus, **{**JOB, "rank": rank})


def damping(decay: NDArray[np.float64], hosts: int) -> NDArray[np.float64]:
    q = np.exp(-decay)
    return np.asarray((1 - q**hosts) / (hosts * (1 - q)))


def test_changes_are_what_was_trained_since(corpus: Corpus) -> None:
    trainer = new_trainer(corpus)
    replica = Replica(trainer)
    before = trainer.input.copy(), trainer.output.copy()
    trainer.train(10_000)
    told = replica.tell(3, 40)[:, :DIM]
    assert np.array_equal(told[:37], (trainer.input - before[0])[3:40])
    assert np.array_equal(told[37:], (trainer.output - before[1])[3:40])
    assert np.abs(told).max() > 0


@pytest.mark.parametrize("hosts", [2, 5])
def test_a_sum_is_damped_along_each_direction_by_its_curvature_and_cut_to_the_rows_length(
    corpus: Corpus, hosts: int
) -> None:
    random = np.random.default_rng(1)
    trainer = new_trainer(corpus)
    trainer.train(30_000)
    replica = Replica(trainer)
    rows = 64
    before = replica.input[:rows].astype(float), replica.output[:rows].astype(float)
    sums = replica.tell(0, rows)
    scales = 10 ** random.uniform(-2, 1, (2 * rows, 1))
    sums[:, :DIM] = (scales * random.normal(size=(2 * rows, DIM))).astype(np.float32)
    changes = sums[:, :DIM].astype(float)
    rates = np.repeat(random.uniform(0, 3, 2 * rows // 8), 8).astype(np.float32)  # eight neighbours share theirs
    frames = [np.linalg.qr(random.normal(size=(DIM, DIM)))[0].T for _ in range(2)]
    along = np.array([5.0, 1.0, 0.3])

    def curvature(frame: NDArray[np.float64]) -> Directions:
        return np.ascontiguousarray(frame[:3], np.float32), along.astype(np.float32), 0.01

    replica.take(0, rows, hosts, rates, curvature(frames[0]), curvature(frames[1]))

    every = np.concatenate([along, np.full(DIM - 3, 0.01)])
    for number, (live, copy) in enumerate([(trainer.input, replica.input), (trainer.output, replica.output)]):
        part = slice(number * rows, (number + 1) * rows)
        factors = damping(np.maximum(rates[part, None] * every, 1e-6).astype(float), hosts)
        damped = (changes[part] @ frames[number].T * factors) @ frames[number]
        mean = changes[part] / hosts
        longest = np.maximum(*(np.linalg.norm(vectors, axis=1) for vectors in (mean, before[number] + mean)))
        cut = np.minimum(1, longest / np.linalg.norm(damped, axis=1))
        assert 0 < np.count_nonzero(cut < 1) < rows
        expected = before[number] + cut[:, None] * damped
        assert np.allclose(copy[:rows], expected, atol=1e-4)
        assert np.array_equal(live[:rows], copy[:rows])


def test_rows_that_are_not_there_are_refused(corpus: Corpus) -> None:
    replica = Replica(new_trainer(corpus))
    for begin, end in [(2, 1), (0, len(corpus.counts) + 1), (0, Replica.ROWS + 1)]:
        with pytest.raises(IndexError):
            replica.tell(begin, end)
    with pytest.raises(ValueError, match="two for each row"):
        replica.take(0, 2, 2, np.zeros(3, np.float32), FLAT, FLAT)
    short: Directions = (np.zeros((1, DIM - 1), np.float32), np.zeros(1, np.float32), 0.0)
    with pytest.raises(ValueError, match="rows' length"):
        replica.take(0, 2, 2, np.zeros(4, np.float32), FLAT, short)


def test_curvature_finds_the_directions_that_hold_most() -> None:
    random = np.random.default_rng(2)
    scales = np.concatenate([[30.0, 20.0, 10.0], np.full(27, 0.5)])
    rows = (random.normal(size=(5000, 30)) * scales).astype(np.float32) @ np.linalg.qr(random.normal(size=(30, 30)))[0]
    weights = random.uniform(0.1, 1, 5000).astype(np.float32)
    curvature = Curvature(weights, 30)
    for _ in range(10):
        directions, along, elsewhere = curvature.follow(curvature.measure(rows.astype(np.float32)))
    assert np.allclose(directions @ directions.T, np.eye(len(directions)), atol=1e-5)

    used, scale = rows[:4096], (weights / weights[:4096].sum())[:4096, None]
    values, vectors = np.linalg.eigh((used * scale).T @ used)
    assert along[:3] / values[-3:][::-1] == pytest.approx(np.full(3, along[0] / values[-1]), rel=0.01)
    assert np.abs(np.sum(directions[:3] * vectors[:, -3:].T[::-1], axis=1)) == pytest.approx(np.ones(3), abs=0.01)
    assert 0 < elsewhere < 0.01 * along[0]


def test_updates_are_those_that_training_makes(corpus: Corpus) -> None:
    """Against a count of the pairs of windows drawn as the engine draws them."""
    random = np.random.default_rng(3)
    words, tokens, window, negatives = len(corpus.counts), 200_000, 3, 4
    share = corpus.counts / corpus.counts.sum()
    threshold = 0.01
    text = random.choice(words, tokens, p=share)
    keep = (np.sqrt(share / threshold) + 1) * threshold / share
    text = text[random.random(tokens) < keep[text]]
    inputs, outputs = np.zeros(words), np.zeros(words)
    noise = corpus.counts**0.75 / (corpus.counts**0.75).sum()
    centres = np.arange(window, len(text) - window)
    widths = random.integers(1, window + 1, len(centres))
    for offset in range(1, window + 1):
        reached = centres[widths >= offset]
        for context in (text[reached - offset], text[reached + offset]):
            np.add.at(inputs, context, 1 + negatives)
    np.add.at(outputs, random.choice(words, (negatives, len(centres)), p=noise), 2 * widths)
    np.add.at(outputs, text[centres], 2 * widths)
    found = Updates.of_batch_skipgram(
        corpus.counts, corpus.tokens_read, window_size=window, negative_samples=negatives, sampling_threshold=threshold
    )
    assert found.inputs[:20] * tokens == pytest.approx(inputs[:20], rel=0.1)
    assert found.outputs[:20] * tokens == pytest.approx(outputs[:20], rel=0.1)
    assert found.inputs.sum() * tokens == pytest.approx(inputs.sum(), rel=0.02)
    assert found.outputs.sum() * tokens == pytest.approx(outputs.sum(), rel=0.02)


class InOneProcess(OneHost):
    """A host of several that are threads of this process."""

    def __init__(self, rank: int, size: int, barrier: threading.Barrier, arrays: list[Any]) -> None:
        self.rank, self.size = rank, size
        self._barrier, self._arrays = barrier, arrays

    def exchange(self, value: Any) -> list[Any]:
        self._arrays[self.rank] = value
        self._barrier.wait(60)
        values = list(self._arrays)
        self._barrier.wait(60)
        return values

    def add_up(self, array: NDArray[np.float32] | NDArray[np.float64]) -> None:
        array[...] = np.sum(self.exchange(array.copy()), axis=0)


def on_hosts(size: int, work: Callable[[InOneProcess], Any]) -> list[Any]:
    """What `work` gives on each of so many hosts."""
    barrier, arrays, results = threading.Barrier(size), [None] * size, [None] * size

    def run(rank: int) -> None:
        try:
            results[rank] = work(InOneProcess(rank, size, barrier, arrays))
        except BaseException:
            barrier.abort()
            raise

    threads = [threading.Thread(target=run, args=(rank,)) for rank in range(size)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not barrier.broken
    return results


def updates_of(corpus: Corpus) -> Updates:
    return Updates.of_batch_skipgram(
        corpus.counts, corpus.tokens_read, window_size=5, negative_samples=5, sampling_threshold=0.5
    )


@pytest.mark.parametrize("size", [2, 3])
def test_rows_have_their_turn_by_frequency_and_all_are_equal_in_the_end(corpus: Corpus, size: int) -> None:
    assert len(corpus.counts) > 2048

    def work(hosts: InOneProcess) -> list[NDArray[np.float32]]:
        trainer = new_trainer(corpus, hosts.rank)
        synchronisation = Synchronisation(hosts, trainer, updates_of(corpus))
        seen = []
        for step in range(1, 6):
            synchronisation.synchronise(trainer.alpha * trainer.train(5_000), everything=step == 5)
            seen.append(np.concatenate([trainer.input, trainer.output], axis=1))
        return seen

    first, *others = on_hosts(size, work)
    for other in others:
        for step, equal in enumerate([512, 1024, 512, 2048, len(corpus.counts)]):
            same = (first[step] == other[step]).all(axis=1)
            assert same[:equal].all()
            assert not same[equal : equal + 500].all() or equal == len(corpus.counts)
    moved = np.abs(first[-1] - first[0]).max(axis=1)
    assert (moved[:1000] > 0).all()


def blas_threads() -> set[int]:
    return {library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"}


def test_products_are_taken_by_the_training_thread_alone(corpus: Corpus, monkeypatch: pytest.MonkeyPatch) -> None:
    """Threads of OpenBLAS spin after each product for longer than a synchronisation takes."""
    seen = []

    def measure(self: Curvature, others: NDArray[np.float32]) -> NDArray[np.float32]:
        seen.append(blas_threads())
        return original(self, others)

    original = Curvature.measure
    monkeypatch.setattr(Curvature, "measure", measure)
    trainer = new_trainer(corpus)
    with threadpool_limits(limits=2, user_api="blas"):
        before = blas_threads()
        Synchronisation(OneHost(), trainer, updates_of(corpus)).synchronise(1.0, everything=True)
        assert blas_threads() == before
    assert seen
    assert all(threads == {1} for threads in seen)


@pytest.mark.parametrize(("size", "steps"), [(2, 50), (3, 100)])
def test_hosts_are_brought_together_fifty_times_for_each_other_host(corpus: Corpus, size: int, steps: int) -> None:
    def work(hosts: InOneProcess) -> tuple[int, int]:
        trainer = Trainer(corpus, **{**JOB, "rank": hosts.rank, "epochs": 100})
        return trainer.total_words, Synchronisation(hosts, trainer, updates_of(corpus)).interval

    for words, interval in on_hosts(size, work):
        assert 2_000 < interval < 1_000_000  # beyond, the corpus does not decide
        assert interval == words // steps


def test_eight_hosts_on_a_few_words_that_all_of_them_train_stay_stable(corpus: Corpus) -> None:
    """Where sums would overshoot: in one interval each host meets the frequent words hundreds of times."""

    def longest(trainer: Trainer) -> float:
        return float(np.linalg.norm(trainer.word_vectors(), axis=1).max())

    def work(hosts: InOneProcess) -> float:
        trainer = Trainer(corpus, **{**JOB, "rank": hosts.rank, "epochs": 5})
        synchronisation = Synchronisation(hosts, trainer, updates_of(corpus))
        while trained := trainer.train(synchronisation.interval):
            done = trainer.words_done == trainer.total_words
            synchronisation.synchronise(trainer.alpha * trained, everything=done)
        return longest(trainer)

    assert max(on_hosts(8, work)) < 3 * longest(trained_to_the_end(corpus, epochs=5))
