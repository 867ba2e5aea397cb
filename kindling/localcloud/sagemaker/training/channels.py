"""Input channels of a training job: what a request says of them, and how objects get to the hosts in File mode."""

from __future__ import annotations

import gzip
import os
import random
import shutil
import tempfile
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar

from kindling.localcloud.sagemaker.errors import DataError, InvalidRequestError
from kindling.localcloud.sagemaker.objects import Address, Objects
from kindling.localcloud.sagemaker.validation import require

Part = TypeVar("Part")

_CHUNK_BYTES = 1 << 20


@dataclass(frozen=True, kw_only=True)
class Channel:
    """One input channel, as a request names it.

    `source` is the beginning of keys, or the one of an augmented manifest, whose `attributes` are then not empty.
    `wrapped` says whether the service makes records of what it sends through a pipe.
    """

    name: str
    source: Address
    piped: bool = False
    sharded: bool = False
    gzipped: bool = False
    wrapped: bool = False
    attributes: tuple[str, ...] = ()
    content_type: str | None = None
    seed: int | None = None

    @classmethod
    def from_request(cls, config: Mapping[str, Any], input_mode: str) -> Channel:
        """The channel of an element of InputDataConfig.

        Args:
            input_mode: of the job, for a channel that does not say its own.
        Raises:
            InvalidRequestError: it asks for what the service refuses, or what the embedded cloud does not do.
        """
        name = config["ChannelName"]
        where = f"InputDataConfig {name!r}: "
        source = config["DataSource"].get("S3DataSource")
        if source is None:
            raise InvalidRequestError(f"{where}DataSource must be an S3DataSource on the embedded cloud.")
        require(f"{where}InputMode", config.get("InputMode"), "File", "Pipe")
        require(f"{where}S3DataType", source["S3DataType"], "S3Prefix", "AugmentedManifestFile")
        piped = config.get("InputMode", input_mode) == "Pipe"
        attributes = _attributes(where, config, source, piped=piped)
        wrapped = config.get("RecordWrapperType") == "RecordIO"
        if wrapped and not piped:
            raise InvalidRequestError(
                f"{where}RecordWrapperType=RecordIO can only be used in Pipe mode; in File mode it must be None."
            )
        try:
            address = Address.parse(source["S3Uri"])
        except DataError as error:
            raise InvalidRequestError(f"{where}{error}") from None
        return cls(
            name=name,
            source=address,
            piped=piped,
            sharded=source.get("S3DataDistributionType") == "ShardedByS3Key",
            gzipped=config.get("CompressionType") == "Gzip",
            wrapped=wrapped,
            attributes=attributes,
            content_type=config.get("ContentType"),
            seed=config.get("ShuffleConfig", {}).get("Seed"),
        )

    def as_config(self) -> dict[str, str]:
        """The channel's part of inputdataconfig.json."""
        config = {
            "TrainingInputMode": "Pipe" if self.piped else "File",
            "S3DistributionType": "ShardedByS3Key" if self.sharded else "FullyReplicated",
            "RecordWrapperType": "RecordIO" if self.wrapped else "None",
        }
        return {**config, "ContentType": self.content_type} if self.content_type else config

    def shuffled(self, parts: Sequence[Part], epoch: int = 0) -> Sequence[Part]:
        """Keys or lines in the order of an epoch: as they come, unless the request has a seed to shuffle by."""
        if self.seed is None:
            return parts
        order = list(parts)
        random.Random(f"{self.seed} {epoch}").shuffle(order)
        return order

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
        InvalidRequestError: two have the same name, or one asks for what the service refuses or the embedded cloud does
            not do.
    """
    input_mode = request["AlgorithmSpecification"].get("TrainingInputMode", "File")
    channels = [Channel.from_request(config, input_mode) for config in request.get("InputDataConfig", [])]
    names = [channel.name for channel in channels]
    for name in names:
        if names.count(name) > 1:
            raise InvalidRequestError(f"InputDataConfig names channel {name!r} more than once; names must differ.")
    return channels


def keys_of(channel: Channel, objects: Objects, role: str) -> list[str]:
    """The keys of a channel's objects, sorted.

    Raises:
        DataError: there are none.
    """
    keys = objects.keys(channel.source)
    if not keys:
        raise DataError(
            f'Data download failed: No S3 objects found under S3 URL "{channel.source}" given in input data source. '
            f"Please ensure that the bucket exists, that objects exist under that S3 prefix, and that the role "
            f'"{role}" has "s3:ListBucket" permissions on the bucket.'
        )
    return keys


def download(channel: Channel, objects: Objects, folders: Sequence[Path], role: str, go_on: Callable[[], None]) -> None:
    """Bring the objects of a channel in File mode to the hosts' folders.

    Args:
        folders: one for each host, in the order of the hosts.
        go_on: called before each object; raises to end the download.
    Raises:
        DataError: there is nothing at the prefix, or an object cannot be used.
    """
    keys = channel.shuffled(keys_of(channel, objects, role))
    for folder in folders:
        folder.mkdir(parents=True, exist_ok=True)
    for index, key in enumerate(keys):
        go_on()
        # Whole objects, dealt out one by one.
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


def _attributes(where: str, config: Mapping[str, Any], source: Mapping[str, Any], *, piped: bool) -> tuple[str, ...]:
    """The AttributeNames of an augmented manifest; none for objects below a prefix."""
    names = tuple(source.get("AttributeNames", ()))
    if source["S3DataType"] == "S3Prefix":
        if names:
            raise InvalidRequestError(
                f"{where}AttributeNames can only be used with S3DataType=AugmentedManifestFile, but it is S3Prefix."
            )
        return ()
    if not piped:
        raise InvalidRequestError(
            f"{where}S3DataType=AugmentedManifestFile can only be used if the channel's input mode is Pipe."
        )
    if not names:
        raise InvalidRequestError(
            f"{where}AttributeNames is required with S3DataType=AugmentedManifestFile; it must have 1 to 16 names."
        )
    if len(set(names)) < len(names):
        raise InvalidRequestError(f"{where}AttributeNames={list(names)} has a name twice; names must differ.")
    if config.get("CompressionType") == "Gzip":
        raise InvalidRequestError(
            f"{where}CompressionType=Gzip is not implemented by the embedded cloud with"
            " S3DataType=AugmentedManifestFile; use None."
        )
    return names
