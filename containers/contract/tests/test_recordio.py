"""RecordIO both ways, against bytes made by hand, and against streams that lie."""

from __future__ import annotations

import io
import os
import struct
import threading
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract.recordio import LARGEST, MAGIC, RecordIOError, framed, read_records, write_record

WORD = struct.pack("<I", MAGIC)


def part(payload: bytes, flag: int = 0) -> bytes:
    return WORD + struct.pack("<I", flag << 29 | len(payload)) + payload + bytes(-len(payload) % 4)


def records(content: bytes, **more: int) -> list[bytes]:
    return list(read_records(io.BytesIO(content), **more))


def written(*payloads: bytes) -> bytes:
    stream = io.BytesIO()
    for payload in payloads:
        write_record(stream, payload)
    return stream.getvalue()


def test_bytes_made_by_hand_are_read_and_written() -> None:
    by_hand = (
        bytes.fromhex("0a23d7ce 05000000") + b"hello\0\0\0"
        + bytes.fromhex("0a23d7ce 00000000")
        + bytes.fromhex("0a23d7ce 04000000") + b"four"
    )  # fmt: skip
    assert records(by_hand) == [b"hello", b"", b"four"]
    assert written(b"hello", b"", b"four") == by_hand


def test_a_record_in_several_parts_is_joined_by_the_magic_number_that_it_was_cut_at() -> None:
    by_hand = part(b"abcd", 1) + part(b"", 2) + part(b"efg", 3) + part(b"whole")
    assert records(by_hand) == [b"abcd" + WORD + WORD + b"efg", b"whole"]
    assert written(b"abcd" + WORD + WORD + b"efg", b"whole") == by_hand


def test_a_magic_number_that_is_not_aligned_does_not_cut() -> None:
    assert written(b"a" + WORD) == part(b"a" + WORD)


# Few letters, so that the magic number comes about often, aligned and not.
PAYLOADS = st.lists(st.lists(st.sampled_from([WORD, WORD[:2], b"x", bytes(4)]), max_size=9).map(b"".join), max_size=6)


@given(PAYLOADS | st.lists(st.binary(max_size=100), max_size=6))
def test_what_is_written_is_read_again_and_no_aligned_word_but_a_header_is_the_magic_number(
    payloads: list[bytes],
) -> None:
    content = written(*payloads)
    assert records(content) == payloads
    starts = {at for at in range(0, len(content), 4) if content[at : at + 4] == WORD}
    at, headers = 0, set()
    while at < len(content):
        headers.add(at)
        at += 8 + (struct.unpack_from("<I", content, at + 4)[0] & LARGEST) + 3 & ~3
    assert starts == headers


@given(st.lists(st.binary(max_size=50), min_size=1, max_size=5), st.data())
def test_a_stream_that_is_cut_off_anywhere_is_said_with_the_place(payloads: list[bytes], data: st.DataObject) -> None:
    content = written(*payloads)
    whole = {len(written(*payloads[:count])) for count in range(len(payloads) + 1)}
    length = data.draw(st.integers(0, len(content)))
    if length in whole:
        assert records(content[:length]) == payloads[: sorted(whole).index(length)]
    else:
        with pytest.raises(RecordIOError, match=r"^at byte \d+ of the stream, .* is cut off\.$"):
            records(content[:length])


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"text, not records", "at byte 0 of the stream, there is 0x74786574 where a record must begin."),
        (part(b"abc") + b"x" * 8, "at byte 12 of the stream, there is 0x78787878 where a record must begin."),
        (part(b"a", 3), "at byte 0 of the stream, a part has flag 3, which does not follow."),
        (part(b"a", 1) + part(b"b"), "at byte 12 of the stream, a part has flag 0, which does not follow"),
        (part(b"a", 1), "at byte 12 of the stream, the next part of a record is cut off."),
        (part(b"a", 5), "at byte 0 of the stream, a part has flag 5"),
        (part(b"abc")[:10], "at byte 0 of the stream, a part of 3 bytes is cut off."),
        (part(b"abc") + WORD, "at byte 12 of the stream, a record's header is cut off."),
    ],
)
def test_what_is_no_record_is_named_with_its_place(content: bytes, sentence: str) -> None:
    with pytest.raises(RecordIOError) as refusal:
        records(content)
    assert sentence in str(refusal.value)


def test_a_length_that_is_a_lie_costs_no_memory() -> None:
    content = WORD + struct.pack("<I", LARGEST) + b"short"
    tracemalloc.start()
    with pytest.raises(RecordIOError, match="at byte 0 of the stream, a part of 536870911 bytes is cut off"):
        records(content)
    assert tracemalloc.get_traced_memory()[1] < 10_000_000
    tracemalloc.stop()


def test_a_record_above_what_is_allowed_is_refused_before_it_is_read_also_in_parts() -> None:
    with pytest.raises(RecordIOError, match="at byte 12 of the stream, a record has 5 bytes; it may have 4"):
        records(part(b"abcd") + part(b"abcde"), largest=4)
    with pytest.raises(RecordIOError, match="at byte 12 of the stream, a record has 8 bytes; it may have 7"):
        records(part(b"abcd", 1) + part(b"", 3), largest=7)


def test_a_payload_that_the_format_cannot_hold_is_refused() -> None:
    class Long(bytes):
        def __len__(self) -> int:
            return LARGEST + 1

    with pytest.raises(ValueError, match=r"^a part of 536870912 bytes cannot be written"):
        framed(Long())


def test_records_are_told_as_they_arrive_and_not_when_the_pipe_ends() -> None:
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb", buffering=0) as source:
        found = read_records(source)
        os.write(writing, part(b"one") + part(b"two")[:5])
        assert next(found) == b"one"
        threading.Timer(0.05, lambda: (os.write(writing, part(b"two")[5:]), os.close(writing))).start()
        assert list(found) == [b"two"]
