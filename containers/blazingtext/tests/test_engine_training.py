"""Training: what is learnt, what is counted, and what a seed determines."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from blazingtext._engine import Trainer, usable_instructions

from .engine_jobs import (
    FRUIT,
    JOB,
    TOOLS,
    WAYS,
    corpus_of,
    part_of,
    random_words,
    similarities,
    trained,
    two_groups,
    vectors,
)

each_way = pytest.mark.parametrize("way", WAYS, ids=lambda way: "-".join(map(str, way.values())))


@each_way
def test_words_that_share_contexts_get_similar_vectors(tmp_path: Path, way: dict[str, Any]) -> None:
    corpus = two_groups(tmp_path / "corpus.txt")
    matrix = vectors(corpus, **way, epochs=10)

    alike = similarities(matrix)
    fruit = [corpus.words.index(word) for word in FRUIT]
    tools = [corpus.words.index(word) for word in TOOLS]
    assert min(alike[np.ix_(fruit, fruit)].min(), alike[np.ix_(tools, tools)].min()) > 0.5
    assert alike[np.ix_(fruit, tools)].max() < 0.3


@each_way
def test_several_threads_learn_what_one_does(tmp_path: Path, way: dict[str, Any]) -> None:
    random = np.random.default_rng(5)
    groups = [[f"{letter}{number}" for number in range(150)] for letter in "xy"]
    lines = [" ".join(random.choice(groups[i % 2], 8)) for i in range(8000)]
    corpus = corpus_of(tmp_path / "corpus.txt", "\n".join(lines))
    assert Trainer(corpus, **{**JOB, "threads": 3}).threads == 3

    def contrast(threads: int) -> float:
        alike = similarities(vectors(corpus, **way, threads=threads, epochs=10))
        same = np.equal.outer(*2 * [[word[0] for word in corpus.words]])
        return float(alike[same].mean() - alike[~same].mean())

    assert contrast(3) > 0.8 * contrast(1) > 0.4


def test_threads_count_by_what_they_trained_when_their_own_rows_become_their_mean(tmp_path: Path) -> None:
    """A single block of 16,384 tokens is trained by one thread; the other, which waits, must not hold its rows back."""
    often = [f"often{number}" for number in range(4)]  # enough for two threads to have rows of their own for them
    words = np.repeat([*often, *(f"w{number}" for number in range(200))], [2000] * 4 + [40] * 200)
    corpus = corpus_of(tmp_path / "corpus.txt", " ".join(np.random.default_rng(5).permutation(words)))
    # So slowly that the rows are still on their way when training ends.
    job = {"learning_rate": 0.0001, "sampling_threshold": 1e-4}
    alone, beside = (trained(corpus, **job, threads=threads) for threads in (1, 2))
    assert beside.threads == 2
    lengths = [np.linalg.norm(trainer.output[: len(often)], axis=1) for trainer in (alone, beside)]
    assert np.median(lengths[1] / lengths[0]) == pytest.approx(1, abs=0.15)


@pytest.mark.parametrize(("words", "most"), [(1, 1), (10, 1), (330, 10)])
def test_threads_are_as_many_as_different_words_allow(tmp_path: Path, words: int, most: int) -> None:
    corpus = corpus_of(tmp_path / "corpus.txt", " ".join(f"w{number}" for number in range(words)))
    assert Trainer(corpus, **{**JOB, "threads": 64}).threads == most
    assert Trainer(corpus, **{**JOB, "threads": 1}).threads == 1


def test_a_wide_window_over_few_words_does_not_overshoot(tmp_path: Path) -> None:
    """A step that took a word as often as the window holds it would go too far, and the next one back further."""
    drawn = np.random.default_rng(3).integers(7, size=4000)
    corpus = corpus_of(tmp_path / "corpus.txt", " ".join(f"w{number}" for number in drawn))
    wide = {"window_size": 1000, "batch_size": 32, "negative_samples": 2, "learning_rate": 0.1}
    assert np.abs(vectors(corpus, **wide, threads=4)).max() < 10


def test_frequent_words_that_sampling_drops_hold_up_fewer_threads(tmp_path: Path) -> None:
    corpus = random_words(tmp_path / "corpus.txt", words=2000, tokens=50_000)
    job = {**JOB, "threads": 64}
    few, many = (Trainer(corpus, **{**job, "sampling_threshold": threshold}).threads for threshold in (0.9, 1e-4))
    assert many > 5 * few


@pytest.mark.parametrize("instructions", usable_instructions())
@pytest.mark.parametrize("words", [2, 5, 9, 11])
def test_windows_of_one_step_share_negative_samples(tmp_path: Path, words: int, instructions: str) -> None:
    # Outputs begin at zero, so that all products are zero and the first step can be taken to pieces: what an output
    # has after it is the sum of its window, less a whole number of times the sum of all pairs' inputs but its own.
    # The rate is so low that a word that is among the targets more than once makes no difference.
    rate = 1e-6
    corpus = corpus_of(tmp_path / "corpus.txt", " ".join("abcdefghijk"[:words]))
    trainer = Trainer(
        corpus, **{**JOB, "window_size": 1, "batch_size": words, "learning_rate": rate, "instructions": instructions}
    )
    inputs = trainer.input.astype(np.float64)
    trainer.train(words)

    windows = np.eye(words, k=1) + np.eye(words, k=-1)
    positive = rate / 2 * windows @ inputs
    all_pairs = windows.sum(axis=1) @ inputs - windows @ inputs
    negatives = 20
    scale = -rate / 2 * JOB["negative_samples"] / negatives
    drawn = ((trainer.output - positive) * all_pairs).sum(axis=1) / (scale * (all_pairs**2).sum(axis=1))
    np.testing.assert_allclose(drawn, drawn.round(), atol=1e-3)
    np.testing.assert_allclose(trainer.output, positive + scale * drawn[:, None] * all_pairs, atol=1e-5 * rate)
    assert drawn.round().sum() == negatives


@each_way
def test_one_thread_and_a_seed_give_the_same_bits(tmp_path: Path, way: dict[str, Any]) -> None:
    corpus = random_words(tmp_path / "corpus.txt", words=200, tokens=40_000)
    first, again = vectors(corpus, **way), vectors(corpus, **way)
    assert first.tobytes() == again.tobytes()
    assert first.tobytes() != vectors(corpus, **way, seed=2).tobytes()


@each_way
@pytest.mark.parametrize("portion", [1, 777])
def test_the_division_among_calls_does_not_matter(tmp_path: Path, way: dict[str, Any], portion: int) -> None:
    corpus = random_words(tmp_path / "corpus.txt", words=100, tokens=20_000, per_line=3000)
    in_portions = trained(corpus, portion, **way).word_vectors()
    assert in_portions.tobytes() == vectors(corpus, **way).tobytes()


@pytest.mark.parametrize("threads", [1, 4])
def test_every_token_of_every_epoch_is_counted(tmp_path: Path, threads: int) -> None:
    corpus = corpus_of(tmp_path / "corpus.txt", "common common rare\n" * 3 + "once\n" * 41_000 + "common", min_count=7)
    assert corpus.words == ["once", "common"]
    trainer = Trainer(corpus, **{**JOB, "epochs": 3, "threads": threads, "sampling_threshold": 1e-4})
    assert trainer.total_words == 3 * corpus.tokens_read == 3 * 41_010

    done = []
    while words := trainer.train(10_000):
        done.append(words)
        assert trainer.words_done == sum(done)
        assert trainer.progress == pytest.approx(sum(done) / trainer.total_words)
    assert done == [10_000] * 12 + [3_030]
    assert trainer.train(10_000) == 0


def test_the_learning_rate_falls_linearly_to_a_ten_thousandth(tmp_path: Path) -> None:
    corpus = random_words(tmp_path / "corpus.txt", words=50, tokens=10_000)
    trainer = Trainer(corpus, **JOB)
    assert trainer.alpha == pytest.approx(0.05)
    trainer.train(2_500)
    assert trainer.alpha == pytest.approx(0.0375)
    trainer.train(10_000)
    assert trainer.alpha == pytest.approx(0.05e-4)


def test_a_rank_trains_only_its_own_part(tmp_path: Path) -> None:
    path = tmp_path / "corpus.txt"
    path.write_text("a b " * 500 + "\n" + "c d " * 500)
    for rank, (own, other) in enumerate([("ab", "cd"), ("cd", "ab")]):
        corpus = part_of([str(path)], rank, 2)
        # One window of the least width: centres are this rank's words, and they alone are positive targets.
        trainer = Trainer(corpus, **{**JOB, "window_size": 1, "rank": rank})
        before = {word: trainer.input[corpus.words.index(word)].copy() for word in "abcd"}
        trainer.train(10**6)
        changed = {word for word in "abcd" if (trainer.input[corpus.words.index(word)] != before[word]).any()}
        assert changed == set(own)
        assert not changed & set(other)


def test_ranks_begin_with_the_same_vectors_and_draw_different_numbers(tmp_path: Path) -> None:
    corpus = corpus_of(tmp_path / "corpus.txt", "a b c d e f g h\n" * 400)
    zero, one = (Trainer(corpus, **{**JOB, "rank": rank}) for rank in range(2))
    assert (zero.input == one.input).all()
    for trainer in (zero, one):
        trainer.train(10**6)
    assert (zero.input != one.input).any()


@each_way
def test_more_threads_than_words_is_no_trouble(tmp_path: Path, way: dict[str, Any]) -> None:
    for text in ("a", "a b", "a a a", "a b c\n\nd"):
        corpus = corpus_of(tmp_path / "corpus.txt", text)
        trainer = trained(corpus, **way, threads=16, epochs=2, rank=1)
        assert np.isfinite(trainer.word_vectors()).all()


@pytest.mark.parametrize("dim", [1, 7, 2048])
@each_way
def test_small_and_large_dimensions_train(tmp_path: Path, way: dict[str, Any], dim: int) -> None:
    corpus = corpus_of(tmp_path / "corpus.txt", "a b c d e f g h\n" * 100)
    trainer = trained(corpus, **way, dim=dim, window_size=40)
    matrix = trainer.word_vectors()
    assert matrix.shape == (8, dim)
    assert matrix.dtype == np.float32
    assert matrix.flags.c_contiguous
    assert np.isfinite(matrix).all()
    assert np.abs(trainer.output).max() > 0


@each_way
def test_instruction_sets_agree(tmp_path: Path, way: dict[str, Any]) -> None:
    corpus = random_words(tmp_path / "corpus.txt", words=30, tokens=1_000)
    matrices = [vectors(corpus, **way, instructions=name, epochs=3) for name in usable_instructions()]
    for matrix in matrices:
        np.testing.assert_allclose(matrix, matrices[-1], rtol=1e-3, atol=1e-5)


def test_the_matrices_are_live(tmp_path: Path) -> None:
    corpus = corpus_of(tmp_path / "corpus.txt", "a b c\n" * 10)
    trainer = Trainer(corpus, **JOB)
    view = trainer.input
    view[:] = 0.25
    assert (trainer.input == 0.25).all()
    assert (trainer.word_vectors() == 0.25).all()
    del trainer
    assert (view == 0.25).all()


def test_a_number_that_is_not_finite_is_found_wherever_it_is(tmp_path: Path) -> None:
    trainer = trained(corpus_of(tmp_path / "corpus.txt", "a b c\n" * 10))
    trainer.check_finite()
    for matrix in (trainer.input, trainer.output):
        for value in (np.nan, np.inf):
            kept, matrix[-1, -1] = matrix[-1, -1], value
            with pytest.raises(FloatingPointError, match="lower learning_rate"):
                trainer.check_finite()
            matrix[-1, -1] = kept
    trainer.check_finite()


def test_a_learning_rate_beyond_reason_is_an_error_and_no_crash(tmp_path: Path) -> None:
    corpus = random_words(tmp_path / "corpus.txt", words=50, tokens=20_000)
    with pytest.raises(FloatingPointError, match="lower learning_rate"):
        trained(corpus, learning_rate=1e12, threads=2)


def test_a_corpus_without_words_is_refused(tmp_path: Path) -> None:
    corpus = corpus_of(tmp_path / "corpus.txt", "a b c", min_count=5)
    assert corpus.words == []
    with pytest.raises(ValueError, match="no word"):
        Trainer(corpus, **JOB)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"mode": "glove"}, "mode=glove is not known"),
        ({"dim": 0}, "dim must be"),
        ({"window_size": 0}, "window_size must be"),
        ({"negative_samples": 0}, "negative_samples must be"),
        ({"batch_size": 33}, "batch_size must be"),
        ({"epochs": 0}, "epochs must be"),
        ({"learning_rate": float("nan")}, "learning_rate must be"),
        ({"sampling_threshold": 0.0}, "sampling_threshold must be"),
        ({"threads": 0}, "threads must be"),
        ({"rank": -1}, "rank must be"),
        ({"subwords": True}, "does not learn subwords"),
        ({"mode": "cbow", "subwords": True, "min_char": 7}, "min_char must be"),
        ({"mode": "cbow", "subwords": True, "buckets": 0}, "buckets must be"),
    ],
)
def test_values_that_cannot_be_trained_with_are_refused(tmp_path: Path, wrong: dict[str, Any], message: str) -> None:
    corpus = corpus_of(tmp_path / "corpus.txt", "a b c")
    with pytest.raises(ValueError, match=message):
        Trainer(corpus, **{**JOB, **wrong})
