"""A trainer that is paused and another that goes on where it was."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from blazingtext._engine import Corpus, Trainer

from .engine_jobs import JOB, WAYS, corpus_of, random_words, trained

each_way = pytest.mark.parametrize("way", WAYS, ids=lambda way: "-".join(map(str, way.values())))


def go_on(corpus: Corpus, former: Trainer, **job: Any) -> Trainer:
    """A new trainer with all that a checkpoint holds of the former."""
    trainer = Trainer(corpus, **{**JOB, **job})
    trainer.resume(former.pause())
    trainer.input[:] = former.input
    trainer.output[:] = former.output
    return trainer


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    """Three blocks of the engine, in sentences that are shorter and longer than those it cuts."""
    path = tmp_path_factory.mktemp("resuming") / "corpus.txt"
    words = [f"w{number}" for number in np.random.default_rng(11).zipf(1.2, 40_000) % 300]
    ends = np.cumsum(np.tile([1, 20, 3_000, 2, 60, 0, 917], 10))
    return corpus_of(path, "\n".join(" ".join(part) for part in np.split(np.array(words), ends)))


@each_way
@pytest.mark.parametrize("seed", range(5))
def test_a_job_interrupted_anywhere_gives_the_bits_of_one_that_was_not(
    corpus: Corpus, way: dict[str, Any], seed: int
) -> None:
    job = {**way, "epochs": 2}
    random = np.random.default_rng(seed)
    trainer = Trainer(corpus, **{**JOB, **job})
    while trainer.train(int(random.choice([1, 700, 20_000]) * random.random()) + 1):
        trainer = go_on(corpus, trainer, **job)
        if random.random() < 0.5:
            trainer.train(int(random.integers(1, 60_000)))

    uninterrupted = trained(corpus, **job)
    assert trainer.words_done == uninterrupted.words_done == trainer.total_words
    assert trainer.input.tobytes() == uninterrupted.input.tobytes()
    assert trainer.output.tobytes() == uninterrupted.output.tobytes()


@each_way
def test_the_trainer_that_was_paused_may_itself_go_on(corpus: Corpus, way: dict[str, Any]) -> None:
    trainer = Trainer(corpus, **{**JOB, **way})
    while trainer.train(3_333):
        trainer.pause()
    assert trainer.word_vectors().tobytes() == trained(corpus, **way).word_vectors().tobytes()


@pytest.mark.parametrize("threads", [(4, 4), (4, 1), (5, 2, 3), (1, 4), (2, 16, 1)])
def test_every_word_is_trained_once_an_epoch_with_any_threads_before_and_after(
    tmp_path: Path, threads: tuple[int, ...]
) -> None:
    corpus = random_words(tmp_path / "corpus.txt", words=400, tokens=200_000)
    job = {"epochs": 3, "rank": 1}
    trainer = Trainer(corpus, **{**JOB, **job, "threads": threads[0]})
    for later in threads[1:]:
        trainer.train(trainer.total_words // (len(threads) + 1))
        former, trainer = trainer, go_on(corpus, trainer, **job, threads=later)
        assert trainer.words_done == former.words_done
        assert trainer.alpha == former.alpha

    rest = trainer.total_words - trainer.words_done
    assert trainer.train(10**9) == rest > 0
    assert trainer.train(1) == 0
    assert trainer.words_done == trainer.total_words


def test_words_that_several_threads_left_behind_are_trained_by_one(tmp_path: Path) -> None:
    """Each block of the corpus has a word of its own, whose output vector stays zero until it is trained."""
    text = "".join(f"{name} " * 16_384 for name in "abcd")
    corpus = corpus_of(tmp_path / "corpus.txt", text)
    former = Trainer(corpus, **{**JOB, "threads": 4, "sampling_threshold": 0.9})
    former.train(4 * 2048)
    trainer = go_on(corpus, former, sampling_threshold=0.9)
    trainer.output[:] = 0
    trainer.train(10**9)
    assert (np.abs(trainer.output).max(axis=1) > 0).all()


def test_a_finished_job_has_nothing_left(corpus: Corpus) -> None:
    former = trained(corpus, threads=3)
    trainer = go_on(corpus, former)
    assert trainer.words_done == trainer.total_words
    assert trainer.train(1) == 0
    assert trainer.input.tobytes() == former.input.tobytes()


@pytest.mark.parametrize(
    "change",
    [
        lambda paused: paused[:-1],
        lambda paused: paused[:0],
        lambda paused: np.concatenate([paused[:1] + np.uint64(100), paused[1:]]),
        lambda paused: np.concatenate([paused[:1], paused[1:2] + paused[2:3], paused[2:]]),
        lambda paused: np.concatenate([paused[:2], paused[2:3] + np.uint64(10**6), paused[3:]]),
    ],
)
def test_what_cannot_come_from_a_paused_trainer_is_refused(corpus: Corpus, change: Any) -> None:
    trainer = Trainer(corpus, **JOB)
    trainer.train(1_000)
    paused = trainer.pause()
    with pytest.raises(ValueError, match="where a trainer of the same corpus"):
        trainer.resume(change(paused))
    assert trainer.words_done >= 1_000
