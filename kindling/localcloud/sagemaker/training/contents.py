"""What a channel consists of: the objects below its prefix, or those that its manifest lists."""

from __future__ import annotations

import json
import tempfile
from dataclasses import dataclass
from typing import Any

from kindling.localcloud.sagemaker.errors import DataError
from kindling.localcloud.sagemaker.objects import Address, Objects
from kindling.localcloud.sagemaker.training.channels import Channel


@dataclass(frozen=True)
class Item:
    """An object of a channel, and the name by which the container finds it below the channel's folder."""

    address: Address
    name: str


def contents_of(channel: Channel, objects: Objects, role: str) -> list[Item]:
    """The objects of a channel in their order: sorted by key, or as the manifest lists them.

    Raises:
        DataError: there are none, or the manifest is none.
    """
    if channel.listed:
        return _listed(channel, objects)
    keys = objects.keys(channel.source)
    if not keys:
        raise DataError(
            f'Data download failed: No S3 objects found under S3 URL "{channel.source}" given in input data source. '
            f"Please ensure that the bucket exists, that objects exist under that S3 prefix, and that the role "
            f'"{role}" has "s3:ListBucket" permissions on the bucket.'
        )
    return [Item(Address(channel.source.bucket, key), _name_below(channel.source.key, key)) for key in keys]


def _name_below(prefix: str, key: str) -> str:
    """What follows the prefix, as on SageMaker; a name that the prefix only begins is kept whole."""
    if key != prefix and (prefix.endswith("/") or key[len(prefix)] == "/" or not prefix):
        return key[len(prefix) :].lstrip("/")
    return key[prefix.rfind("/") + 1 :]


def _listed(channel: Channel, objects: Objects) -> list[Item]:
    """The objects of a manifest: [{"prefix": "s3://bucket/some/prefix/"}, "rest/of/a/key", ...]."""
    where = f"the manifest {channel.source} of {channel.where}"
    with tempfile.TemporaryFile() as file:
        try:
            objects.read_into(channel.source, file)
            file.seek(0)
            manifest = json.load(file)
        except DataError:
            raise DataError(f"{where} does not exist.") from None
        except (ValueError, RecursionError) as error:
            raise DataError(f"{where} is not JSON: {error}.") from None
    prefix, names = _checked(where, manifest)
    return [Item(Address(prefix.bucket, prefix.key + name), name.lstrip("/")) for name in names]


def _checked(where: str, manifest: Any) -> tuple[Address, list[str]]:
    form = '[{"prefix": "s3://bucket/prefix/"}, "rest/of/a/key", ...]'
    elements: list[Any] = manifest if isinstance(manifest, list) and manifest else [None]
    first, *names = elements
    if not (isinstance(first, dict) and first.keys() == {"prefix"} and isinstance(first["prefix"], str)):
        raise DataError(f"{where} does not begin with a prefix; it must have the form {form}.")
    for number, name in enumerate(names, start=2):
        if not isinstance(name, str) or not name:
            raise DataError(f"element {number} of {where} is no part of a key; it must have the form {form}.")
    if not names:
        raise DataError(f"{where} lists no object after its prefix.")
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise DataError(f"{where} lists {twice!r} more than once.")
    try:
        return Address.parse(first["prefix"]), names
    except DataError as error:
        raise DataError(f"{where}: {error}") from None
