"""The message `aialgs.data.Record` of `application/x-recordio-protobuf`: named tensors as features and labels.

Bytes are those that the SageMaker Python SDK's generated classes write (sagemaker.amazon.record_pb2):

    Tensor  values = 1 (float, double or int32), keys = 2 (uint64), shape = 3 (uint64), all repeated and packed
    Value   one of float32_tensor = 2, float64_tensor = 3, int32_tensor = 7, bytes = 9
    Record  map<string, Value> features = 1, label = 2; string uid = 3, metadata = 4, configuration = 5
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contract.recordio import RecordIOError

VALUES = "values"
FEATURES, LABEL = 1, 2
BYTES = 2  # the wire type of what has a length
TENSORS: dict[int, np.dtype[Any]] = {2: np.dtype("<f4"), 3: np.dtype("<f8"), 7: np.dtype("<i4")}
"""Types of numbers by their field of Value."""

_MOST_KEYS = 2**31 - 1
_VARINT, _FIXED64, _FIXED32 = 0, 1, 5


@dataclass(frozen=True)
class Tensor:
    """A vector: dense where `keys` is None, and else `values[i]` at place `keys[i]` of `width`.

    `values` is float32, float64 or int32, shape (n,); `keys` int64, shape (n,). `width` says nothing where it is dense.
    """

    values: NDArray[np.float32] | NDArray[np.float64] | NDArray[np.int32]
    keys: NDArray[np.int64] | None = None
    width: int = 0

    @property
    def places(self) -> int:
        """How many numbers the vector has, zeros counted."""
        return len(self.values) if self.keys is None else self.width


@dataclass(frozen=True)
class Record:
    """One message, without its uid, metadata and configuration."""

    features: Mapping[str, Tensor] = field(default_factory=dict)
    label: Mapping[str, Tensor] = field(default_factory=dict)


def decode(payload: bytes | memoryview) -> Record:
    """A record's message.

    Raises:
        RecordIOError: it is no such message.
    """
    maps: dict[int, dict[str, Tensor]] = {FEATURES: {}, LABEL: {}}
    data = memoryview(payload)
    for number, kind, start, stop in spans(data, 0, len(data)):
        if number in maps and kind == BYTES:
            name, tensor = _entry(data[start:stop])
            if tensor is not None:
                maps[number][name] = tensor
    return Record(maps[FEATURES], maps[LABEL])


def encode(record: Record) -> bytes:
    """A record's message, its maps in their own order."""
    return b"".join(
        _lengthy(number, _lengthy(1, name.encode()) + _lengthy(2, _encoded(tensor)))
        for number, tensors in ((FEATURES, record.features), (LABEL, record.label))
        for name, tensor in tensors.items()
    )


def spans(data: memoryview, start: int, stop: int) -> Iterator[tuple[int, int, int, int]]:
    """Number, wire type, beginning and end of each field's value between two places."""
    at = start
    while at < stop:
        tag, at = _varint(data, at, stop)
        number, kind = tag >> 3, tag & 7
        if kind == _VARINT:
            _, end = _varint(data, at, stop)
        elif kind == BYTES:
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
    for number, kind, start, stop in spans(data, 0, len(data)):
        if number == 1 and kind == BYTES:
            name = bytes(data[start:stop]).decode(errors="replace")
        elif number == 2 and kind == BYTES:
            for which, of_kind, begin, end in spans(data, start, stop):
                if which in TENSORS and of_kind == BYTES:
                    tensor = _tensor(data[begin:end], TENSORS[which])
    return name, tensor


def _tensor(data: memoryview, dtype: np.dtype[Any]) -> Tensor:
    parts: dict[int, list[NDArray[Any]]] = {1: [np.empty(0, dtype)], 2: [], 3: []}
    for number, kind, start, stop in spans(data, 0, len(data)):
        if number not in parts:
            continue
        whole = kind == BYTES
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
    return Tensor(values)


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
    number = next(number for number, dtype in TENSORS.items() if dtype == tensor.values.dtype)
    if number == 7:
        values = _packed(tensor.values.astype(np.int64).view(np.uint64))
    else:
        values = np.ascontiguousarray(tensor.values, TENSORS[number]).tobytes()
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
    return _as_varint(number << 3 | BYTES) + _as_varint(len(content)) + content
