"""How a channel's objects get to the hosts in File and FastFile mode: as files, before the container starts."""

from __future__ import annotations

import gzip
import os
import shutil
import tempfile
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO

from kindling.localcloud.sagemaker.errors import DataError
from kindling.localcloud.sagemaker.folders import make_read_only
from kindling.localcloud.sagemaker.objects import Objects
from kindling.localcloud.sagemaker.training.channels import Channel
from kindling.localcloud.sagemaker.training.contents import Item, contents_of

_CHUNK_BYTES = 1 << 20


def download(channel: Channel, objects: Objects, folders: Sequence[Path], role: str, go_on: Callable[[], None]) -> None:
    """Bring the objects of a channel to the hosts' folders; in FastFile mode these are read-only.

    Of a channel that is sharded, whole objects are dealt out one by one, so that the shares differ by one object at
    most. Where there are fewer objects than hosts, the last hosts have empty folders, as on the service.

    Args:
        folders: one for each host, in the order of the hosts.
        go_on: called before each object; raises to end the download.
    Raises:
        DataError: there is nothing at the channel's address, or an object cannot be used.
    """
    items = channel.shuffled(contents_of(channel, objects, role))
    for folder in folders:
        folder.mkdir(parents=True, exist_ok=True)
    for index, item in enumerate(items):
        go_on()
        receivers = [folders[index % len(folders)]] if channel.sharded else folders
        try:
            _bring(channel, item, objects, receivers)
        except (DataError, OSError) as error:
            reason = f"{type(error).__name__}: {error.strerror}." if isinstance(error, OSError) else str(error)
            raise DataError(
                f"Data download failed: {item.address} of channel '{channel.name}' cannot be used: {reason}"
            ) from error
    if channel.mode == "FastFile":
        for folder in folders:
            make_read_only(folder)


def _bring(channel: Channel, item: Item, objects: Objects, folders: Sequence[Path]) -> None:
    first, *others = [folder / channel.path_of(item.name) for folder in folders]
    first.parent.mkdir(parents=True, exist_ok=True)
    with first.open("xb") as file:
        if channel.gzipped:
            _decompress(item, objects, file)
        else:
            objects.read_into(item.address, file)
    for other in others:
        # The hosts are on one machine: the same bytes on disk and in memory serve all of them.
        other.parent.mkdir(parents=True, exist_ok=True)
        os.link(first, other)


def _decompress(item: Item, objects: Objects, file: IO[bytes]) -> None:
    with tempfile.TemporaryFile(dir=Path(file.name).parent) as compressed:
        objects.read_into(item.address, compressed)
        compressed.seek(0)
        try:
            with gzip.open(compressed) as content:
                shutil.copyfileobj(content, file, _CHUNK_BYTES)
        except (gzip.BadGzipFile, EOFError, zlib.error) as error:
            raise DataError(f"it is not gzip: {error}.") from error
