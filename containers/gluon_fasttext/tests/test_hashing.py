"""Hashes and n-grams, held against a plain reading of fastText's dictionary.cc."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gluon_fasttext.hashing import NO_ROW, Hashing, rows_of_buckets, word_hashes

BUCKETS = 1000
words_of_a_text = st.lists(st.binary(min_size=1, max_size=12), max_size=12)


def plain_hash(word: bytes) -> int:
    found = 2166136261
    for byte in word:
        found = ((found ^ (byte | 0xFFFFFF00 if byte > 127 else byte)) * 16777619) & 0xFFFFFFFF
    return found - 2**32 if found >= 2**31 else found


def plain_buckets(words: list[bytes], ngrams: int) -> list[int]:
    hashes = [plain_hash(word) % 2**64 for word in words]
    found = []
    for start, total in enumerate(hashes):
        for further in hashes[start + 1 : start + ngrams]:
            total = (total * 116049371 + further) % 2**64
            found.append(total % BUCKETS)
    return found


@given(st.lists(st.binary(max_size=40), max_size=30))
def test_word_hashes_are_fasttexts(words: list[bytes]) -> None:
    assert word_hashes(words).tolist() == [plain_hash(word) for word in words]


@given(st.lists(words_of_a_text, max_size=6), st.integers(1, 5))
def test_a_texts_features_are_its_words_and_fasttexts_buckets(texts: list[list[bytes]], ngrams: int) -> None:
    flat = [word for text in texts for word in text]
    known = {word: row for row, word in enumerate(sorted(set(flat))) if len(word) % 3}
    rows = np.array([known.get(word, NO_ROW) for word in flat], np.int64)
    lengths = np.array([len(text) for text in texts], np.int64)
    hashing = Hashing(ngrams, BUCKETS, rows_of_buckets(np.ones(BUCKETS, bool), len(known)))
    bags = hashing.bags(rows, word_hashes(flat), lengths)
    for number, text in enumerate(texts):
        own = bags.rows[bags.bounds[number] : bags.bounds[number + 1]]
        words = [known[word] for word in text if word in known]
        expected = words + [len(known) + bucket for bucket in plain_buckets(text, ngrams)]
        assert sorted(own.tolist()) == sorted(expected)
        assert bags.sizes[number] == len(expected)


def test_an_ngram_that_training_never_saw_counts_in_the_mean_and_has_no_row() -> None:
    words = [b"a", b"b", b"c"]
    used = np.zeros(BUCKETS, bool)
    used[plain_buckets(words[:2], 2)] = True
    hashing = Hashing(2, BUCKETS, rows_of_buckets(used, 3))
    bags = hashing.bags(np.arange(3), word_hashes(words), np.array([3]))
    assert bags.rows.tolist() == [0, 1, 2, 3]
    assert bags.sizes.tolist() == [5]
    assert bags.weights == pytest.approx([0.2] * 4)


@given(words_of_a_text, st.integers(2, 5))
def test_the_buckets_of_a_text_are_those_of_its_ngrams(text: list[bytes], ngrams: int) -> None:
    found = Hashing(ngrams, BUCKETS).buckets_of(word_hashes(text), np.array([len(text)]))
    assert sorted(found.tolist()) == sorted(plain_buckets(text, ngrams))
