"""fastText's .bin and .ftz formats, version 12: written for fastText and gensim to load, read by mapping the file.

Layout, little-endian (fastText src/fasttext.cc, src/args.cc, src/dictionary.cc, src/densematrix.cc): header, dictionary
entries (word, NUL, count, type), the hash buckets kept and their places where others were pruned, one byte "quantised",
input matrix, one byte "output quantised", output matrix; a matrix is its shape as two int64 and its float32 rows, a
quantised one as quantised.py says. The file holds no padding, so a mapped matrix is rarely aligned.
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

from blazingtext.quantised import MOST_CODES, QuantisedMatrix

MAGIC, VERSION = 793712314, 12

_ARCHITECTURES = {1: "cbow", 2: "skipgram", 3: "supervised"}
_LOSSES = {1: "hs", 2: "ns", 3: "softmax", 4: "ova"}
_NOT_PRUNED = -1
_DENSE, _QUANTISED = b"\0", b"\1"
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


@dataclass(frozen=True, kw_only=True)
class Model:
    """A .bin or .ftz file, mapped.

    `input` has a row for each word and then one for each hash bucket; where only some buckets were kept,
    `kept_buckets`, shape (kept, 2), gives them in ascending order, each with its place behind the words. `output` has
    shape (words, dim), or (0, dim) where it was left out. Both are float32, read-only and perhaps unaligned or
    quantised: take rows by an index array, which copies, before doing arithmetic. The rows of `output` are words' only
    where the model was trained with `negative_sampling`.
    """

    settings: Settings
    words: list[str]
    counts: NDArray[np.int64]
    tokens: int
    input: NDArray[np.float32] | QuantisedMatrix
    output: NDArray[np.float32] | QuantisedMatrix
    kept_buckets: NDArray[np.int32] | None
    negative_sampling: bool

    @property
    def quantised(self) -> bool:
        """Whether the input matrix is."""
        return isinstance(self.input, QuantisedMatrix)

    def bucket_rows(self, buckets: Sequence[int]) -> list[int]:
        """The rows of the input matrix of those of some hash buckets that have one."""
        first = len(self.words)
        if self.kept_buckets is None:
            return [first + bucket for bucket in buckets]
        kept, places = self.kept_buckets.T
        at = np.minimum(np.searchsorted(kept, buckets), len(kept) - 1) if len(kept) else np.empty(0, np.int64)
        return [first + int(places[i]) for i, bucket in zip(at, buckets, strict=False) if kept[i] == bucket]


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
    if input.codes.size > MOST_CODES:
        raise ValueError(f"{input.codes.size} codes are more than a .ftz can hold; it holds at most {MOST_CODES}.")
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


def _write_dictionary(
    file: BinaryIO, words: Sequence[str], labels: Sequence[str], counts: NDArray[np.int64]
) -> None:
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


class _Reader:
    """Reads a mapped file from its start; `offset` is where it stands."""

    def __init__(self, path: Path, content: mmap.mmap) -> None:
        self.path, self.content, self.offset = path, content, 0

    def model(self) -> Model:
        settings, loss, entries, tokens, pruned = self._header()
        words, counts = self._entries(entries)
        kept = self._kept_buckets(pruned, settings.buckets)
        buckets = settings.buckets if kept is None else len(kept)
        input_matrix = self._matrix("input", entries + buckets, settings.dim)
        if kept is not None and not isinstance(input_matrix, QuantisedMatrix):
            raise self.refuse("hash buckets are pruned, but the input matrix is not quantised")
        left_out = isinstance(input_matrix, QuantisedMatrix)
        output_matrix = self._matrix("output", entries, settings.dim, may_be_empty=left_out)
        if self.offset != len(self.content):
            raise self.refuse(f"{len(self.content) - self.offset} bytes follow the end of the model")
        return Model(
            settings=settings,
            words=words,
            counts=counts,
            tokens=tokens,
            input=input_matrix,
            output=output_matrix,
            kept_buckets=kept,
            negative_sampling=_LOSSES.get(loss) == "ns",
        )

    def _header(self) -> tuple[Settings, int, int, int, int]:
        fields = _HEADER.unpack_from(self.content)
        magic, version, dim, window, epochs, min_count, negatives, _ngrams, loss, architecture = fields[:10]
        buckets, min_char, max_char, _rate, threshold, entries, words, labels, tokens, pruned = fields[10:]
        if magic != MAGIC:
            raise self.refuse("this is no fastText model (wrong magic number)")
        if version != VERSION:
            raise self.refuse(f"the format's version is {version}; it must be {VERSION}", at=4)
        if _ARCHITECTURES.get(architecture) == "supervised" or labels:
            raise self.refuse("this is a supervised model, a text classifier; it must be cbow or skipgram", at=36)
        if architecture not in _ARCHITECTURES:
            raise self.refuse(f"the architecture is {architecture}; it must be 1 (cbow) or 2 (skipgram)", at=36)
        if dim < 1 or entries < 0 or buckets < 0 or words != entries:
            raise self.refuse(f"the sizes make no sense (dim {dim}, {entries} entries, {words} words)", at=8)
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
        return settings, loss, entries, tokens, pruned

    def _entries(self, entries: int) -> tuple[list[str], NDArray[np.int64]]:
        words, counts = [], np.empty(entries, dtype=np.int64)
        find, entry, content, offset = self.content.find, _ENTRY.unpack_from, self.content, self.offset
        last = len(content) - _ENTRY.size
        for index in range(entries):
            end = find(b"\0", offset)
            if end < 0 or end + 1 > last:
                raise self.refuse(f"the file ends inside the dictionary, in entry {index} of {entries}", at=offset)
            count, kind = entry(content, end + 1)
            if kind != 0 or count < 0:
                raise self.refuse(f"entry {index} of the dictionary is damaged", at=offset)
            try:
                words.append(content[offset:end].decode())
            except UnicodeDecodeError:
                raise self.refuse(f"entry {index} of the dictionary is not UTF-8", at=offset) from None
            counts[index] = count
            offset = end + 1 + _ENTRY.size
        self.offset = offset
        return words, counts

    def _kept_buckets(self, pruned: int, buckets: int) -> NDArray[np.int32] | None:
        if pruned < 0:
            return None
        pairs = np.frombuffer(self.take(pruned * 8, "list of hash buckets"), dtype="<i4").reshape(pruned, 2)
        pairs = pairs[np.argsort(pairs[:, 0], kind="stable")]
        sound = np.all(np.diff(pairs[:, 0]) > 0) and np.array_equal(np.sort(pairs[:, 1]), np.arange(pruned))
        if pruned and not (sound and pairs[0, 0] >= 0 and pairs[-1, 0] < buckets):
            raise self.refuse("the list of hash buckets is damaged")
        return pairs.astype(np.int32)

    def _matrix(
        self, which: str, rows: int, columns: int, *, may_be_empty: bool = False
    ) -> NDArray[np.float32] | QuantisedMatrix:
        flag = bytes(self.take(1, f"{which} matrix"))
        if flag not in (_DENSE, _QUANTISED):
            raise self.refuse(f"the flag before the {which} matrix is {flag[0]}; it must be 0 or 1")
        if flag == _QUANTISED:
            quantised = QuantisedMatrix.read(self)
            self._check_shape(which, quantised.shape, rows, columns)
            return quantised
        shape = _SHAPE.unpack(self.take(_SHAPE.size, f"{which} matrix"))
        if not (may_be_empty and shape == (0, columns)):
            self._check_shape(which, shape, rows, columns)
        values = np.frombuffer(self.take(shape[0] * columns * 4, f"{which} matrix"), dtype="<f4")
        return values.reshape(shape)

    def _check_shape(self, which: str, shape: tuple[int, int], rows: int, columns: int) -> None:
        if shape != (rows, columns):
            raise self.refuse(f"the {which} matrix has shape {shape}; it must be {(rows, columns)}")

    def take(self, length: int, what: str) -> memoryview:
        """The next `length` bytes, which are part of `what`."""
        missing = self.offset + length - len(self.content)
        if missing > 0:
            raise self.refuse(f"the file ends inside the {what}, {missing} bytes early", at=len(self.content))
        self.offset += length
        return memoryview(self.content)[self.offset - length : self.offset]

    def refuse(self, reason: str, at: int | None = None) -> FormatError:
        """The error that says where reading stood."""
        return FormatError(f"{self.path} cannot be read: at offset {self.offset if at is None else at}, {reason}.")
