"""A channel's labelled texts, held as one number for each token, and their features, batch by batch."""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from contract.channels import InputChannel
from contract.errors import ClientError
from contract.rendezvous import Hosts
from gluon_fasttext.hashing import Bags, Hashing, rows_of_buckets, word_hashes
from gluon_fasttext.texts import Tokeniser, labelled_texts
from gluon_fasttext.vocabulary import Numbers, Vocabulary, agree, occurrences

_TEXTS_AT_A_TIME = 4096


@dataclass(frozen=True)
class ReadTexts:
    """Texts and their labels as numbers, one text after the other.

    `texts` and `labels` are of C's type int (4 bytes), `text_ends` and `label_ends` of long long.
    """

    texts: array[int]
    text_ends: array[int]
    labels: array[int]
    label_ends: array[int]


def read(
    channel: InputChannel, tokeniser: Tokeniser, words: Numbers, labels: Numbers, part: int = 0, parts: int = 1
) -> ReadTexts:
    """Read a channel, and number its tokens and labels.

    Args:
        part, parts: every `parts`-th text is read, from this one on.
    Raises:
        ClientError: the channel's files cannot be read.
    """
    found = ReadTexts(array("i"), array("q"), array("i"), array("q"))
    number_of_word, number_of_label = words.__getitem__, labels.__getitem__
    for number, (own_labels, text) in enumerate(labelled_texts(channel)):
        if number % parts != part:
            continue
        found.texts.extend(map(number_of_word, tokeniser.tokens(text)))
        found.text_ends.append(len(found.texts))
        found.labels.extend(map(number_of_label, own_labels))
        found.label_ends.append(len(found.labels))
    return found


class Examples:
    """Texts with labels that the model knows.

    Args:
        rows, hashes: of each distinct token, by its number.
        read: the texts; those without a label that the model knows are left out.
        label_numbers: of each distinct label its number in the model, -1 where it has none.
    """

    def __init__(
        self,
        read: ReadTexts,
        rows: NDArray[np.int64],
        hashes: NDArray[np.int32],
        label_numbers: NDArray[np.int64],
    ) -> None:
        self._rows, self._hashes = rows, hashes
        self._tokens = np.frombuffer(read.texts, np.int32) if len(read.texts) else np.empty(0, np.int32)
        ends = np.array(read.text_ends, np.int64)
        lengths = _lengths(ends)
        labels = label_numbers[np.array(read.labels, np.int64)] if len(read.labels) else np.empty(0, np.int64)
        owner = np.repeat(np.arange(len(ends)), _lengths(np.array(read.label_ends, np.int64)))
        known = labels >= 0
        self._labels = labels[known].astype(np.int32)
        counts = np.bincount(owner[known], minlength=len(ends))
        kept = counts > 0
        self._starts, self._lengths = (ends - lengths)[kept], lengths[kept]
        self._label_counts = counts[kept]
        self._label_starts = np.cumsum(self._label_counts) - self._label_counts

    def __len__(self) -> int:
        return len(self._starts)

    def tokens_of(self, texts: NDArray[np.int64]) -> int:
        """Of some texts, by their numbers."""
        return int(self._lengths[texts].sum())

    def bags(self, texts: NDArray[np.int64], hashing: Hashing) -> Bags:
        """The features of texts, by their numbers."""
        tokens, lengths = self._tokens_of(texts)
        return hashing.bags(self._rows[tokens], self._hashes[tokens], lengths)

    def targets(self, texts: NDArray[np.int64], draw: NDArray[np.float64]) -> NDArray[np.int64]:
        """A label of each text, as fastText chooses one at each visit where there are several.

        Args:
            draw: shape (len(texts),), from [0, 1).
        """
        counts = self._label_counts[texts]
        places = self._label_starts[texts] + (draw * counts).astype(np.int64)
        return np.asarray(self._labels[places], np.int64)

    def has_label(self, texts: NDArray[np.int64], labels: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Whether each text bears the label beside it."""
        found = np.zeros(len(texts), bool)
        counts, starts = self._label_counts[texts], self._label_starts[texts]
        for place in range(int(counts.max(initial=0))):
            has = counts > place
            found[has] |= self._labels[starts[has] + place] == labels[has]
        return found

    def mark_buckets(self, hashing: Hashing, used: NDArray[np.bool_]) -> None:
        """Note in `used`, shape (buckets,), where this channel's n-grams fall."""
        for texts in self.in_order():
            tokens, lengths = self._tokens_of(texts)
            used[hashing.buckets_of(self._hashes[tokens], lengths)] = True

    def in_order(self, size: int = _TEXTS_AT_A_TIME) -> Iterator[NDArray[np.int64]]:
        """The numbers of all texts, some at a time."""
        for start in range(0, len(self), size):
            yield np.arange(start, min(start + size, len(self)))

    def _tokens_of(self, texts: NDArray[np.int64]) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
        starts, lengths = self._starts[texts], self._lengths[texts]
        first = np.cumsum(lengths) - lengths
        places = np.arange(int(lengths.sum())) + np.repeat(starts - first, lengths)
        return self._tokens[places], lengths


class Encoding:
    """What makes examples of texts that were read: the rows and hashes of the tokens, the numbers of the labels."""

    def __init__(self, words: Numbers, labels: Numbers, vocabulary: Vocabulary) -> None:
        self._rows = vocabulary.rows(words)
        self._hashes = word_hashes(list(words))
        numbers = vocabulary.number_of
        self._labels = np.fromiter((numbers.get(label, -1) for label in labels), np.int64, len(labels))

    def examples(self, read: ReadTexts) -> Examples:
        """The texts that bear a label that the model knows."""
        return Examples(read, self._rows, self._hashes, self._labels)


def _lengths(ends: NDArray[np.int64]) -> NDArray[np.int64]:
    lengths: NDArray[np.int64] = ends.copy()
    lengths[1:] -= ends[:-1]
    return lengths


def hashing_of(examples: Examples, words: int, ngrams: int, buckets: int, hosts: Hosts) -> Hashing:
    """Rows, behind those of the words, for the buckets that the n-grams of all hosts' training texts fall into."""
    if ngrams == 1:
        return Hashing(1, buckets)
    used = np.zeros(buckets, bool)
    examples.mark_buckets(Hashing(ngrams, buckets), used)
    for packed in hosts.share(np.packbits(used).tobytes()) if hosts.size > 1 else []:
        used |= np.unpackbits(np.frombuffer(packed, np.uint8), count=buckets).astype(bool)
    return Hashing(ngrams, buckets, rows_of_buckets(used, words))


@dataclass(frozen=True)
class Data:
    """What a job trains on, this host's part of it, and what it is measured on, the whole of it."""

    vocabulary: Vocabulary
    hashing: Hashing
    train: Examples
    validation: Examples | None

    @property
    def rows(self) -> int:
        """Of the embedding matrix."""
        buckets = self.hashing.row_of_bucket
        return len(self.vocabulary.words) + (0 if buckets is None else int(np.count_nonzero(buckets >= 0)))


def read_data(
    train: InputChannel,
    validation: InputChannel | None,
    tokeniser: Tokeniser,
    hosts: Hosts,
    *,
    min_count: int,
    ngrams: int,
    buckets: int,
) -> Data:
    """Read the channels; hosts that are given the same training files take every n-th text of them.

    Raises:
        ClientError: the channels hold nothing that can be trained on.
    """
    words, labels = Numbers(), Numbers()
    sharded = train.distribution == "ShardedByS3Key"
    texts = read(train, tokeniser, words, labels, *((0, 1) if sharded else (hosts.rank, hosts.size)))
    vocabulary = agree(hosts, occurrences(words, texts.texts), occurrences(labels, texts.labels), min_count)
    further = read(validation, tokeniser, words, labels) if validation else None
    encoding = Encoding(words, labels, vocabulary)
    own = encoding.examples(texts)
    hashing = hashing_of(own, len(vocabulary.words), ngrams, buckets, hosts)
    measured = encoding.examples(further) if further else None
    if measured is not None and not len(measured):
        raise ClientError("channel 'validation' holds no line with a label that channel 'train' has.")
    return Data(vocabulary, hashing, own, measured)
