"""Records of an object, and the batches in which they are sent."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import BinaryIO

from contract.recordio import RecordIOError, framed, read_records
from kindling.localcloud.sagemaker.errors import DataError
from kindling.localcloud.sagemaker.transform.settings import Settings


@dataclass(frozen=True)
class Record:
    """A record's content, and what is around it where several are in one payload."""

    content: bytes
    framed: bytes


@dataclass
class Batch:
    """Records that are sent in one request: as they are in the object, and the request's body."""

    records: list[bytes] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    size: int = 0

    def add(self, record: bytes, body: bytes) -> None:
        """Append a record."""
        self.records.append(record)
        self.bodies.append(body)
        self.size += len(body)

    @property
    def body(self) -> bytes:
        """The body of the request."""
        return b"".join(self.bodies)


def media_type(content_type: str) -> str:
    """A content type without its parameters."""
    return content_type.partition(";")[0].strip().lower()


def batches(
    file: BinaryIO, split: str, settings: Settings, prepare: Callable[[bytes], bytes] | None
) -> Iterator[Batch]:
    """The batches of an object.

    Args:
        split: None, Line or RecordIO.
        prepare: makes of a record's content what is sent of it; None sends it as it is.
    Raises:
        DataError: a record cannot be read, cannot be prepared, or is larger than a payload may be.
    """
    single = settings.strategy == "SINGLE_RECORD"
    limit = settings.max_payload_bytes
    batch = Batch()
    for number, record in enumerate(_records(file, split), start=1):
        body = _body(record, split, prepare, single=single, number=number)
        if limit is not None and len(body) > limit:
            what = "the object" if split == "None" else f"record {number}"
            raise DataError(f"{what} has {len(body)} bytes, more than MaxPayloadInMB={settings.max_payload_mb} allows.")
        if batch.records and (single or (limit is not None and batch.size + len(body) > limit)):
            yield batch
            batch = Batch()
        batch.add(record.content, body)
    if batch.records:
        yield batch


def _body(record: Record, split: str, prepare: Callable[[bytes], bytes] | None, *, single: bool, number: int) -> bytes:
    if prepare is None:
        return record.content if single else record.framed
    try:
        content = prepare(record.content)
    except DataError as error:
        raise DataError(f"record {number}: {error}") from None
    if single or split == "None":
        return content
    return framed(content) if split == "RecordIO" else content + record.framed[len(record.content) :]


def _records(file: BinaryIO, split: str) -> Iterator[Record]:
    if split == "None":
        content = file.read()
        yield Record(content, content)
    elif split == "Line":
        for line in file:
            yield Record(line.rstrip(b"\n").rstrip(b"\r"), line)
    else:
        try:
            for payload in read_records(file):
                yield Record(payload, framed(payload))
        except RecordIOError as error:
            raise DataError(f"it is not RecordIO: {error}") from None
