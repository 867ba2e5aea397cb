"""S3 objects that a job is given: those below a prefix, or those that a manifest names."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from kindling.localcloud.sagemaker.errors import DataError, InvalidRequestError
from kindling.localcloud.sagemaker.objects import Address, Objects
from kindling.localcloud.sagemaker.training.channels import Channel, keys_of


@dataclass(frozen=True)
class Part:
    """One object, and its name below the folder or the prefix that it goes to."""

    address: Address
    name: PurePosixPath


def address_of(where: str, text: str) -> Address:
    """The address in a member of a request.

    Args:
        where: the member, for the message.
    Raises:
        InvalidRequestError: the text is no address.
    """
    try:
        return Address.parse(text)
    except DataError as error:
        raise InvalidRequestError(f"{where}: {error}") from None


def parts_of(source: Address, data_type: str, where: str, objects: Objects, role: str) -> list[Part]:
    """The objects of a source in the order of their keys, or of their manifest.

    Args:
        data_type: S3Prefix or ManifestFile.
        where: what asks for them, for messages.
    Raises:
        DataError: there are none, the manifest is not one, or a name leads out of where it goes.
    """
    if data_type == "ManifestFile":
        prefix, names = _manifest(source, objects)
        return [Part(Address(prefix.bucket, prefix.key + name), _safe(name, where)) for name in names]
    channel = Channel(name=where, source=source)
    return [Part(Address(source.bucket, key), _below(channel, key)) for key in keys_of(channel, objects, role)]


def _below(channel: Channel, key: str) -> PurePosixPath:
    try:
        return channel.path_of(key)
    except DataError:
        raise DataError(f"key {key!r} of {channel.name} leads out of its folder.") from None


def _safe(name: str, where: str) -> PurePosixPath:
    path = PurePosixPath(name.lstrip("/"))
    if ".." in path.parts or "\0" in name or not path.parts:
        raise DataError(f"{name!r} in the manifest of {where} leads out of its folder.")
    return path


def _manifest(address: Address, objects: Objects) -> tuple[Address, list[str]]:
    """A manifest's prefix, and the names that it appends to it."""
    file = io.BytesIO()
    objects.read_into(address, file)
    expected = f'the manifest {address} must be a JSON array of {{"prefix": "s3://..."}} and names of objects below it'
    try:
        entries: Any = json.loads(file.getvalue())
    except (ValueError, RecursionError) as error:
        raise DataError(f"{expected}: {error}.") from None
    if not isinstance(entries, list) or len(entries) < 2 or not isinstance(entries[0], dict):
        raise DataError(f"{expected}.")
    prefix, names = entries[0].get("prefix"), entries[1:]
    if not isinstance(prefix, str) or not all(isinstance(name, str) for name in names):
        raise DataError(f"{expected}.")
    return Address.parse(prefix), names
