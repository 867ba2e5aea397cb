"""The words and labels of the training texts: found as they are read, counted over all hosts, ordered by GluonNLP."""

from __future__ import annotations

import json
import zlib
from array import array
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from contract.errors import ClientError
from contract.rendezvous import Hosts
from contract.text_classification import LABEL_PREFIX
from gluon_fasttext.compatibility import load_gluonnlp
from gluon_fasttext.hashing import NO_ROW, word_hashes

_COUNTED_AT_A_TIME = 2**20


class Numbers(dict[bytes, int]):
    """A number for each distinct token, in the order in which they are first asked for."""

    def __missing__(self, token: bytes) -> int:
        number = self[token] = len(self)
        return number


@dataclass(frozen=True)
class Vocabulary:
    """Words and labels, the most frequent first and of equals the alphabetically first; counts over all hosts.

    Args:
        words: shape (V,).
        counts: shape (V,), how often each word occurs.
        labels: shape (L,), with their prefix.
        label_counts: shape (L,).
        tokens: of all training texts, ends counted.
    """

    words: Sequence[str]
    counts: NDArray[np.int64]
    labels: Sequence[str]
    label_counts: NDArray[np.int64]
    tokens: int

    @cached_property
    def row_of(self) -> Mapping[bytes, int]:
        """The row of each word."""
        return {word.encode(): row for row, word in enumerate(self.words)}

    @cached_property
    def number_of(self) -> Mapping[bytes, int]:
        """The number of each label."""
        return {label.encode(): number for number, label in enumerate(self.labels)}

    def rows(self, words: Collection[bytes]) -> NDArray[np.int64]:
        """The rows of words, shape (len(words),); NO_ROW of others."""
        known = self.row_of
        return np.fromiter((known.get(word, NO_ROW) for word in words), np.int64, len(words))

    @cached_property
    def hashes(self) -> NDArray[np.int32]:
        """The hash of each word, shape (V,)."""
        return word_hashes(list(self.row_of))


def occurrences(numbers: Numbers, texts: array[int]) -> dict[bytes, int]:
    """How often each token occurs in texts of token numbers; tokens that do not are left out."""
    view = np.frombuffer(texts, np.int32) if len(texts) else np.empty(0, np.int32)
    counts = np.zeros(len(numbers), np.int64)
    for start in range(0, len(view), _COUNTED_AT_A_TIME):
        counts += np.bincount(view[start : start + _COUNTED_AT_A_TIME], minlength=len(numbers))
    return {token: count for token, count in zip(numbers, counts.tolist(), strict=True) if count}


def agree(hosts: Hosts, words: Mapping[bytes, int], labels: Mapping[bytes, int], min_count: int) -> Vocabulary:
    """The vocabulary of all hosts' training texts.

    Args:
        words, labels: how often each occurs on this host.
    Raises:
        ClientError: no label, no word that is frequent enough, or one that is no UTF-8.
    """
    own = json.dumps([_decoded(words), _decoded(labels)]).encode()
    all_words: Counter[str] = Counter()
    all_labels: Counter[str] = Counter()
    for packed in hosts.share(zlib.compress(own, 1)):
        found_words, found_labels = json.loads(zlib.decompress(packed))
        all_words.update(found_words)
        all_labels.update(found_labels)
    tokens = all_words.total()
    if not all_labels:
        raise ClientError(
            f"channel 'train' holds no label ({tokens} tokens read); a line is label,text, or fastText's form with"
            f" {LABEL_PREFIX} before each label."
        )
    kept = _ordered(all_words, min_count)
    if not kept:
        raise ClientError(
            f"channel 'train' holds no word that occurs at least min_count={min_count} times ({tokens} tokens read);"
            " lower min_count or check the text."
        )
    names = _ordered(all_labels, 1)
    return Vocabulary(
        words=kept,
        counts=np.array([all_words[word] for word in kept], np.int64),
        labels=names,
        label_counts=np.array([all_labels[label] for label in names], np.int64),
        tokens=tokens,
    )


def _ordered(counts: Counter[str], min_count: int) -> list[str]:
    """Those that occur often enough, as GluonNLP's vocabulary orders them."""
    none = dict.fromkeys(("unknown_token", "padding_token", "bos_token", "eos_token"))
    ordered: list[str] = load_gluonnlp().Vocab(counts, min_freq=min_count, **none).idx_to_token
    return ordered


def _decoded(counts: Mapping[bytes, int]) -> dict[str, int]:
    try:
        return {token.decode(): count for token, count in counts.items()}
    except UnicodeDecodeError as error:
        raise ClientError(
            f"channel 'train' holds the word {error.object[:60]!r}, which is not UTF-8; save the text as UTF-8."
        ) from None
