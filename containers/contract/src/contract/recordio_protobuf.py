"""RecordIO-protobuf: labelled vectors as the built-in algorithms' `application/x-recordio-protobuf` has them.

Each record of a RecordIO stream is a protobuf message `aialgs.data.Record`: maps from names to tensors, `features` and
`label`, whose usual name is "values". A tensor has values, and where it is sparse their keys and a shape. Bytes are
those that the SageMaker Python SDK writes (sagemaker.amazon.common), and like the SDK's, records are never parted, even
where the magic number stands in one.

    Tensor  values = 1 (float, double or int32), keys = 2 (uint64), shape = 3 (uint64), all repeated and packed
    Value   one of float32_tensor = 2, float64_tensor = 3, int32_tensor = 7, bytes = 9
    Record  map<string, Value> features = 1, label = 2; string uid = 3, metadata = 4, configuration = 5
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from contract.recordio import LARGEST, MAGIC, RecordIOError

CONTENT_TYPE = "application/x-recordio-protobuf"
VALUES = "values"

_HEADER = struct.Struct("<II")
_BLOCK_BYTES = 1 << 20
_RECORDS_AT_A_TIME = 1000  # of those that are read one by one
_MOST_KEYS = 2**31 - 1
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_FEATURES, _LABEL = 1, 2
_TENSORS: dict[int, np.dtype[Any]] = {2: np.dtype("<f4"), 3: np.dtype("<f8"), 7: np.dtype("<i4")}


@dataclass(frozen=True)
class Tensor:
    """A vector: dense where `keys` is None, and else `values[i]` at place `keys[i]` of `width`.

    `values` is float32, float64 or int32, shape (n,); `keys` int64, shape (n,). `width` is n where it is dense.
    """

    values: NDArray[np.float32] | NDArray[np.float64] | NDArray[np.int32]
    keys: NDArray[np.int64] | None = None
    width: int = 0


@dataclass(frozen=True)
class Record:
    """One message, without its uid, metadata and configuration."""

    features: Mapping[str, Tensor] = field(default_factory=dict)
    label: Mapping[str, Tensor] = field(default_factory=dict)


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
    window = _Window(stream)
    pending = _Pending()
    while window.fill(1):
        length = _record_length(window, largest)
        record = window.data[window.at : window.at + _HEADER.size + length]
        if layout := _layout(record):
            if pending:
                yield pending.take()
            count, batch = layout.decode(window)
            window.skip(count * layout.stride)
            yield batch
            continue
        try:
            found = decode(record[_HEADER.size :])
            if not pending.fits(found):
                yield pending.take()
            full = pending.add(found)
        except RecordIOError as error:
            raise RecordIOError(f"at byte {window.offset} of the stream, {error}") from None
        window.skip(_HEADER.size + length + -length % 4)
        if full:
            yield pending.take()
    if pending:
        yield pending.take()


def decode(payload: bytes | memoryview) -> Record:
    """A record's message.

    Raises:
        RecordIOError: it is no such message.
    """
    maps: dict[int, dict[str, Tensor]] = {_FEATURES: {}, _LABEL: {}}
    data = memoryview(payload)
    for number, kind, start, stop in _spans(data, 0, len(data)):
        if number in maps and kind == _BYTES:
            name, tensor = _entry(data[start:stop])
            if tensor is not None:
                maps[number][name] = tensor
    return Record(maps[_FEATURES], maps[_LABEL])


def encode(record: Record) -> bytes:
    """A record's message, its maps in their own order."""
    return b"".join(
        _lengthy(number, _lengthy(1, name.encode()) + _lengthy(2, _encoded(tensor)))
        for number, tensors in ((_FEATURES, record.features), (_LABEL, record.label))
        for name, tensor in tensors.items()
    )


def write(stream: BinaryIO, record: Record) -> None:
    """Append one record to a stream, as the SDK does."""
    stream.write(_framed(encode(record)))


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
    first = _framed(encode(Record({VALUES: tensors[0]}, {VALUES: tensors[1]} if labels is not None else {})))
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


class _Window:
    """What has been read of a stream and not yet decoded: `data` from `at` on. `offset` counts what was decoded."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self.data, self.at, self.offset = memoryview(b""), 0, 0

    @property
    def available(self) -> int:
        return len(self.data) - self.at

    def fill(self, count: int) -> bool:
        """Read on until `count` bytes are available; whether they are."""
        if self.available < count:
            pieces, held = [self.data[self.at :]], self.available
            # A pipe gives what it holds, not all that was asked for.
            while held < count and (block := self._stream.read(_BLOCK_BYTES)):
                pieces.append(memoryview(block))
                held += len(block)
            self.data, self.at = memoryview(b"".join(pieces)), 0
        return self.available >= count

    def skip(self, count: int) -> None:
        self.at += count
        self.offset += count


def _record_length(window: _Window, largest: int) -> int:
    """The payload's length of the record that begins here; all of the record is available."""
    where = f"at byte {window.offset} of the stream,"
    if not window.fill(_HEADER.size):
        raise RecordIOError(f"{where} a record's header is cut off.")
    magic, described = _HEADER.unpack_from(window.data, window.at)
    if magic != MAGIC:
        raise RecordIOError(f"{where} there is {magic:#010x} where a record must begin.")
    if described > LARGEST:
        raise RecordIOError(f"{where} a record comes in parts or has more than {LARGEST} bytes; it must be whole.")
    length = int(described)
    if length > largest:
        raise RecordIOError(f"{where} a record has {length} bytes; it may have {largest}.")
    if not window.fill(_HEADER.size + length + -length % 4):
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

    def decode(self, window: _Window) -> tuple[int, Batch]:
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
        for number, kind, start, stop in _spans(record, _HEADER.size, len(record)):
            place = _dense(record, start, stop) if kind == _BYTES and number in (_FEATURES, _LABEL) else None
            if place is None or number in places:
                return None
            places[number] = place
    except RecordIOError:
        return None
    if _FEATURES not in places:
        return None
    return _Layout(record, places[_FEATURES], places.get(_LABEL))


def _dense(record: memoryview, start: int, stop: int) -> _Place | None:
    """Where the numbers of a map's entry are, if it is a dense float tensor "values" in the SDK's order."""
    entry = list(_spans(record, start, stop))
    if [(number, kind) for number, kind, _, _ in entry] != [(1, _BYTES), (2, _BYTES)]:
        return None
    (_, _, name, name_stop), (_, _, value, value_stop) = entry
    tensors = list(_spans(record, value, value_stop))
    if bytes(record[name:name_stop]) != VALUES.encode() or len(tensors) != 1:
        return None
    number, kind, tensor, tensor_stop = tensors[0]
    dtype = _TENSORS.get(number)
    if kind != _BYTES or dtype is None or dtype.kind != "f":
        return None
    parts = list(_spans(record, tensor, tensor_stop))
    if len(parts) != 1 or parts[0][:2] != (1, _BYTES) or (parts[0][3] - parts[0][2]) % dtype.itemsize:
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
        own, others = (features.keys is None, features.width, len(label)), (last.keys is None, last.width)
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
            found = values.reshape(len(self._features), first.width)
        else:
            keys = np.concatenate([tensor.keys for tensor in self._features if tensor.keys is not None])
            bounds = np.cumsum([0, *(len(tensor.values) for tensor in self._features)])
            found = Rows(values, keys, bounds.astype(np.int64), first.width)
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


def _spans(data: memoryview, start: int, stop: int) -> Iterator[tuple[int, int, int, int]]:
    """Number, wire type, beginning and end of each field's value between two places."""
    at = start
    while at < stop:
        tag, at = _varint(data, at, stop)
        number, kind = tag >> 3, tag & 7
        if kind == _VARINT:
            _, end = _varint(data, at, stop)
        elif kind == _BYTES:
            size, at = _varint(data, at, stop)
            end = at + size
        elif kind in (_FIXED32, _FIXED64):
            end = at + (4 if kind == _FIXED32 else 8)
        else:
            raise RecordIOError(f"a message has a field of wire type {kind}.")
        if not number or end > stop:
            raise RecordIOError("a message's field is cut off.")
        yield number, kind, at, end
        at = end


def _varint(data: memoryview, at: int, stop: int) -> tuple[int, int]:
    """A number and where it ends."""
    value = shift = 0
    while at < stop and shift < 70:
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
        shift += 7
    raise RecordIOError("a message has a number without an end.")


def _entry(data: memoryview) -> tuple[str, Tensor | None]:
    """A map's entry; None in place of bytes, which are no tensor."""
    name, tensor = "", None
    for number, kind, start, stop in _spans(data, 0, len(data)):
        if number == 1 and kind == _BYTES:
            name = bytes(data[start:stop]).decode(errors="replace")
        elif number == 2 and kind == _BYTES:
            for which, of_kind, begin, end in _spans(data, start, stop):
                if which in _TENSORS and of_kind == _BYTES:
                    tensor = _tensor(data[begin:end], _TENSORS[which])
    return name, tensor


def _tensor(data: memoryview, dtype: np.dtype[Any]) -> Tensor:
    parts: dict[int, list[NDArray[Any]]] = {1: [np.empty(0, dtype)], 2: [], 3: []}
    for number, kind, start, stop in _spans(data, 0, len(data)):
        if number not in parts:
            continue
        whole = kind == _BYTES
        if number == 1 and dtype.kind == "f":
            if (not whole and stop - start != dtype.itemsize) or (stop - start) % dtype.itemsize:
                raise RecordIOError(f"a tensor has {stop - start} bytes of numbers of {dtype.itemsize}.")
            parts[1].append(np.frombuffer(data[start:stop], dtype))
        elif number == 1:
            parts[1].append(_varints(data[start:stop]).astype(np.int32))  # negative ones are cut to 32 bits
        else:
            parts[number].append(_varints(data[start:stop]))
    values = np.concatenate(parts[1])
    shape = [size for part in parts[3] for size in part.tolist()]
    width = math.prod(shape) if shape else None
    keys = np.concatenate(parts[2]) if parts[2] else np.empty(0, np.uint64)
    if len(keys) or (width and not len(values)):
        return _sparse(values, keys, width)
    if width is not None and width != len(values):
        raise RecordIOError(f"a tensor of shape {shape} has {len(values)} values.")
    return Tensor(values, None, len(values))


def _sparse(values: NDArray[Any], keys: NDArray[np.uint64], width: int | None) -> Tensor:
    if len(keys) != len(values):
        raise RecordIOError(f"a tensor has {len(values)} values and {len(keys)} keys.")
    width = int(keys.max()) + 1 if width is None else width
    if width > _MOST_KEYS or (len(keys) and int(keys.max()) >= width):
        raise RecordIOError(f"a tensor of {width} places has a key that is none of them, or more than {_MOST_KEYS}.")
    return Tensor(values, keys.astype(np.int64), width)


def _varints(data: memoryview) -> NDArray[np.uint64]:
    """Packed numbers."""
    raw = np.frombuffer(data, np.uint8)
    ends = np.flatnonzero(raw < 128)
    if len(ends) == len(raw):
        return raw.astype(np.uint64)
    if not len(ends) or ends[-1] != len(raw) - 1:
        raise RecordIOError("a message has a number without an end.")
    starts = np.concatenate([np.zeros(1, np.int64), ends[:-1] + 1])
    lengths = ends - starts + 1
    if lengths.max() > 10:
        raise RecordIOError("a message has a number of more than 64 bits.")
    found = np.zeros(len(ends), np.uint64)
    for place in range(int(lengths.max())):
        has = lengths > place
        found[has] |= (raw[starts[has] + place] & 127).astype(np.uint64) << np.uint64(7 * place)
    return found


def _encoded(tensor: Tensor) -> bytes:
    number = next(number for number, dtype in _TENSORS.items() if dtype == tensor.values.dtype)
    if number == 7:
        values = _packed(tensor.values.astype(np.int64).view(np.uint64))
    else:
        values = np.ascontiguousarray(tensor.values, _TENSORS[number]).tobytes()
    content = _lengthy(1, values) if values else b""
    if tensor.keys is not None:
        keys = _packed(tensor.keys.astype(np.uint64))
        content += (_lengthy(2, keys) if keys else b"") + _lengthy(3, _packed(np.array([tensor.width], np.uint64)))
    return _lengthy(number, content)


def _packed(numbers: NDArray[np.uint64]) -> bytes:
    return b"".join(map(_as_varint, numbers.tolist()))


def _as_varint(number: int) -> bytes:
    found = bytearray()
    while number > 127:
        found.append(number & 127 | 128)
        number >>= 7
    found.append(number)
    return bytes(found)


def _lengthy(number: int, content: bytes) -> bytes:
    return _as_varint(number << 3 | _BYTES) + _as_varint(len(content)) + content


def _framed(payload: bytes) -> bytes:
    if len(payload) > LARGEST:
        raise ValueError(f"a record of {len(payload)} bytes cannot be written; it may have {LARGEST}.")
    return _HEADER.pack(MAGIC, len(payload)) + payload + bytes(-len(payload) % 4)
