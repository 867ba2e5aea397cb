"""application/vnd.amazon.eventstream, as InvokeEndpointWithResponseStream answers: frames of headers and a payload.

A frame is: its length, the length of its headers (4 bytes each, big-endian), the CRC-32 of these two; the headers,
each as 1 byte length and name, 1 byte type (7: text), 2 bytes length and value; the payload; the CRC-32 of it all.
"""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Mapping

CONTENT_TYPE = "application/vnd.amazon.eventstream"

_TEXT = 7
_AROUND = 16  # bytes of a frame beside its headers and its payload


def part(payload: bytes) -> bytes:
    """The frame of a PayloadPart."""
    headers = {":message-type": "event", ":event-type": "PayloadPart", ":content-type": "application/octet-stream"}
    return _frame(headers, payload)


def failure(kind: str, **members: str) -> bytes:
    """The frame of an exception, ModelStreamError or InternalStreamFailure, after which no frame comes."""
    headers = {":message-type": "exception", ":exception-type": kind, ":content-type": "application/json"}
    return _frame(headers, json.dumps(members).encode())


def _frame(headers: Mapping[str, str], payload: bytes) -> bytes:
    encoded = b"".join(_header(name.encode(), value.encode()) for name, value in headers.items())
    prelude = struct.pack(">II", _AROUND + len(encoded) + len(payload), len(encoded))
    frame = prelude + struct.pack(">I", zlib.crc32(prelude)) + encoded + payload
    return frame + struct.pack(">I", zlib.crc32(frame))


def _header(name: bytes, value: bytes) -> bytes:
    return struct.pack(">B", len(name)) + name + struct.pack(">BH", _TEXT, len(value)) + value
