"""Input channels of a training job in File mode: which objects a host gets, and how they get there."""

from __future__ import annotations

import gzip
import os
import shutil
import tempfile
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from kindling.localcloud.sagemaker.errors import DataError, InvalidRequestError
from kindling.localcloud.sagemaker.objects import Address, Objects
from kindling.localcloud.sagemaker.validation import require

_CHUNK_BYTES = 1 << 20


@dataclass(frozen=True, kw_only=True)
class Channel:
    """One input channel, as a request names it."""

    name: str
    source: Address
    sharded: bool
    gzipped: bool
    content_type: str | None

    @classmethod
    def from_request(cls, config: Mapping[str, Any]) -> Channel:
        """The channel of an element of InputDataConfig.

        Raises:
            InvalidRequestError: it asks for what the embedded cloud does not do.
        """
        name = config["ChannelName"]
        where = f"InputDataConfig {name!r}: "
        source = config["DataSource"].get("S3DataSource")
        if source is None:
            raise InvalidRequestError(f"{where}DataSource must be an S3DataSource on the embedded cloud.")
        require(f"{where}InputMode", config.get("InputMode"), "File")
        require(f"{where}RecordWrapperType", config.get("RecordWrapperType"), "None")
        require(f"{where}S3DataType", source["S3DataType"], "S3Prefix")
        try:
            address = Address.parse(source["S3Uri"])
        except DataError as error:
            raise InvalidRequestError(f"{where}{error}") from None
        return cls(
            name=name,
            source=address,
            sharded=source.get("S3DataDistributionType") == "ShardedByS3Key",
            gzipped=config.get("CompressionType") == "Gzip",
            content_type=config.get("ContentType"),
        )

    def as_config(self) -> dict[str, str]:
        """The channel's part of inputdataconfig.json."""
        config = {
            "TrainingInputMode": "File",
            "S3DistributionType": "ShardedByS3Key" if self.sharded else "FullyReplicated",
            "RecordWrapperType": "None",
        }
        return {**config, "ContentType": self.content_type} if self.content_type else config

    def path_of(self, key: str) -> PurePosixPath:
        """Where a key's content lies below the channel's folder: what follows the prefix, as on SageMaker."""
        prefix = self.source.key
        if key != prefix and (prefix.endswith("/") or key[len(prefix)] == "/" or not prefix):
            name = key[len(prefix) :].lstrip("/")
        else:
            name = key[prefix.rfind("/") + 1 :]
        path = PurePosixPath(name.removesuffix(".gz") if self.gzipped else name)
        if ".." in path.parts or "\0" in name or not path.parts:
            raise DataError(f"key {key!r} of channel '{self.name}' leads out of the channel's folder.")
        return path


def channels_of(request: Mapping[str, Any]) -> list[Channel]:
    """The channels of a CreateTrainingJob request.

    Raises:
        InvalidRequestError: two have the same name, or one asks for what the embedded cloud does not do.
    """
    channels = [Channel.from_request(config) for config in request.get("InputDataConfig", [])]
    names = [channel.name for channel in channels]
    for name in names:
        if names.count(name) > 1:
            raise InvalidRequestError(f"InputDataConfig names channel {name!r} more than once; names must differ.")
    return channels


def download(channel: Channel, objects: Objects, folders: Sequence[Path], role: str, go_on: Callable[[], None]) -> None:
    """Bring a channel's objects to the hosts' folders.

    Args:
        folders: one for each host, in the order of the hosts.
        go_on: called before each object; raises to end the download.
    Raises:
        DataError: there is nothing at the prefix, or an object cannot be used.
    """
    keys = objects.keys(channel.source)
    if not keys:
        raise DataError(
            f'Data download failed: No S3 objects found under S3 URL "{channel.source}" given in input data source. '
            f"Please ensure that the bucket exists, that objects exist under that S3 prefix, and that the role "
            f'"{role}" has "s3:ListBucket" permissions on the bucket.'
        )
    for folder in folders:
        folder.mkdir(parents=True, exist_ok=True)
    for index, key in enumerate(keys):
        go_on()
        # Whole objects, dealt out in the order of their keys.
        receivers = [folders[index % len(folders)]] if channel.sharded else folders
        try:
            _bring(channel, key, objects, receivers)
        except OSError as error:
            raise DataError(f"Data download failed: {channel.source.bucket}/{key}: {error}.") from error


def _bring(channel: Channel, key: str, objects: Objects, folders: Sequence[Path]) -> None:
    first, *others = [folder / channel.path_of(key) for folder in folders]
    first.parent.mkdir(parents=True, exist_ok=True)
    with first.open("xb") as file:
        if channel.gzipped:
            _decompress(channel, Address(channel.source.bucket, key), objects, file)
        else:
            objects.read_into(Address(channel.source.bucket, key), file)
    for other in others:
        # The hosts are on one machine: the same bytes on disk and in memory serve all of them.
        other.parent.mkdir(parents=True, exist_ok=True)
        os.link(first, other)


def _decompress(channel: Channel, address: Address, objects: Objects, file: Any) -> None:
    with tempfile.TemporaryFile(dir=Path(file.name).parent) as compressed:
        objects.read_into(address, compressed)
        compressed.seek(0)
        try:
            with gzip.open(compressed) as content:
                shutil.copyfileobj(content, file, _CHUNK_BYTES)
        except (gzip.BadGzipFile, EOFError, zlib.error) as error:
            raise DataError(
                f"Data download failed: {address} of channel '{channel.name}' is not gzip: {error}."
            ) from error
