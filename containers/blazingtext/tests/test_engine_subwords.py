"""Character n-grams: equal to fastText's, so that a model of ours works there."""

from pathlib import Path

import fasttext
import numpy as np
import pytest

from blazingtext._engine import Trainer, subword_buckets

from .engine_jobs import JOB, corpus_of, trained

WORDS = ["where", "a", "an", "\u00fcber", "\u4e16\u754c", "na\u00efve", "\U0001f600!", "</s>", "x" * 60]


@pytest.mark.parametrize(("min_char", "max_char"), [(3, 6), (1, 1), (1, 4), (2, 100)])
def test_buckets_are_those_of_fasttext(tmp_path: Path, min_char: int, max_char: int) -> None:
    buckets = 1009
    corpus = tmp_path / "corpus.txt"
    corpus.write_text(" ".join(word for word in WORDS if word != "</s>") + "\n")
    model = fasttext.train_unsupervised(
        str(corpus), dim=2, epoch=1, minCount=1, minn=min_char, maxn=max_char, bucket=buckets, thread=1, verbose=0
    )
    words = len(model.words)
    for word in [word for word in WORDS if word in model.words] + ["unknown", "\u00e9\u00e9"]:
        rows = [row - words for row in model.get_subwords(word)[1] if row >= words]
        assert subword_buckets(word, min_char, max_char, buckets) == rows, word


def test_the_end_of_sentence_has_no_ngrams() -> None:
    assert subword_buckets("</s>", 1, 6, 100) == []


def test_known_values() -> None:
    # 32-bit FNV-1a of "<a>" is 0xbbcd51ce; characters above 127 count as negative.
    assert subword_buckets("a", 3, 6, 2**32 - 1) == [fnv1a(b"<a>")]
    assert subword_buckets("\u00e9", 3, 3, 2**32 - 1) == [fnv1a("<\u00e9>".encode())]


def fnv1a(text: bytes) -> int:
    value = 2166136261
    for byte in text:
        value = ((value ^ (byte | (0xFFFFFF00 if byte > 127 else 0))) * 16777619) % 2**32
    return value


def test_a_word_is_the_mean_of_its_row_and_its_ngrams(tmp_path: Path) -> None:
    corpus = corpus_of(tmp_path / "corpus.txt", "where there hare\n" * 50)
    trainer = trained(corpus, mode="skipgram", subwords=True, buckets=97)
    row_of = {bucket: 3 + row for row, bucket in enumerate(trainer.bucket_ids.tolist())}
    for index, word in enumerate(corpus.words):
        rows = [index] + [row_of[bucket] for bucket in subword_buckets(word, 3, 6, 97)]
        np.testing.assert_allclose(
            trainer.word_vectors()[index], trainer.input[rows].mean(axis=0), rtol=1e-5, atol=1e-7
        )


def test_only_buckets_that_some_word_uses_take_memory(tmp_path: Path) -> None:
    corpus = corpus_of(tmp_path / "corpus.txt", "where there hare\n" * 50)
    trainer = Trainer(corpus, **{**JOB, "mode": "cbow", "subwords": True, "buckets": 2_000_000_000})
    used = {bucket for word in corpus.words for bucket in subword_buckets(word, 3, 6, 2_000_000_000)}
    assert sorted(trainer.bucket_ids.tolist()) == sorted(used)
    assert trainer.input.shape == (3 + len(used), 20)
    assert np.abs(trainer.input).min(axis=1).max() > 0


def test_without_subwords_there_are_no_buckets(tmp_path: Path) -> None:
    assert trained(corpus_of(tmp_path / "corpus.txt", "where there hare")).bucket_ids.shape == (0,)


def test_more_memory_than_there_is_is_a_memory_error(tmp_path: Path) -> None:
    corpus = corpus_of(tmp_path / "corpus.txt", " ".join(f"w{i}" for i in range(1000)))
    with pytest.raises(MemoryError):
        Trainer(corpus, **{**JOB, "mode": "cbow", "dim": 2_000_000_000})
