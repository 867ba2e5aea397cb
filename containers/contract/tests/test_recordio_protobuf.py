"""RecordIO-protobuf both ways, against bytes that the SageMaker SDK wrote, and against streams that lie."""

from __future__ import annotations

import io
import struct
import tracemalloc
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from contract.record_message import Record, Tensor, decode, encode
from contract.recordio import MAGIC, RecordIOError
from contract.recordio_protobuf import Batch, Rows, read_batches, write, write_dense, write_sparse

# What sagemaker.amazon.common 2 writes of [[1, 2, 3.5]] as float32 with label 1.0, of [[1, 2, 300]] as int64 with label
# 1, of [[1, 2, 3.5]] as float64 without one, and of the sparse [[0, 2, 0, 3.5]] with label 1.0.
OF_FLOAT32 = (
    "0a23d7ce300000000a1a0a0676616c7565731210120e0a0c0000803f000000400000604012120a0676616c756573120812060a040000803f"
)
OF_INT64 = "0a23d7ce250000000a120a0676616c75657312083a060a040102ac02120f0a0676616c75657312053a030a0101000000"
OF_FLOAT64 = "0a23d7ce280000000a260a0676616c756573121c1a1a0a18000000000000f03f00000000000000400000000000000c40"
OF_SPARSE = (
    "0a23d7ce330000000a1d0a0676616c756573121312110a080000004000006040120201031a0104"
    "12120a0676616c756573120812060a040000803f00"
)
FLOATS = st.floats(width=32, allow_nan=False)


class Trickle(io.RawIOBase):
    """A stream that gives a few bytes at a time, as pipes may."""

    def __init__(self, content: bytes, size: int) -> None:
        self._content, self._size = io.BytesIO(content), size

    def read(self, count: int = -1) -> bytes:
        return self._content.read(min(count, self._size))


def batches(content: bytes, **more: int) -> list[Batch]:
    return list(read_batches(io.BytesIO(content), **more))


def dense(found: list[Batch]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    features = [batch.features for batch in found if isinstance(batch.features, np.ndarray)]
    labels = [batch.labels for batch in found if batch.labels is not None]
    return np.concatenate(features), np.concatenate(labels)


def written(features: Any, labels: Any = None) -> bytes:
    stream = io.BytesIO()
    write_dense(stream, features, labels)
    return stream.getvalue()


def framed(payload: bytes) -> bytes:
    return struct.pack("<II", MAGIC, len(payload)) + payload + bytes(-len(payload) % 4)


def test_what_is_written_are_the_sdks_bytes() -> None:
    row = np.array([[1, 2, 3.5]])
    assert written(row.astype(np.float32), np.array([1], np.float32)).hex() == OF_FLOAT32
    assert written(row).hex() == OF_FLOAT64
    stream = io.BytesIO()
    rows = Rows(np.array([2, 3.5], np.float32), np.array([1, 3]), np.array([0, 2]), 4)
    write_sparse(stream, rows, np.array([1], np.float32))
    assert stream.getvalue().hex() == OF_SPARSE
    stream = io.BytesIO()
    numbers, label = np.array([1, 2, 300], np.int32), np.array([1], np.int32)
    write(stream, Record({"values": Tensor(numbers)}, {"values": Tensor(label)}))
    assert stream.getvalue().hex() == OF_INT64


def test_what_the_sdk_wrote_is_read_in_batches_of_what_is_alike() -> None:
    found = batches(bytes.fromhex(OF_FLOAT32 * 3 + OF_INT64 * 2 + OF_FLOAT64 + OF_SPARSE * 2 + OF_FLOAT32))
    first, integers, doubles, sparse, last = found
    assert isinstance(first.features, np.ndarray)
    assert first.features.tolist() == [[1, 2, 3.5]] * 3
    assert first.labels is not None
    assert first.labels.tolist() == [[1]] * 3
    assert isinstance(integers.features, np.ndarray)
    assert integers.features.tolist() == [[1, 2, 300]] * 2
    assert doubles.labels is None
    assert isinstance(sparse.features, Rows)
    assert (sparse.features.keys.tolist(), sparse.features.values.tolist()) == ([1, 3, 1, 3], [2, 3.5, 2, 3.5])
    assert (sparse.features.bounds.tolist(), sparse.features.width) == ([0, 2, 4], 4)
    assert isinstance(last.features, np.ndarray)
    assert last.features.dtype == np.float32


@given(hnp.arrays(np.float32, st.tuples(st.integers(1, 30), st.integers(1, 9)), elements=FLOATS), st.integers(1, 64))
def test_dense_rows_come_back_however_the_stream_gives_them(features: NDArray[np.float32], size: int) -> None:
    labels = np.arange(len(features), dtype=np.float32)
    found = list(read_batches(Trickle(written(features, labels), size)))  # type: ignore[arg-type]
    values, back = dense(found)
    assert (values == features).all()
    assert (back[:, 0] == labels).all()


@given(
    hnp.arrays(np.float32, st.tuples(st.integers(1, 20), st.integers(1, 12)), elements=st.sampled_from([0, 1, -2.5]))
)
def test_sparse_rows_come_back_with_their_rows_of_zeros(matrix: NDArray[np.float32]) -> None:
    places = np.nonzero(matrix)
    bounds = np.concatenate([[0], np.cumsum((matrix != 0).sum(axis=1))])
    stream = io.BytesIO()
    write_sparse(stream, Rows(matrix[places], places[1], bounds, matrix.shape[1]))
    back = np.zeros_like(matrix)
    row = 0
    for batch in batches(stream.getvalue()):
        assert isinstance(batch.features, Rows)
        assert batch.features.width == matrix.shape[1]
        for start, stop in zip(batch.features.bounds[:-1], batch.features.bounds[1:], strict=True):
            back[row, batch.features.keys[start:stop]] = batch.features.values[start:stop]
            row += 1
    assert (back == matrix).all()


def test_many_dense_records_are_decoded_together() -> None:
    features = np.random.default_rng(1).normal(size=(5000, 40)).astype(np.float32)
    labels = features[:, :2].copy()
    found = batches(written(features, labels))
    values, back = dense(found)
    assert (values == features).all()
    assert (back == labels).all()
    assert len(found) < 5, "a megabyte is read at once, and is one batch"


def test_a_magic_number_among_the_values_stays_one() -> None:
    value = np.frombuffer(struct.pack("<I", MAGIC), "<f4")
    features = np.stack([value, value, value], axis=1)
    values, _ = dense(batches(written(features, np.ones(1, np.float32))))
    assert values.tobytes() == features.tobytes()


def test_a_prediction_is_a_record_of_labels() -> None:
    scores = {"score": Tensor(np.array([0.25], np.float32)), "predicted_label": Tensor(np.array([1], np.float32))}
    found = decode(encode(Record(label=scores)))
    assert {name: tensor.values.tolist() for name, tensor in found.label.items()} == {
        "score": [0.25],
        "predicted_label": [1.0],
    }
    assert not found.features


def test_negative_integers_and_unpacked_numbers_are_read() -> None:
    record = Record({"values": Tensor(np.array([-1, -(2**31), 2**31 - 1], np.int32))})
    assert decode(encode(record)).features["values"].values.tolist() == [-1, -(2**31), 2**31 - 1]
    unpacked = b"\x0d" + struct.pack("<f", 1.5) + b"\x0d" + struct.pack("<f", 2.5)
    value = b"\x12" + bytes([len(unpacked)]) + unpacked
    entry = b"\x0a\x06values\x12" + bytes([len(value)]) + value
    found = decode(b"\x0a" + bytes([len(entry)]) + entry + b"\x1a\x03uid")
    assert found.features["values"].values.tolist() == [1.5, 2.5]


def sparse(values: int, keys: list[int], width: int) -> bytes:
    return framed(encode(Record({"values": Tensor(np.ones(values, np.float32), np.array(keys, np.int64), width)})))


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"\x00" * 8, r"at byte 0 of the stream, there is 0x00000000 where a record must begin"),
        (bytes.fromhex(OF_FLOAT32)[:6], "a record's header is cut off"),
        (
            bytes.fromhex(OF_FLOAT32) + bytes.fromhex(OF_FLOAT32)[:-4],
            r"at byte 56 of the stream, a record of 48 bytes is",
        ),
        (struct.pack("<II", MAGIC, 2**29 - 1), "a record of 536870911 bytes is cut off"),
        (struct.pack("<II", MAGIC, 1 << 29 | 4) + b"abcd", "a record comes in parts or has more than"),
        (framed(b"\x0a\x7f"), "a message's field is cut off"),
        (framed(b"\xff" * 12), "a message has a number without an end"),
        (framed(b"\x0b\x00"), "a message has a field of wire type 3"),
        (framed(b""), r'a record has no features "values"'),
        (sparse(2, [1], 4), "a tensor has 2 values and 1 keys"),
        (sparse(1, [4], 4), "a tensor of 4 places has a key that is none of them"),
        (sparse(1, [1], 2**62), "a tensor of 4611686018427387904 places has"),
    ],
)
def test_what_is_none_is_refused_with_its_place(content: bytes, reason: str) -> None:
    with pytest.raises(RecordIOError, match=reason):
        batches(content)


def test_a_record_above_the_limit_is_refused_before_it_is_read() -> None:
    with pytest.raises(RecordIOError, match="a record has 48 bytes; it may have 40"):
        batches(bytes.fromhex(OF_FLOAT32), largest=40)
    tracemalloc.start()
    with pytest.raises(RecordIOError):
        batches(struct.pack("<II", MAGIC, 2**29 - 4) + b"x" * 100)
    assert tracemalloc.get_traced_memory()[1] < 4e6
    tracemalloc.stop()


@given(st.binary(max_size=200), st.integers(0, 200))
def test_no_bytes_do_more_than_be_refused(noise: bytes, at: int) -> None:
    valid = bytes.fromhex(OF_FLOAT32 + OF_SPARSE + OF_INT64)
    for content in (framed(noise), valid[: at % len(valid)] + noise + valid[at % len(valid) + len(noise) :]):
        try:
            batches(content)
        except RecordIOError:
            continue
