"""Writing fastText's .bin and .ftz formats, version 12, for fastText and gensim to load; model.py reads them.

Layout, little-endian (fastText src/fasttext.cc, src/args.cc, src/dictionary.cc, src/densematrix.cc): header, dictionary
entries (word, NUL, count, type), the hash buckets kept and their places where others were pruned, one byte "quantised",
input matrix, one byte "output quantised", output matrix; a matrix is its shape as two int64 and its float32 rows, a
quantised one as whoever made it writes it.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

MAGIC, VERSION = 793712314, 12

_ARCHITECTURES = {1: "cbow", 2: "skipgram", 3: "supervised"}
_LOSSES = {1: "hs", 2: "ns", 3: "softmax", 4: "ova"}
_NOT_PRUNED = -1
_QUANTISED = b"\1"
_MOST_CODES = 2**31 - 1
_UPDATE_RATE = 100  # fastText's default; it means nothing once training is over

_HEADER = struct.Struct("<2i12id3i2q")
_ENTRY = struct.Struct("<qb")
_SHAPE = struct.Struct("<2q")

_BLOCK_BYTES = 2**20  # written while they are in the cache
_HOLE_BYTES = 2**16  # as long, a stretch of unused buckets takes no place on the disk


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The training settings that a .bin records; `max_char` = 0 means no subwords."""

    architecture: Literal["cbow", "skipgram", "supervised"]
    dim: int
    window_size: int
    epochs: int
    min_count: int
    negative_samples: int
    buckets: int
    min_char: int
    max_char: int
    sampling_threshold: float
    word_ngrams: int = 1
    loss: Literal["hs", "ns", "softmax", "ova"] = "ns"


class QuantisedMatrix(Protocol):
    """A matrix of codes that can write itself as fastText's quantised matrices are written."""

    @property
    def shape(self) -> tuple[int, int]: ...

    @property
    def codes(self) -> NDArray[np.uint8]: ...

    def write(self, file: BinaryIO) -> None: ...


def classifier_settings(
    *,
    dim: int,
    epochs: int,
    min_count: int,
    word_ngrams: int,
    buckets: int,
    loss: Literal["hs", "ns", "softmax", "ova"],
) -> Settings:
    """A classifier's settings: what it does without has fastText's defaults, and without n-grams it has no buckets."""
    return Settings(
        architecture="supervised",
        dim=dim,
        window_size=5,
        epochs=epochs,
        min_count=min_count,
        negative_samples=5,
        buckets=buckets if word_ngrams > 1 else 0,
        min_char=0,
        max_char=0,
        sampling_threshold=1e-4,
        word_ngrams=word_ngrams,
        loss=loss,
    )


def is_fasttext(path: Path) -> bool:
    """Whether a file begins as fastText's models do.

    Raises:
        OSError: the file cannot be read.
    """
    with path.open("rb") as file:
        return file.read(4) == struct.pack("<i", MAGIC)


def write(
    path: Path,
    settings: Settings,
    *,
    words: Sequence[str],
    counts: NDArray[np.int64],
    tokens: int,
    input: NDArray[np.float32],
    bucket_ids: NDArray[np.uint32],
    output: NDArray[np.float32],
    labels: Sequence[str] = (),
) -> None:
    """Write a model so that `path` either holds all of it or what it held before.

    Args:
        words: shape (V,), in descending order of `counts`, which has shape (V + L,) and goes on with the labels'.
        tokens: tokens of the corpus, V's and others'.
        input: shape (V + R, settings.dim), any strides.
        bucket_ids: shape (R,): which of the settings.buckets buckets each row after the words' is. The file holds zeros
            for the others: n-grams that no word has then add nothing to an unknown word.
        output: shape (V, settings.dim), any strides; a classifier's has shape (L, settings.dim).
        labels: of a classifier, shape (L,), in descending order of their counts.
    Raises:
        ValueError: shapes that do not fit, or a word that holds a NUL, which ends a word in this format.
    """
    outputs = len(labels) if settings.architecture == "supervised" else len(words)
    if input.shape != (len(words) + len(bucket_ids), settings.dim) or output.shape != (outputs, settings.dim):
        raise ValueError(f"matrices of shapes {input.shape} and {output.shape} do not fit {len(words)} words.")
    with _replacing(path) as file:
        file.write(_header(settings, len(words), tokens, _NOT_PRUNED, len(labels)))
        _write_dictionary(file, words, labels, counts)
        _write_matrix_head(file, len(words) + settings.buckets, settings.dim)
        _write_rows(file, input[: len(words)])
        _write_buckets(file, input[len(words) :], bucket_ids, settings.buckets)
        _write_matrix_head(file, *output.shape)
        _write_rows(file, output)


def write_quantised(
    path: Path,
    settings: Settings,
    *,
    words: Sequence[str],
    counts: NDArray[np.int64],
    tokens: int,
    input: QuantisedMatrix,
    bucket_ids: NDArray[np.uint32],
    output: NDArray[np.float32] | None = None,
    labels: Sequence[str] = (),
) -> None:
    """Write a .ftz, so that `path` either holds all of it or what it held before.

    Args:
        words: shape (V,), in descending order of `counts`, which has shape (V + L,) and goes on with the labels'.
        tokens: tokens of the corpus, V's and others'.
        input: shape (V + R, settings.dim).
        bucket_ids: shape (R,): which of the hash buckets each row after the words' is. The file has no others.
        output: of a classifier, shape (L, settings.dim); word vectors do without.
        labels: of a classifier, shape (L,), in descending order of their counts.
    Raises:
        ValueError: shapes that do not fit, a word that holds a NUL, or more codes than the format can count.
    """
    if input.shape != (len(words) + len(bucket_ids), settings.dim):
        raise ValueError(f"a matrix of shape {input.shape} does not fit {len(words)} words.")
    if input.codes.size > _MOST_CODES:
        raise ValueError(f"{input.codes.size} codes are more than a .ftz can hold; it holds at most {_MOST_CODES}.")
    pairs = np.stack([bucket_ids, np.arange(len(bucket_ids))], axis=1)
    with _replacing(path) as file:
        has_buckets = settings.max_char > 0 or settings.word_ngrams > 1
        file.write(_header(settings, len(words), tokens, len(pairs) if has_buckets else _NOT_PRUNED, len(labels)))
        _write_dictionary(file, words, labels, counts)
        file.write(np.ascontiguousarray(pairs, dtype="<i4").data)
        file.write(_QUANTISED)
        input.write(file)
        if output is None:
            output = np.empty((0, settings.dim), dtype=np.float32)
        _write_matrix_head(file, *output.shape)
        _write_rows(file, output)


def _header(settings: Settings, words: int, tokens: int, pruned: int, labels: int) -> bytes:
    architecture = next(number for number, name in _ARCHITECTURES.items() if name == settings.architecture)
    loss = next(number for number, name in _LOSSES.items() if name == settings.loss)
    return _HEADER.pack(
        *(MAGIC, VERSION),
        *(settings.dim, settings.window_size, settings.epochs, settings.min_count, settings.negative_samples),
        *(settings.word_ngrams, loss, architecture),
        *(settings.buckets, settings.min_char, settings.max_char, _UPDATE_RATE, settings.sampling_threshold),
        *(words + labels, words, labels),
        *(tokens, pruned),
    )


def _write_dictionary(file: BinaryIO, words: Sequence[str], labels: Sequence[str], counts: NDArray[np.int64]) -> None:
    entry = _ENTRY.pack
    for number, (word, count) in enumerate(zip([*words, *labels], counts.tolist(), strict=True)):
        text = word.encode()
        if b"\0" in text:
            raise ValueError("a word holds a NUL character, which a fastText .bin cannot hold.")
        file.write(text + b"\0" + entry(count, int(number >= len(words))))


def _write_matrix_head(file: BinaryIO, rows: int, columns: int) -> None:
    file.write(b"\0")  # not quantised
    file.write(_SHAPE.pack(rows, columns))


def _write_rows(file: BinaryIO, matrix: NDArray[np.float32]) -> None:
    step = max(1, _BLOCK_BYTES // (matrix.shape[1] * 4))
    for start in range(0, len(matrix), step):
        file.write(np.ascontiguousarray(matrix[start : start + step], dtype="<f4").data)


def _write_buckets(file: BinaryIO, rows: NDArray[np.float32], ids: NDArray[np.uint32], buckets: int) -> None:
    order = np.argsort(ids)
    ascending = ids[order]
    row_bytes = rows.shape[1] * 4
    step = max(1, _HOLE_BYTES // row_bytes)
    starts = np.arange(0, buckets, step)
    ends = np.minimum(starts + step, buckets)
    bounds = np.searchsorted(ascending, ends).tolist()
    first = 0
    for start, end, last in zip(starts.tolist(), ends.tolist(), bounds, strict=True):
        if first == last:
            file.seek((end - start) * row_bytes, os.SEEK_CUR)
            continue
        block = np.zeros((end - start, rows.shape[1]), dtype="<f4")
        block[ascending[first:last] - start] = rows[order[first:last]]
        file.write(block.data)
        first = last


@contextmanager
def _replacing(path: Path) -> Iterator[BinaryIO]:
    """A file that takes the name `path` once all of it is written."""
    partial = path.with_name(f".{path.name}.partial")
    try:
        with partial.open("wb") as file:
            yield file
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
