"""fastText's .bin format, version 12: written for fastText and gensim to load, read by mapping the file.

Layout, little-endian (fastText src/fasttext.cc, src/args.cc, src/dictionary.cc, src/densematrix.cc): header, dictionary
entries (word, NUL, count, type), one byte "quantised", input matrix, one byte "output quantised", output matrix; a
matrix is its shape as two int64 and its float32 rows. The file holds no padding, so a mapped matrix is rarely aligned.
"""

from __future__ import annotations

import mmap
import os
import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal

import numpy as np
from numpy.typing import NDArray

MAGIC, VERSION = 793712314, 12

_ARCHITECTURES = {1: "cbow", 2: "skipgram", 3: "supervised"}
_LOSS_NEGATIVE_SAMPLING = 2
_NOT_PRUNED = -1
_UPDATE_RATE = 100  # fastText's default; it means nothing once training is over

_HEADER = struct.Struct("<2i12id3i2q")
_ENTRY = struct.Struct("<qb")
_SHAPE = struct.Struct("<2q")

_BLOCK_BYTES = 2**20  # written while they are in the cache
_HOLE_BYTES = 2**16  # as long, a stretch of unused buckets takes no place on the disk


class FormatError(ValueError):
    """The file is not a fastText model that can be used here. The message gives the offset and the reason."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The training settings that a .bin records; `max_char` = 0 means no subwords."""

    architecture: Literal["cbow", "skipgram"]
    dim: int
    window_size: int
    epochs: int
    min_count: int
    negative_samples: int
    buckets: int
    min_char: int
    max_char: int
    sampling_threshold: float


@dataclass(frozen=True)
class Model:
    """A .bin file, mapped.

    `input` has shape (words + buckets, dim), `output` (words, dim), both float32, read-only and perhaps unaligned: take
    rows by an index array, which copies, before doing arithmetic. The rows of `output` are words' only where the model
    was trained with `negative_sampling`.
    """

    settings: Settings
    words: list[str]
    counts: NDArray[np.int64]
    tokens: int
    input: NDArray[np.float32]
    output: NDArray[np.float32]
    negative_sampling: bool


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
) -> None:
    """Write a model so that `path` either holds all of it or what it held before.

    Args:
        words: in descending order of `counts`, shape (V,).
        tokens: tokens of the corpus, V's and others'.
        input: shape (V + R, settings.dim), any strides.
        bucket_ids: shape (R,): which of the settings.buckets buckets each row after the words' is. The file holds zeros
            for the others: n-grams that no word has then add nothing to an unknown word.
        output: shape (V, settings.dim), any strides.
    Raises:
        ValueError: shapes that do not fit, or a word that holds a NUL, which ends a word in this format.
    """
    if input.shape != (len(words) + len(bucket_ids), settings.dim) or output.shape != (len(words), settings.dim):
        raise ValueError(f"matrices of shapes {input.shape} and {output.shape} do not fit {len(words)} words.")
    with _replacing(path) as file:
        file.write(_header(settings, len(words), tokens))
        _write_dictionary(file, words, counts)
        _write_matrix_head(file, len(words) + settings.buckets, settings.dim)
        _write_rows(file, input[: len(words)])
        _write_buckets(file, input[len(words) :], bucket_ids, settings.buckets)
        _write_matrix_head(file, *output.shape)
        _write_rows(file, output)


def read(path: Path) -> Model:
    """Map a model.

    Raises:
        FormatError: truncated, corrupt, quantised, supervised or of another version; gives the offset and the reason.
        OSError: the file cannot be read.
    """
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        if size < _HEADER.size:
            raise FormatError(f"{path} is cut short at offset {size}: the header has {_HEADER.size} bytes.")
        return _Reader(path, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)).model()


def _header(settings: Settings, words: int, tokens: int) -> bytes:
    architecture = next(number for number, name in _ARCHITECTURES.items() if name == settings.architecture)
    return _HEADER.pack(
        *(MAGIC, VERSION),
        *(settings.dim, settings.window_size, settings.epochs, settings.min_count, settings.negative_samples),
        *(1, _LOSS_NEGATIVE_SAMPLING, architecture),  # word n-grams, loss, architecture
        *(settings.buckets, settings.min_char, settings.max_char, _UPDATE_RATE, settings.sampling_threshold),
        *(words, words, 0),  # entries, words, labels
        *(tokens, _NOT_PRUNED),
    )


def _write_dictionary(file: BinaryIO, words: Sequence[str], counts: NDArray[np.int64]) -> None:
    entry, is_word = _ENTRY.pack, 0
    for word, count in zip(words, counts.tolist(), strict=True):
        text = word.encode()
        if b"\0" in text:
            raise ValueError("a word holds a NUL character, which a fastText .bin cannot hold.")
        file.write(text + b"\0" + entry(count, is_word))


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


class _Reader:
    """Reads a mapped file from its start; `offset` is where it stands."""

    def __init__(self, path: Path, content: mmap.mmap) -> None:
        self.path, self.content, self.offset = path, content, 0

    def model(self) -> Model:
        settings, loss, entries, tokens = self._header()
        words, counts = self._entries(entries)
        self._quantised("input")
        input_matrix = self._matrix("input", entries + settings.buckets, settings.dim)
        self._quantised("output")
        output_matrix = self._matrix("output", entries, settings.dim)
        if self.offset != len(self.content):
            raise self._error(f"{len(self.content) - self.offset} bytes follow the end of the model")
        return Model(settings, words, counts, tokens, input_matrix, output_matrix, loss == _LOSS_NEGATIVE_SAMPLING)

    def _header(self) -> tuple[Settings, int, int, int]:
        fields = _HEADER.unpack_from(self.content)
        magic, version, dim, window, epochs, min_count, negatives, _ngrams, loss, architecture = fields[:10]
        buckets, min_char, max_char, _rate, threshold, entries, words, labels, tokens, pruned = fields[10:]
        if magic != MAGIC:
            raise self._error("this is no fastText model (wrong magic number)")
        if version != VERSION:
            raise self._error(f"the format's version is {version}; it must be {VERSION}", at=4)
        if _ARCHITECTURES.get(architecture) == "supervised" or labels:
            raise self._error("this is a supervised model, a text classifier; it must be cbow or skipgram", at=36)
        if architecture not in _ARCHITECTURES:
            raise self._error(f"the architecture is {architecture}; it must be 1 (cbow) or 2 (skipgram)", at=36)
        if dim < 1 or entries < 0 or buckets < 0 or words != entries:
            raise self._error(f"the sizes make no sense (dim {dim}, {entries} entries, {words} words)", at=8)
        if pruned >= 0:
            raise self._error("the dictionary is pruned, as in a quantised model; quantised models cannot be served")
        self.offset = _HEADER.size
        settings = Settings(
            architecture="cbow" if architecture == 1 else "skipgram",
            dim=dim,
            window_size=window,
            epochs=epochs,
            min_count=min_count,
            negative_samples=negatives,
            buckets=buckets,
            min_char=min_char,
            max_char=max_char,
            sampling_threshold=threshold,
        )
        return settings, loss, entries, tokens

    def _entries(self, entries: int) -> tuple[list[str], NDArray[np.int64]]:
        words, counts = [], np.empty(entries, dtype=np.int64)
        find, entry, content, offset = self.content.find, _ENTRY.unpack_from, self.content, self.offset
        last = len(content) - _ENTRY.size
        for index in range(entries):
            end = find(b"\0", offset)
            if end < 0 or end + 1 > last:
                raise self._error(f"the file ends inside the dictionary, in entry {index} of {entries}", at=offset)
            count, kind = entry(content, end + 1)
            if kind != 0 or count < 0:
                raise self._error(f"entry {index} of the dictionary is damaged", at=offset)
            try:
                words.append(content[offset:end].decode())
            except UnicodeDecodeError:
                raise self._error(f"entry {index} of the dictionary is not UTF-8", at=offset) from None
            counts[index] = count
            offset = end + 1 + _ENTRY.size
        self.offset = offset
        return words, counts

    def _quantised(self, which: str) -> None:
        self._need(1, f"{which} matrix")
        flag = self.content[self.offset]
        if flag == 1:
            raise self._error(f"the {which} matrix is quantised; quantised models cannot be served")
        if flag != 0:
            raise self._error(f"the flag before the {which} matrix is {flag}; it must be 0 or 1")
        self.offset += 1

    def _matrix(self, which: str, rows: int, columns: int) -> NDArray[np.float32]:
        self._need(_SHAPE.size, f"{which} matrix")
        shape = _SHAPE.unpack_from(self.content, self.offset)
        if shape != (rows, columns):
            raise self._error(f"the {which} matrix has shape {shape}; it must be {(rows, columns)}")
        self.offset += _SHAPE.size
        self._need(rows * columns * 4, f"{which} matrix")
        values = np.frombuffer(self.content, dtype="<f4", count=rows * columns, offset=self.offset)
        self.offset += rows * columns * 4
        return values.reshape(rows, columns)

    def _need(self, length: int, what: str) -> None:
        missing = self.offset + length - len(self.content)
        if missing > 0:
            raise self._error(f"the file ends inside the {what}, {missing} bytes early", at=len(self.content))

    def _error(self, reason: str, at: int | None = None) -> FormatError:
        return FormatError(f"{self.path} cannot be read: at offset {self.offset if at is None else at}, {reason}.")
