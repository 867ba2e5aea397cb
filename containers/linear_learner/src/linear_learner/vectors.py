"""Labelled vectors from a channel: RecordIO-protobuf or CSV, from files (packed with gzip or not) or a pipe."""

from __future__ import annotations

import codecs
import gzip
import io
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyarrow import csv

from contract.channels import InputChannel
from contract.errors import ClientError
from contract.recordio import MAGIC, RecordIOError
from contract.recordio_protobuf import Batch, Rows, read_batches
from linear_learner.settings import Settings

RECORDIO, CSV = "application/x-recordio-protobuf", "text/csv"

_MAGIC = MAGIC.to_bytes(4, "little")
_GZIP = b"\x1f\x8b"
_BLOCK_BYTES = 4 * 2**20  # of CSV that is parsed at a time


def read(channel: InputChannel, settings: Settings, width: int | None = None) -> Iterator[Batch]:
    """The channel's records from the beginning, some at a time, with labels of shape (n,), all checked.

    Args:
        width: numbers that each vector must have; None takes feature_dim, or what the first record has.
    Raises:
        ClientError: the channel is not what it claims to be, or holds a value that cannot be trained on.
    """
    if width is None and settings.feature_dim != "auto":
        width = settings.feature_dim
    for name, stream in _streams(channel):
        where, count = f"channel {channel.name!r}{name}", 0
        try:
            kind, opened = _opened(channel, stream)
            batches = _recordio(opened, where) if kind == RECORDIO else _csv(opened, where)
            for batch in batches:
                checked = _checked(batch, settings, width, where, count)
                width = width_of(checked)
                count += len(checked.labels)  # type: ignore[arg-type]
                yield checked
        except RecordIOError as error:
            raise ClientError(f"{where} is not RecordIO-protobuf: {error}") from error
        except pa.ArrowInvalid as error:
            raise ClientError(f"{where} is not CSV of numbers after {count} records: {csv_mistake(error)}") from error
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise ClientError(f"{where} is no whole gzip file: {error}.") from error


def width_of(batch: Batch) -> int:
    """How many numbers each vector has."""
    return batch.features.width if isinstance(batch.features, Rows) else batch.features.shape[1]


def _streams(channel: InputChannel) -> Iterator[tuple[str, BinaryIO]]:
    """The channel's streams, each with what an error calls it."""
    if channel.is_pipe:
        with channel.open_pipe() as stream:
            yield "", stream
        return
    for path in channel.files():
        if path.stat().st_size:
            with _unpacked(path) as stream:
                yield f", {path.relative_to(channel.directory)},", stream


@contextmanager
def _unpacked(path: Path) -> Iterator[BinaryIO]:
    with path.open("rb") as file:
        packed = file.read(len(_GZIP)) == _GZIP
        file.seek(0)
        if not packed:
            yield file
            return
        with gzip.open(file) as stream:
            yield stream  # type: ignore[misc]


def _opened(channel: InputChannel, stream: BinaryIO) -> tuple[str, BinaryIO]:
    """What a stream holds, and the stream with nothing of it read.

    The first bytes tell, for a content type is often a default that nobody chose: RecordIO begins with its magic
    number, which is no text.
    """
    kind, _, parameters = (channel.content_type or "").partition(";")
    kind = kind.strip().lower()
    if kind not in (RECORDIO, CSV, ""):
        raise ClientError(f"channel {channel.name!r} has content type {kind}; it must be {RECORDIO} or {CSV}.")
    if kind == CSV:
        _check_label_size(channel.name, parameters)
    begun = b""
    while len(begun) < len(_MAGIC) and (more := stream.read(len(_MAGIC) - len(begun))):
        begun += more
    resumed: Any = _Resumed(begun, stream)
    is_text = begun.isascii() or begun.startswith(codecs.BOM_UTF8)
    return RECORDIO if begun == _MAGIC or (kind == RECORDIO and not is_text) else CSV, resumed


def _check_label_size(channel: str, parameters: str) -> None:
    for parameter in parameters.split(";"):
        name, _, size = parameter.strip().partition("=")
        if name.lower() == "label_size" and size.strip() != "1":
            raise ClientError(f"channel {channel!r} has label_size={size.strip()}; a linear model needs label_size=1.")


class _Resumed(io.RawIOBase):
    """A stream of which the beginning was read already."""

    def __init__(self, begun: bytes, stream: BinaryIO) -> None:
        self._begun, self._stream = begun, stream

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        if self._begun:
            begun, self._begun = self._begun, b""
            return begun
        return self._stream.read(size)


def _recordio(stream: BinaryIO, where: str) -> Iterator[Batch]:
    for batch in read_batches(stream):
        if batch.labels is None or batch.labels.shape[1] != 1:
            found = 0 if batch.labels is None else batch.labels.shape[1]
            raise ClientError(f"{where} holds a record with {found} labels; every record must have one.")
        yield Batch(batch.features, batch.labels[:, 0])


def csv_tables(path: Path) -> Iterator[NDArray[np.float32]]:
    """The rows of a file of numbers, packed with gzip or not, some at a time.

    Raises:
        ClientError: it is no such file.
    """
    with _unpacked(path) as stream:
        try:
            yield from map(parse_csv, _lines(stream))
        except pa.ArrowInvalid as error:
            raise ClientError(f"{path.name} is not CSV of numbers: {csv_mistake(error)}") from error


def _csv(stream: BinaryIO, where: str) -> Iterator[Batch]:
    """Rows of numbers without a header, the label first."""
    for table in map(parse_csv, _lines(stream)):
        if table.shape[1] < 2:
            raise ClientError(f"{where} holds rows of one column; they must have the label and at least one feature.")
        yield Batch(table[:, 1:], table[:, 0])


def _lines(stream: BinaryIO) -> Iterator[bytes]:
    """The stream in blocks that end where a line does."""
    rest, block = b"", stream.read(_BLOCK_BYTES).removeprefix(codecs.BOM_UTF8)
    while block:
        whole, newline, after = block.rpartition(b"\n")
        if newline:
            if (lines := rest + whole + newline).strip():
                yield lines
            rest = after
        else:
            rest += block
        block = stream.read(_BLOCK_BYTES)
    if rest.strip():
        yield rest


def parse_csv(block: bytes, *, threads: bool = True) -> NDArray[np.float32]:
    """Rows of numbers, shape (n, columns), n >= 1; blank lines are left out.

    Args:
        threads: whether columns may be converted on several cores.
    Raises:
        pyarrow.ArrowInvalid: rows of different lengths, or what is no number; the message says which.
    """
    first = block.lstrip().partition(b"\n")[0]
    names = [f"{number}" for number in range(1, first.count(b",") + 2)]
    table = csv.read_csv(
        pa.BufferReader(block),
        read_options=csv.ReadOptions(column_names=names, block_size=len(block), use_threads=threads),
        parse_options=csv.ParseOptions(quote_char=False),
        convert_options=csv.ConvertOptions(
            column_types=dict.fromkeys(names, pa.float32()), null_values=[], strings_can_be_null=False
        ),
    )
    found = np.empty((table.num_rows, len(names)), np.float32)
    for number, column in enumerate(table.columns):
        found[:, number] = column.to_numpy()
    return found


def csv_mistake(error: pa.ArrowInvalid) -> str:
    """What an error of `parse_csv` says, as a sentence's end."""
    return str(error).splitlines()[0].removeprefix("CSV parse error: ").rstrip(".") + "."


def _checked(batch: Batch, settings: Settings, width: int | None, where: str, before: int) -> Batch:
    """The batch itself, if it can be trained on."""
    features, labels = batch.features, batch.labels
    assert labels is not None
    found = width_of(batch)
    if width is not None and found != width:
        raise ClientError(f"{where} holds a record of {found} features; feature_dim is {width}.")
    numbers = features.values if isinstance(features, Rows) else features
    if not np.isfinite(numbers).all():
        raise ClientError(f"{where} holds a feature that is not finite{_record(features, before)}; give a number.")
    _check_labels(labels, settings, where, before)
    return batch


def _record(features: NDArray[np.float32] | Rows, before: int) -> str:
    if isinstance(features, Rows):
        place = np.flatnonzero(~np.isfinite(features.values))[0]
        number = int(np.searchsorted(features.bounds, place, side="right")) - 1
    else:
        number = int(np.flatnonzero(~np.isfinite(features).all(axis=1))[0])
    return f" (record {before + number + 1})"


def _check_labels(labels: NDArray[np.float32], settings: Settings, where: str, before: int) -> None:
    if settings.is_regressor:
        wrong, expected = ~np.isfinite(labels), "a finite number"
    else:
        classes = settings.classes
        wrong = ~((labels >= 0) & (labels < classes) & (labels == np.floor(labels)))
        expected = "0 or 1" if classes == 2 else f"an integer from 0 to num_classes - 1 = {classes - 1}"
    if wrong.any():
        number = int(wrong.argmax())
        raise ClientError(
            f"{where} holds the label {labels[number]:g} (record {before + number + 1}); it must be {expected}."
        )


def concatenated(batches: list[Batch]) -> Batch:
    """All records of some batches.

    Raises:
        ClientError: some are sparse and some are not.
    """
    labels = np.concatenate([batch.labels for batch in batches if batch.labels is not None])
    parts: list[Any] = [batch.features for batch in batches]
    if all(isinstance(part, Rows) for part in parts):
        ends = np.cumsum([0, *(len(part.values) for part in parts)])
        bounds = [part.bounds[1:] + end for part, end in zip(parts, ends, strict=False)]
        return Batch(
            Rows(
                np.concatenate([part.values for part in parts]),
                np.concatenate([part.keys for part in parts]),
                np.concatenate([np.zeros(1, np.int64), *bounds]),
                parts[0].width,
            ),
            labels,
        )
    if any(isinstance(part, Rows) for part in parts):
        raise ClientError("the data are sparse in part; they must be all dense or all sparse.")
    return Batch(np.concatenate(parts), labels)
