"""What goes through a channel's pipes: its objects, or the attributes of an augmented manifest."""

from __future__ import annotations

import gzip
import json
import tempfile
import zlib
from array import array
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

from contract.recordio import framed
from kindling.localcloud.sagemaker.errors import DataError
from kindling.localcloud.sagemaker.objects import Address, Objects
from kindling.localcloud.sagemaker.training.channels import Channel
from kindling.localcloud.sagemaker.training.contents import Item, contents_of

# The bytes of an epoch, from 0 on, in pieces of any size.
Epochs = Callable[[int], Iterator[bytes]]

_BLOCK_BYTES = 1 << 20
_REFERENCE = "-ref"  # an attribute of such a name holds an object's address, and stands for its content


class Stream(Protocol):
    """A channel's data, read anew for every host and epoch."""

    def part(self, rank: int, hosts: int) -> Epochs:
        """What one of the hosts gets: all, or its share of a channel that is sharded."""


def stream_of(channel: Channel, objects: Objects, folder: Path, role: str) -> Stream:
    """The stream of a channel.

    Args:
        folder: the job's, where a manifest is kept while it runs.
    Raises:
        DataError: there is nothing at the channel's address.
    """
    if channel.attributes:
        return _Manifest(channel, objects, folder / f"{channel.name}.manifest")
    return _Objects(channel, objects, contents_of(channel, objects, role))


class _Objects:
    """Objects one after the other, each a record where the channel is wrapped."""

    def __init__(self, channel: Channel, objects: Objects, items: Sequence[Item]) -> None:
        self._channel, self._objects, self._items = channel, objects, items

    def part(self, rank: int, hosts: int) -> Epochs:
        channel = self._channel
        first, step = (rank, hosts) if channel.sharded else (0, 1)

        def epoch(number: int) -> Iterator[bytes]:
            for item in channel.shuffled(self._items, number)[first::step]:
                content = self._content(item.address)
                yield from [_record(b"".join(content))] if channel.wrapped else content

        return epoch

    def _content(self, address: Address) -> Iterator[bytes]:
        where = f"{address} of channel '{self._channel.name}'"
        try:
            if not self._channel.gzipped:
                yield from self._objects.blocks(address)
                return
            with tempfile.TemporaryFile() as packed:
                self._objects.read_into(address, packed)
                packed.seek(0)
                with gzip.open(packed) as content:
                    yield from iter(lambda: content.read(_BLOCK_BYTES), b"")
        except DataError as error:
            raise DataError(f"{where} cannot be used: {error}") from error
        except (gzip.BadGzipFile, EOFError, zlib.error) as error:
            raise DataError(f"{where} is not gzip: {error}.") from error


class _Manifest:
    """Lines of JSON: the values of the channel's attributes, in their order, each a record where it is wrapped."""

    def __init__(self, channel: Channel, objects: Objects, path: Path) -> None:
        self._channel, self._objects, self._path = channel, objects, path
        with path.open("wb") as file:
            objects.read_into(channel.source, file)
        self._starts = array("Q", _starts_of_lines(path))
        if not self._starts:
            raise DataError(f"the augmented manifest {channel.source} of channel '{channel.name}' holds no line.")

    def part(self, rank: int, hosts: int) -> Epochs:
        channel = self._channel
        first, step = (rank, hosts) if channel.sharded else (0, 1)

        def epoch(number: int) -> Iterator[bytes]:
            with self._path.open("rb") as file:
                for line in channel.shuffled(range(len(self._starts)), number)[first::step]:
                    file.seek(self._starts[line])
                    yield from self._values(line + 1, file.readline())

        return epoch

    def _values(self, line: int, text: bytes) -> Iterator[bytes]:
        where = f"line {line} of the augmented manifest {self._channel.source}"
        try:
            found = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise DataError(f"{where} is not JSON: {error}.") from None
        if not isinstance(found, dict):
            raise DataError(f"{where} is not a JSON object.")
        for name in self._channel.attributes:
            if name not in found:
                had = ", ".join(found) or "none"
                raise DataError(f"{where} lacks the attribute {name!r} that AttributeNames asks for (it has {had}).")
            value = self._value(where, name, found[name])
            yield _record(value) if self._channel.wrapped else value

    def _value(self, where: str, name: str, value: Any) -> bytes:
        try:
            if not name.endswith(_REFERENCE):
                return (value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)).encode()
            return b"".join(self._objects.blocks(Address.parse(str(value))))
        except UnicodeEncodeError:
            raise DataError(f"{where}, attribute {name!r}, holds half a surrogate pair.") from None
        except DataError as error:
            raise DataError(f"{where}, attribute {name!r}: {error}") from None


def _starts_of_lines(path: Path) -> Iterator[int]:
    """Where the lines of a file begin that are not blank."""
    at = 0
    with path.open("rb") as file:
        for line in file:
            if not line.isspace():
                yield at
            at += len(line)


def _record(payload: bytes) -> bytes:
    try:
        return framed(payload)
    except ValueError as error:
        raise DataError(str(error)) from None
