"""RecordIO-protobuf: labelled vectors as the built-in algorithms' `application/x-recordio-protobuf` has them.

Each record of a RecordIO stream is a message (record_message.py) whose features and label have the name "values". Bytes
are those that the SageMaker Python SDK writes (sagemaker.amazon.common), and like the SDK's, records are never parted,
even where the magic number stands in one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from contract.record_message import BYTES, FEATURES, LABEL, TENSORS, VALUES, Record, Tensor, decode, encode, spans
from contract.recordio import HEADER, LARGEST, MAGIC, RecordIOError, Window, framed_part

_RECORDS_AT_A_TIME = 1000  # of those that are read one by one


@dataclass(frozen=True)
class Rows:
    """Vectors of equal width, in compressed sparse rows: row i has `values[bounds[i]:bounds[i + 1]]` at `keys`."""

    values: NDArray[np.float32]
    keys: NDArray[np.int64]
    bounds: NDArray[np.int64]
    width: int


@dataclass(frozen=True)
class Batch:
    """Successive records: `features` of shape (n, width), float32, or sparse; `labels` of shape (n, k), or None."""

    features: NDArray[np.float32] | Rows
    labels: NDArray[np.float32] | None


def read_batches(stream: BinaryIO, largest: int = LARGEST) -> Iterator[Batch]:
    """The tensors "values" of a stream's records, as they arrive, as many at once as are alike and have arrived.

    Dense records of one layout are decoded together. Memory grows with the bytes that were read, not with a length that
    they only claim. Numbers that are no float32 become such.

    Args:
        largest: bytes that a record may have.
    Raises:
        RecordIOError: not RecordIO, a record above `largest`, a cut-off one, or one that is no such message or has no
            features; says where.
    """
    window = Window(stream)
    pending = _Pending()
    while window.fill(1):
        length = _record_length(window, largest)
        record = window.data[window.at : window.at + HEADER.size + length]
        if layout := _layout(record):
            if pending:
                yield pending.take()
            count, batch = layout.decode(window)
            window.skip(count * layout.stride)
            yield batch
            continue
        try:
            found = decode(record[HEADER.size :])
            if not pending.fits(found):
                yield pending.take()
            full = pending.add(found)
        except RecordIOError as error:
            raise RecordIOError(f"at byte {window.offset} of the stream, {error}") from None
        window.skip(HEADER.size + length + -length % 4)
        if full:
            yield pending.take()
    if pending:
        yield pending.take()


def write(stream: BinaryIO, record: Record) -> None:
    """Append one record to a stream, as the SDK does."""
    stream.write(framed_part(encode(record)))


def write_dense(
    stream: BinaryIO,
    features: NDArray[np.float32] | NDArray[np.float64],
    labels: NDArray[np.float32] | NDArray[np.float64] | None = None,
) -> None:
    """Append a record for each row, the bytes of the SDK's `write_numpy_to_dense_tensor`.

    Args:
        features: shape (n, width), float32 or float64.
        labels: shape (n,) or (n, k), float32 or float64.
    Raises:
        ValueError: the numbers of rows differ.
    """
    tables = [np.atleast_2d(features)]
    if labels is not None:
        tables.append(labels.reshape(len(labels), -1))
    if any(len(table) != len(tables[0]) for table in tables):
        raise ValueError(f"{len(tables[0])} rows of features cannot have {len(tables[-1])} labels.")
    if not len(tables[0]):
        return
    tensors = [Tensor(table[0]) for table in tables]
    first = framed_part(encode(Record({VALUES: tensors[0]}, {VALUES: tensors[1]} if labels is not None else {})))
    layout = _layout(memoryview(first))
    assert layout is not None
    rows = np.tile(np.frombuffer(first, np.uint8), (len(tables[0]), 1))
    for place, table in zip((layout.features, layout.labels), tables, strict=False):
        assert place is not None
        raw = np.ascontiguousarray(table, place.dtype).view(np.uint8).reshape(len(table), -1)
        rows[:, place.start : place.stop] = raw
    stream.write(rows.tobytes())


def write_sparse(stream: BinaryIO, rows: Rows, labels: NDArray[np.float32] | NDArray[np.float64] | None = None) -> None:
    """Append a record for each row, the bytes of the SDK's `write_spmatrix_to_sparse_tensor`."""
    for number in range(len(rows.bounds) - 1):
        part = slice(rows.bounds[number], rows.bounds[number + 1])
        label = {} if labels is None else {VALUES: Tensor(np.atleast_1d(labels[number]))}
        write(stream, Record({VALUES: Tensor(rows.values[part], rows.keys[part], rows.width)}, label))


def _record_length(window: Window, largest: int) -> int:
    """The payload's length of the record that begins here; all of the record is available."""
    where = f"at byte {window.offset} of the stream,"
    if not window.fill(HEADER.size):
        raise RecordIOError(f"{where} a record's header is cut off.")
    magic, described = HEADER.unpack_from(window.data, window.at)
    if magic != MAGIC:
        raise RecordIOError(f"{where} there is {magic:#010x} where a record must begin.")
    if described > LARGEST:
        raise RecordIOError(f"{where} a record comes in parts or has more than {LARGEST} bytes; it must be whole.")
    length = int(described)
    if length > largest:
        raise RecordIOError(f"{where} a record has {length} bytes; it may have {largest}.")
    if not window.fill(HEADER.size + length + -length % 4):
        raise RecordIOError(f"{where} a record of {length} bytes is cut off.")
    return length


@dataclass(frozen=True)
class _Place:
    """Where a record has the numbers of a dense tensor."""

    start: int
    stop: int
    dtype: np.dtype[Any]

    def numbers(self, rows: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Of records of one layout, shape (n, stride): shape (n, width)."""
        raw = np.ascontiguousarray(rows[:, self.start : self.stop])
        return raw.view(self.dtype).astype(np.float32, copy=False)


@dataclass(frozen=True)
class _Layout:
    """A dense record, header included: its bytes, and which of them are numbers that differ from record to record."""

    record: memoryview
    features: _Place
    labels: _Place | None

    @property
    def stride(self) -> int:
        """From one record to the next."""
        return len(self.record) + -len(self.record) % 4

    def decode(self, window: Window) -> tuple[int, Batch]:
        """How many of the available records have this layout, the first one at least, and their numbers."""
        count = max(1, window.available // self.stride)
        rows = np.frombuffer(window.data, np.uint8, count * self.stride, window.at).reshape(count, self.stride)
        fixed = np.ones(len(self.record), bool)
        for place in (self.features, self.labels):
            if place:
                fixed[place.start : place.stop] = False
        columns = np.flatnonzero(fixed)
        alike = (rows[:, columns] == np.frombuffer(self.record, np.uint8)[columns]).all(axis=1)
        if not alike.all():
            count = int(alike.argmin())
        rows = rows[:count]
        return count, Batch(self.features.numbers(rows), self.labels.numbers(rows) if self.labels else None)


def _layout(record: memoryview) -> _Layout | None:
    """The layout of a record, header included, that has dense float tensors "values" and nothing else; else None."""
    places: dict[int, _Place] = {}
    try:
        for number, kind, start, stop in spans(record, HEADER.size, len(record)):
            place = _dense(record, start, stop) if kind == BYTES and number in (FEATURES, LABEL) else None
            if place is None or number in places:
                return None
            places[number] = place
    except RecordIOError:
        return None
    if FEATURES not in places:
        return None
    return _Layout(record, places[FEATURES], places.get(LABEL))


def _dense(record: memoryview, start: int, stop: int) -> _Place | None:
    """Where the numbers of a map's entry are, if it is a dense float tensor "values" in the SDK's order."""
    entry = list(spans(record, start, stop))
    if [(number, kind) for number, kind, _, _ in entry] != [(1, BYTES), (2, BYTES)]:
        return None
    (_, _, name, name_stop), (_, _, value, value_stop) = entry
    tensors = list(spans(record, value, value_stop))
    if bytes(record[name:name_stop]) != VALUES.encode() or len(tensors) != 1:
        return None
    number, kind, tensor, tensor_stop = tensors[0]
    dtype = TENSORS.get(number)
    if kind != BYTES or dtype is None or dtype.kind != "f":
        return None
    parts = list(spans(record, tensor, tensor_stop))
    if len(parts) != 1 or parts[0][:2] != (1, BYTES) or (parts[0][3] - parts[0][2]) % dtype.itemsize:
        return None
    return _Place(parts[0][2], parts[0][3], dtype)


class _Pending:
    """Records that were read one by one, all of one shape."""

    def __init__(self) -> None:
        self._features: list[Tensor] = []
        self._labels: list[NDArray[np.float32]] = []

    def __bool__(self) -> bool:
        return bool(self._features)

    def fits(self, record: Record) -> bool:
        """Whether a record is like those before it.

        Raises:
            RecordIOError: it has no features, or labels that are sparse.
        """
        features, label = _checked(record)
        if not self._features:
            return True
        last = self._features[-1]
        own, others = (features.keys is None, features.places, len(label)), (last.keys is None, last.places)
        return own == (*others, len(self._labels[-1]))

    def add(self, record: Record) -> bool:
        """Keep a record that fits; whether there are enough now."""
        features, label = _checked(record)
        self._features.append(features)
        self._labels.append(label)
        return len(self._features) >= _RECORDS_AT_A_TIME

    def take(self) -> Batch:
        """What was kept."""
        first = self._features[0]
        values = np.concatenate([tensor.values.astype(np.float32) for tensor in self._features])
        found: NDArray[np.float32] | Rows
        if first.keys is None:
            found = values.reshape(len(self._features), first.places)
        else:
            keys = np.concatenate([tensor.keys for tensor in self._features if tensor.keys is not None])
            bounds = np.cumsum([0, *(len(tensor.values) for tensor in self._features)])
            found = Rows(values, keys, bounds.astype(np.int64), first.places)
        batch = Batch(found, np.stack(self._labels) if len(self._labels[0]) else None)
        self._features, self._labels = [], []
        return batch


def _checked(record: Record) -> tuple[Tensor, NDArray[np.float32]]:
    """A record's features and labels, of which there may be none."""
    features, labels = record.features.get(VALUES), record.label.get(VALUES)
    if features is None:
        raise RecordIOError(f'a record has no features "{VALUES}".')
    if labels is None:
        return features, np.empty(0, np.float32)
    if labels.keys is not None:
        raise RecordIOError("a record has sparse labels.")
    return features, labels.values.astype(np.float32)
