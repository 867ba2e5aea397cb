"""RecordIO: the framing in which the service sends records through a pipe, and MXNet keeps them in files.

A part is a uint32 magic number, a uint32 whose upper 3 bits are a flag and whose lower 29 bits are the payload's
length, the payload, and zeros up to a multiple of 4 bytes; all little-endian. A record is one part (flag 0), or a
first, any number of middle and a last part (1, 2, 3), between which the magic number stood: so no aligned word of a
file is the magic number but those that begin a part. (MXNet's documentation, "Data Format" of its data loading.)
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import BinaryIO

MAGIC = 0xCED7230A
LARGEST = (1 << 29) - 1  # bytes of a part's payload: what 29 bits can say

HEADER = struct.Struct("<II")
_MAGIC = struct.pack("<I", MAGIC)
_WHOLE, _FIRST, _MIDDLE, _LAST = range(4)
_BLOCK_BYTES = 1 << 20


class RecordIOError(ValueError):
    """The bytes are not RecordIO. The message, "at byte N of the stream, ...", says where and why."""


def read_records(stream: BinaryIO, largest: int = LARGEST) -> Iterator[bytes]:
    """The records of a stream, one after the other, as they arrive.

    Memory grows with the bytes that were read, not with a length that a header only claims.

    Args:
        stream: at the beginning of a part; read in blocks, also beyond the last record that is asked for.
        largest: bytes that a record may have.
    Raises:
        RecordIOError: a part without the magic number, a record above `largest`, parts out of order, or an early end.
    """
    source = Window(stream)
    parts: list[bytes] = []
    size = 0
    while True:
        at = source.offset
        header = source.take(HEADER.size)
        if not header and not parts:
            return
        if len(header) < HEADER.size:
            raise _cut_off(at, "a record's header" if header else "the next part of a record")
        magic, described = HEADER.unpack(header)
        flag, length = described >> 29, described & LARGEST
        if magic != MAGIC:
            raise RecordIOError(f"at byte {at} of the stream, there is {magic:#010x} where a record must begin.")
        if flag not in ((_MIDDLE, _LAST) if parts else (_WHOLE, _FIRST)):
            raise RecordIOError(f"at byte {at} of the stream, a part has flag {flag}, which does not follow.")
        size += length + (len(_MAGIC) if parts else 0)
        if size > largest:
            raise RecordIOError(f"at byte {at} of the stream, a record has {size} bytes; it may have {largest}.")
        payload = source.take(length + -length % 4)
        if len(payload) < length + -length % 4:
            raise _cut_off(at, f"a part of {length} bytes")
        if flag == _WHOLE:
            yield payload[:length]
            size = 0
            continue
        parts.append(payload[:length])
        if flag == _LAST:
            yield _MAGIC.join(parts)
            parts, size = [], 0


def write_record(stream: BinaryIO, payload: bytes) -> None:
    """Append one record to a stream.

    Raises:
        ValueError: the payload needs a part of more than 2^29 - 1 bytes.
    """
    stream.write(framed(payload))


def framed(payload: bytes) -> bytes:
    """One record: headers, the payload and its padding.

    Raises:
        ValueError: the payload needs a part of more than 2^29 - 1 bytes.
    """
    if _MAGIC not in payload:
        return framed_part(payload)
    parts = _parts(payload)
    if len(parts) == 1:
        return framed_part(payload)
    flags = [_FIRST, *[_MIDDLE] * (len(parts) - 2), _LAST]
    return b"".join(map(framed_part, parts, flags))


def framed_part(part: bytes, flag: int = _WHOLE) -> bytes:
    """One part: its header, the payload and its padding; a whole record unless a flag says otherwise.

    Raises:
        ValueError: it has more than 2^29 - 1 bytes.
    """
    if len(part) > LARGEST:
        raise ValueError(f"a part of {len(part)} bytes cannot be written; RecordIO's parts have at most {LARGEST}.")
    return b"%b%b%b" % (HEADER.pack(MAGIC, flag << 29 | len(part)), part, bytes(-len(part) % 4))


def _parts(payload: bytes) -> list[bytes]:
    """The payload cut where one of its aligned words is the magic number, which is left out."""
    parts, begun = [], 0
    at = payload.find(_MAGIC)
    while at >= 0:
        # The parts before are multiples of 4 bytes long, and so is the magic number between them.
        if at % 4 == 0:
            parts.append(payload[begun:at])
            begun = at + len(_MAGIC)
        at = payload.find(_MAGIC, max(at + 1, begun))
    return [*parts, payload[begun:]]


class Window:
    """A stream read in blocks: what was read and not taken is `data` from `at` on. `offset` counts what was taken."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self.data, self.at, self.offset = memoryview(b""), 0, 0

    @property
    def available(self) -> int:
        """Bytes that were read and not yet taken."""
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
        """Take bytes that are available."""
        self.at += count
        self.offset += count

    def take(self, count: int) -> bytes:
        """The next `count` bytes, fewer at the end of the stream."""
        self.fill(count)
        taken = bytes(self.data[self.at : self.at + count])
        self.skip(len(taken))
        return taken


def _cut_off(at: int, what: str) -> RecordIOError:
    return RecordIOError(f"at byte {at} of the stream, {what} is cut off.")
