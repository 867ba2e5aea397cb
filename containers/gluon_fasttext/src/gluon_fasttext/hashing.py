"""fastText's features of a text: the rows of its words, and of its n-grams, which share hash buckets.

Joulin, Grave, Bojanowski and Mikolov 2017, Bag of Tricks for Efficient Text Classification, section 2.2; the hashes are
those of fastText's src/dictionary.cc, so that a model can be read there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

NO_ROW = -1

_OFFSET_BASIS, _PRIME = np.uint32(2166136261), np.uint32(16777619)
_MULTIPLIER = np.uint64(116049371)


def word_hashes(words: Sequence[bytes]) -> NDArray[np.int32]:
    """FNV-1a hashes of words, shape (len(words),).

    A byte counts as a signed char, as fastText's do. The sum over a word's hash and its successors' takes them for
    signed, too (`std::vector<int32_t>`).
    """
    lengths = np.fromiter(map(len, words), np.int64, len(words))
    # The longest words first: those that have a byte at some place are then a slice.
    order = np.argsort(-lengths, kind="stable")
    starts = (np.cumsum(lengths) - lengths)[order]
    data = np.frombuffer(b"".join(words), np.int8).astype(np.int32).view(np.uint32)
    hashes = np.full(len(words), _OFFSET_BASIS, np.uint32)
    longest = int(lengths[order[0]]) if len(words) else 0
    reach = np.searchsorted(-lengths[order], -np.arange(longest), side="left")
    for place, count in enumerate(reach.tolist()):
        hashes[:count] = (hashes[:count] ^ data[starts[:count] + place]) * _PRIME
    found = np.empty_like(hashes)
    found[order] = hashes
    return found.view(np.int32)


@dataclass(frozen=True)
class Bags:
    """The features of texts as a matrix in compressed sparse rows.

    Text i has the rows `rows[bounds[i]:bounds[i + 1]]`. `sizes` counts its features, also those that have no row, for
    the mean over them takes them for zeros.
    """

    rows: NDArray[np.int64]
    bounds: NDArray[np.int64]
    sizes: NDArray[np.int64]

    @property
    def weights(self) -> NDArray[np.float32]:
        """What each row counts in its text's mean, shape (len(rows),)."""
        return np.repeat(1 / np.maximum(self.sizes, 1), np.diff(self.bounds)).astype(np.float32)


@dataclass(frozen=True)
class Hashing:
    """Where n-grams have their rows.

    Args:
        ngrams: the longest.
        buckets: that their hashes are taken modulo.
        row_of_bucket: shape (buckets,); NO_ROW where no n-gram of the training texts falls. None: not known yet, and
            every bucket has its own number as its row.
    """

    ngrams: int
    buckets: int
    row_of_bucket: NDArray[np.int32] | None = None

    def bags(self, rows: NDArray[np.int64], hashes: NDArray[np.int32], lengths: NDArray[np.int64]) -> Bags:
        """The features of texts.

        Args:
            rows: of all tokens of the texts, one text after the other; NO_ROW of words that have none.
            hashes: of the same tokens.
            lengths: tokens of each text.
        """
        text = np.repeat(np.arange(len(lengths)), lengths)
        known = rows != NO_ROW
        if self.ngrams == 1:
            sizes = np.bincount(text[known], minlength=len(lengths))
            return Bags(rows[known], _bounds(sizes), sizes)
        found, owners = [rows[known]], [text[known]]
        for ngrams, owner in self._ngrams(hashes, lengths, text):
            found.append(ngrams)
            owners.append(owner)
        features, owner = np.concatenate(found), np.concatenate(owners)
        sizes = np.bincount(owner, minlength=len(lengths))
        kept = features != NO_ROW
        features, owner = features[kept], owner[kept]
        order = np.argsort(owner, kind="stable")
        return Bags(features[order], _bounds(np.bincount(owner, minlength=len(lengths))), sizes)

    def _ngrams(
        self, hashes: NDArray[np.int32], lengths: NDArray[np.int64], text: NDArray[np.int64]
    ) -> list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
        """Rows and texts of the n-grams of two words, of three, and so on."""
        wide = hashes.astype(np.int64).view(np.uint64)
        behind = np.repeat(np.cumsum(lengths), lengths) - np.arange(len(hashes))  # tokens from here to the text's end
        places, sums = np.arange(len(hashes)), wide
        found = []
        for further in range(1, self.ngrams):
            going_on = behind[places] > further
            places, sums = places[going_on], sums[going_on]
            sums = sums * _MULTIPLIER + wide[places + further]
            bucket = (sums % np.uint64(self.buckets)).astype(np.int64)
            row = bucket if self.row_of_bucket is None else self.row_of_bucket[bucket].astype(np.int64)
            found.append((row, text[places]))
        return found

    def buckets_of(self, hashes: NDArray[np.int32], lengths: NDArray[np.int64]) -> NDArray[np.int64]:
        """The buckets that the n-grams of texts fall into, each as often as it occurs."""
        text = np.repeat(np.arange(len(lengths)), lengths)
        plain = Hashing(self.ngrams, self.buckets)
        return np.concatenate([np.empty(0, np.int64), *(rows for rows, _ in plain._ngrams(hashes, lengths, text))])


def rows_of_buckets(used: NDArray[np.bool_], first: int) -> NDArray[np.int32]:
    """A row for each bucket that is used, in ascending order from `first` on; NO_ROW for the others."""
    rows = np.full(len(used), NO_ROW, np.int32)
    rows[used] = np.arange(first, first + np.count_nonzero(used))
    return rows


def _bounds(sizes: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.concatenate([np.zeros(1, np.int64), np.cumsum(sizes)])
