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

_HEADER = struct.Struct("<II")
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
    source = _Source(stream)
    parts: list[bytes] = []
    size = 0
    while True:
        at = source.offset
        header = source.take(_HEADER.size)
        if not header and not parts:
            return
        if len(header) < _HEADER.size:
            raise _cut_off(at, "a record's header" if header else "the next part of a record")
        magic, described = _HEADER.unpack(header)
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
        return _framed_part(_WHOLE, payload)
    parts = _parts(payload)
    if len(parts) == 1:
        return _framed_part(_WHOLE, payload)
    flags = [_FIRST, *[_MIDDLE] * (len(parts) - 2), _LAST]
    return b"".join(map(_framed_part, flags, parts))


def _framed_part(flag: int, part: bytes) -> bytes:
    if len(part) > LARGEST:
        raise ValueError(f"a part of {len(part)} bytes cannot be written; RecordIO's parts have at most {LARGEST}.")
    return b"%b%b%b" % (_HEADER.pack(MAGIC, flag << 29 | len(part)), part, bytes(-len(part) % 4))


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


class _Source:
    """A stream read in blocks. `offset` counts the bytes that were taken."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._block, self._at = b"", 0
        self.offset = 0

    def take(self, count: int) -> bytes:
        """The next `count` bytes, fewer at the end of the stream."""
        end = self._at + count
        if end <= len(self._block):
            taken = self._block[self._at : end]
            self._at = end
        else:
            taken = self._gather(count)
        self.offset += len(taken)
        return taken

    def _gather(self, count: int) -> bytes:
        pieces = [self._block[self._at :]]
        missing = count - len(pieces[0])
        self._block, self._at = b"", 0
        while missing > 0:
            # A pipe gives what it holds, not all that was asked for.
            block = self._stream.read(_BLOCK_BYTES)
            if not block:
                break
            pieces.append(block[:missing])
            if len(block) > missing:
                self._block, self._at = block, missing
            missing -= len(pieces[-1])
        return b"".join(pieces)


def _cut_off(at: int, what: str) -> RecordIOError:
    return RecordIOError(f"at byte {at} of the stream, {what} is cut off.")
