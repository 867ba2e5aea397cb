"""Input channels of a training job: what a request says of them, and what the service refuses."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, Literal, TypeVar

from kindling.localcloud.sagemaker.errors import DataError, InvalidRequestError
from kindling.localcloud.sagemaker.objects import Address
from kindling.localcloud.sagemaker.validation import require

Part = TypeVar("Part")
Mode = Literal["File", "Pipe", "FastFile"]


@dataclass(frozen=True, kw_only=True)
class Channel:
    """One input channel, as a request names it.

    `source` is the beginning of keys, the address of a manifest where the channel is `listed`, or that of an augmented
    manifest where there are `attributes`. `wrapped` says whether the service makes records of what it sends through
    a pipe.
    """

    name: str
    source: Address
    mode: Mode = "File"
    listed: bool = False
    sharded: bool = False
    gzipped: bool = False
    wrapped: bool = False
    attributes: tuple[str, ...] = ()
    content_type: str | None = None
    seed: int | None = None
    title: str | None = None  # what messages call it, where it is no channel of a training job

    @property
    def where(self) -> str:
        """What messages call it."""
        return self.title or f"channel '{self.name}'"

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
        require(f"{where}S3DataType", source["S3DataType"], "S3Prefix", "ManifestFile", "AugmentedManifestFile")
        mode: Mode = config.get("InputMode", input_mode)
        attributes = _attributes(where, config, source, piped=mode == "Pipe")
        wrapped = config.get("RecordWrapperType") == "RecordIO"
        gzipped = config.get("CompressionType") == "Gzip"
        if wrapped and mode != "Pipe":
            raise InvalidRequestError(
                f"{where}RecordWrapperType=RecordIO can only be used in Pipe mode; in {mode} mode it must be None."
            )
        if gzipped and mode == "FastFile":
            raise InvalidRequestError(f"{where}CompressionType=Gzip cannot be used in FastFile mode; it must be None.")
        try:
            address = Address.parse(source["S3Uri"])
        except DataError as error:
            raise InvalidRequestError(f"{where}{error}") from None
        return cls(
            name=name,
            source=address,
            mode=mode,
            listed=source["S3DataType"] == "ManifestFile",
            sharded=source.get("S3DataDistributionType") == "ShardedByS3Key",
            gzipped=gzipped,
            wrapped=wrapped,
            attributes=attributes,
            content_type=config.get("ContentType"),
            seed=config.get("ShuffleConfig", {}).get("Seed"),
        )

    @property
    def piped(self) -> bool:
        """Whether the container reads it through pipes."""
        return self.mode == "Pipe"

    def as_config(self) -> dict[str, str]:
        """The channel's part of inputdataconfig.json."""
        config = {
            "TrainingInputMode": self.mode,
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

    def path_of(self, name: str) -> PurePosixPath:
        """Where what the channel calls `name` lies below the channel's folder.

        Raises:
            DataError: outside of it.
        """
        path = PurePosixPath(name.removesuffix(".gz") if self.gzipped else name)
        if path.is_absolute() or ".." in path.parts or "\0" in name or not path.parts:
            raise DataError(f"key {name!r} of {self.where} leads out of its folder.")
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


def _attributes(where: str, config: Mapping[str, Any], source: Mapping[str, Any], *, piped: bool) -> tuple[str, ...]:
    """The AttributeNames of an augmented manifest; none for other channels."""
    names = tuple(source.get("AttributeNames", ()))
    if (kind := source["S3DataType"]) != "AugmentedManifestFile":
        if names:
            raise InvalidRequestError(
                f"{where}AttributeNames can only be used with S3DataType=AugmentedManifestFile, but it is {kind}."
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
