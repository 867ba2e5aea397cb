"""Training of text classifiers: the dictionary and features are fastText's, and so are the labels that it learns."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path

import fasttext
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from blazingtext._engine import ClassDictionary, ClassTrainer, Corpus, Examples, usable_instructions
from contract import fasttext_format

_TOPICS = {
    "animals": ["cat", "dog", "horse", "fur", "tail", "paw", "barn"],
    "stars": ["moon", "orbit", "comet", "galaxy", "light", "planet", "sky"],
    "food": ["bread", "salt", "butter", "oven", "soup", "pan", "spice"],
}
_FILLERS = ["the", "a", "of", "and", "in", "it", "was"]


def lines(count: int, seed: int = 1) -> list[str]:
    """Lines about one topic each, their label anywhere in them."""
    draw = random.Random(seed)
    found = []
    for _ in range(count):
        topic = draw.choice(list(_TOPICS))
        words = draw.choices(_TOPICS[topic], k=4) + draw.choices(_FILLERS, k=4)
        draw.shuffle(words)
        words.insert(draw.randrange(len(words) + 1), f"__label__{topic}")
        found.append(" ".join(words))
    return found


class Read:
    """A text as the engine reads it."""

    def __init__(self, path: Path, min_count: int = 1, word_ngrams: int = 2, buckets: int = 1000, threads: int = 1):
        self.corpus = Corpus([str(path)], 0, threads)
        self.dictionary = ClassDictionary(self.corpus, min_count, "__label__")
        self.buckets = buckets if word_ngrams > 1 else 0
        self.examples = Examples(
            self.corpus, self.dictionary, word_ngrams=word_ngrams, buckets=self.buckets, threads=threads
        )

    def trainer(self, **more: object) -> ClassTrainer:
        chosen = {"loss": "softmax", "dim": 10, "epochs": 5, "learning_rate": 0.5, "seed": 1, "threads": 1} | more
        return ClassTrainer(self.examples, self.dictionary, **chosen)  # type: ignore[arg-type]


def to_the_end(trainer: ClassTrainer) -> ClassTrainer:
    while trainer.progress < 1:
        trainer.train(1000)
    return trainer


def test_words_begin_at_random_and_ngrams_as_zeros(tmp_path: Path) -> None:
    path = tmp_path / "train.txt"
    path.write_text("\n".join(lines(20)) + "\n")
    read = Read(path)
    trainer = read.trainer()
    words = len(read.dictionary.words)
    assert len(trainer.input) > words
    assert np.all(np.any(trainer.input[:words] != 0, axis=1))
    assert np.abs(trainer.input[:words]).max() <= 1 / 10
    assert not np.any(trainer.input[words:])
    to_the_end(trainer)
    assert np.any(trainer.input[words:])


def trained(read: Read, **more: object) -> ClassTrainer:
    return to_the_end(read.trainer(**more))


def save(path: Path, read: Read, trainer: ClassTrainer, word_ngrams: int, loss: str) -> str:
    fasttext_format.write(
        path,
        fasttext_format.Settings(
            architecture="supervised", dim=trainer.input.shape[1], window_size=5, epochs=5, min_count=1,
            negative_samples=5, buckets=read.buckets, min_char=0, max_char=0, sampling_threshold=1e-4,
            word_ngrams=word_ngrams, loss=loss,  # type: ignore[arg-type]
        ),
        words=read.dictionary.words,
        labels=read.dictionary.labels,
        counts=read.dictionary.counts,
        tokens=read.dictionary.tokens,
        input=trainer.input,
        bucket_ids=read.examples.bucket_ids,
        output=trainer.output,
    )  # fmt: skip
    return str(path)


def written(folder: Path, found: Sequence[str]) -> Path:
    path = folder / "text"
    path.write_text("".join(f"{line}\n" for line in found))
    return path


@pytest.fixture
def text(tmp_path: Path) -> Path:
    return written(tmp_path, lines(300))


# Threads of fastText that fill all of a small input matrix: each a tenth, rounded down, and the rest is never set.
FILLING = 19

_TOKENS = st.sampled_from(["a", "b", "cc", "dé", "日本", "__label__x", "__label__y", "__label__", "x__label__y", "</s"])


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.lists(_TOKENS, max_size=6), min_size=1, max_size=12), st.integers(1, 3))
def test_the_dictionary_is_fasttexts(tmp_path: Path, rows: list[list[str]], min_count: int) -> None:
    rows = [[*row, "__label__x", "a"] for row in rows]
    path = written(tmp_path, [" ".join(row) for row in rows])
    theirs = fasttext.train_supervised(str(path), minCount=min_count, epoch=1, dim=20, thread=FILLING, verbose=0)
    ours = Read(path, min_count).dictionary
    words, labels = (dict(zip(*found, strict=True)) for found in (
        theirs.get_words(include_freq=True), theirs.get_labels(include_freq=True)))  # fmt: skip
    assert dict(zip([*ours.words, *ours.labels], ours.counts.tolist(), strict=True)) == words | labels
    assert set(ours.words) == set(words)
    counts = ours.counts.tolist()
    assert counts[: len(words)] == sorted(counts[: len(words)], reverse=True)
    assert counts[len(words) :] == sorted(counts[len(words) :], reverse=True)
    assert ours.tokens == sum(map(len, rows)) + len(rows)


@pytest.mark.parametrize("loss", ["softmax", "ova", "hs"])
@pytest.mark.parametrize("word_ngrams", [1, 3])
def test_fasttext_finds_the_accuracy_that_the_engine_finds(
    tmp_path: Path, text: Path, loss: str, word_ngrams: int
) -> None:
    read = Read(text, word_ngrams=word_ngrams)
    trainer = trained(read, loss=loss)
    test = written(tmp_path / "", lines(200, seed=2))
    examples = read.examples.encode(Corpus([str(test)], 0, 1), read.dictionary, 1)
    accuracy = trainer.correct(examples, 2) / len(examples)
    model = fasttext.load_model(save(tmp_path / "model.bin", read, trainer, word_ngrams, loss))
    assert model.test(str(test))[:2] == (200, pytest.approx(accuracy))
    assert accuracy > 0.95


def test_it_learns_as_fast_as_fasttext(tmp_path: Path) -> None:
    """With so little training that neither is right always."""
    scores = []
    for seed in range(5):
        path = written(tmp_path, lines(60, seed))
        test = tmp_path / "test"
        test.write_text("".join(f"{line}\n" for line in lines(400, seed + 100)))
        read = Read(path, word_ngrams=1)
        trainer = trained(read, learning_rate=0.2, epochs=4, seed=seed)
        examples = read.examples.encode(Corpus([str(test)], 0, 1), read.dictionary, 1)
        theirs = fasttext.train_supervised(
            str(path), lr=0.2, epoch=4, dim=10, minCount=1, thread=FILLING, seed=seed, verbose=0
        )
        scores.append((trainer.correct(examples, 1) / len(examples), theirs.test(str(test))[1]))
    ours, theirs = np.mean(scores, axis=0)
    assert 0.34 < theirs < 0.999
    assert ours == pytest.approx(theirs, abs=0.12)


def test_one_thread_and_one_seed_give_one_model(text: Path) -> None:
    first, again, other = (trained(Read(text), seed=seed) for seed in (7, 7, 8))
    assert np.array_equal(first.input, again.input)
    assert np.array_equal(first.output, again.output)
    assert not np.array_equal(first.output, other.output)


def test_how_training_is_divided_changes_nothing(text: Path) -> None:
    read = Read(text)
    whole, parts = trained(read), read.trainer()
    calls = 0
    while parts.progress < 1:
        parts.train(7)
        calls += 1
    assert calls > 100
    assert np.array_equal(whole.output, parts.output)


@pytest.mark.parametrize("loss", ["softmax", "ova", "hs"])
def test_all_kernels_train_the_same_model(text: Path, loss: str) -> None:
    read = Read(text)
    models = [trained(read, loss=loss, dim=21, instructions=name) for name in usable_instructions()]
    for model in models[1:]:
        np.testing.assert_allclose(model.output, models[0].output, atol=2e-3)
        np.testing.assert_allclose(model.input, models[0].input, atol=2e-3)


def test_threads_share_the_work_and_the_result_is_as_good(tmp_path: Path) -> None:
    read = Read(written(tmp_path, lines(2000)), threads=3)
    trainer = trained(read, threads=3)
    assert trainer.correct(read.examples, 3) / len(read.examples) > 0.98


def test_of_several_labels_ova_finds_all_and_softmax_shares(tmp_path: Path) -> None:
    both = [f"__label__one __label__two {line.replace('__label__', '')}" for line in lines(200)]
    read = Read(written(tmp_path, both))
    for loss, expected in (("ova", 0.98), ("softmax", 0.49)):
        model = fasttext.load_model(save(tmp_path / "model.bin", read, trained(read, loss=loss), 2, loss))
        found = [probability for probability, _ in model.f.predict("cat dog\n", 2, 0.0, "strict")]
        assert min(found) > expected - 0.03
        assert loss == "ova" or sum(found) == pytest.approx(1, abs=1e-3)


def test_label_weights_move_the_decision(tmp_path: Path) -> None:
    """Of two labels of the same words, the weightier wins though it is rarer."""
    read = Read(written(tmp_path, ["__label__often x y"] * 60 + ["__label__rare x y"] * 30), word_ngrams=1)
    assert read.dictionary.labels == ["__label__often", "__label__rare"]
    plain, weighted = (trained(read, label_weights=weights) for weights in ([], [1.0, 5.0]))
    assert plain.correct(read.examples, 1) == 60
    assert weighted.correct(read.examples, 1) == 30


def test_only_buckets_in_use_take_memory_and_the_file_has_zeros_for_the_others(tmp_path: Path, text: Path) -> None:
    read = Read(text, buckets=200_000)
    used = read.examples.bucket_ids
    trainer = trained(read)
    assert len(used) == len(set(used.tolist())) < 300 * 9
    assert trainer.input.shape == (len(read.dictionary.words) + len(used), 10)
    model = fasttext.load_model(save(tmp_path / "model.bin", read, trainer, 2, "softmax"))
    rows = np.array(model.get_input_matrix())[len(read.dictionary.words) :]
    assert np.array_equal(np.flatnonzero(rows.any(axis=1)), np.sort(used))
    assert np.array_equal(rows[used], trainer.input[len(read.dictionary.words) :])


def test_the_kept_weights_come_back(text: Path) -> None:
    trainer = Read(text).trainer()
    with pytest.raises(ValueError, match="no weights were kept"):
        trainer.restore_weights()
    assert trainer.train(10**6)
    trainer.keep_weights()
    kept = trainer.output.copy()
    trainer.train(10**6)
    assert not np.array_equal(trainer.output, kept)
    trainer.restore_weights()
    assert np.array_equal(trainer.output, kept)
    assert trainer.epochs_done == 2


def test_vectors_that_grow_beyond_all_bounds_are_told(text: Path) -> None:
    trainer = Read(text).trainer(learning_rate=1e30)
    with pytest.raises(FloatingPointError, match="lower learning_rate"):
        to_the_end(trainer)


def test_lines_without_a_label_or_a_word_are_no_examples(tmp_path: Path) -> None:
    read = Read(written(tmp_path, ["__label__x a a", "b b", "", "__label__x", "__label__y a"]))
    assert len(read.examples) == 3  # </s> is a word, so a line with nothing but a label is one
    assert read.dictionary.labels == ["__label__x", "__label__y"]


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_threads_train_parts_of_the_text_that_are_far_from_each_other(tmp_path: Path, threads: int) -> None:
    """Neighbours are alike, and steps that threads take on them at the same time add up to too long a one."""
    path, count = tmp_path / "train.txt", 6000
    path.write_text("".join(f"__label__{number % 2} w{number}\n" for number in range(count)))
    read = Read(path, word_ngrams=1)
    trainer = read.trainer(threads=threads, epochs=1)
    before = trainer.input.copy()
    trainer.train(count // 10)
    moved = np.any(trainer.input != before, axis=1)
    places = [int(word[1:]) for word, has in zip(read.dictionary.words, moved, strict=True) if has and word != "</s>"]
    found = np.histogram(places, bins=threads, range=(0, count))[0]
    assert sum(found) >= count // 10 - 10
    assert all(part >= 0.8 * count / 10 / threads for part in found)
    assert max(place % (count // threads) for place in places) < count // threads / 5
