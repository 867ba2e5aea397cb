"""The channels of a job: which there are, where they lie, and that they hold data."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from contract.specification import Algorithm, InvalidJobError
from contract.specification import Channel as Described
from lambdas.plan.request import Channel
from lambdas.plan.wording import shown, suggestion

_MANIFEST = "AugmentedManifestFile"

# Whether any object whose key begins with a prefix has something in it: (bucket, prefix) -> bool.
HoldsData = Callable[[str, str], bool]


def input_data_config(
    algorithm: Algorithm,
    given: Mapping[str, Channel],
    prepared: Mapping[str, Channel],
    data_bucket: str,
    holds_data: HoldsData,
) -> list[dict[str, Any]]:
    """CreateTrainingJob's InputDataConfig.

    Args:
        prepared: channels that a preparation has yet to make; no others are at the addresses of `given`.
    Raises:
        InvalidJobError: a channel that the algorithm has not, or that it needs and is missing; an address that the
            training role may not read, or that holds nothing; a way of delivery that the algorithm does not know.
    """
    channels = {**given, **prepared}
    for name in channels:
        if name not in algorithm.channels:
            raise InvalidJobError(
                f"channel {name!r} is unknown to {algorithm.name}; {suggestion(name, algorithm.channels)}"
            )
    for name, described in algorithm.channels.items():
        if described.required and name not in channels:
            raise InvalidJobError(f"channel {name!r} is missing from inputs; {algorithm.name} requires it.")
    configured = [_configured(name, channel, algorithm.channels[name]) for name, channel in channels.items()]
    for name, channel in given.items():
        check_address(f"inputs.{name}", channel.s3_uri, f"s3://{data_bucket}/{algorithm.name}/", holds_data)
    return configured


def check_address(field: str, uri: str, readable: str, holds_data: HoldsData) -> None:
    """Refuses an address that the jobs' roles may not read, or where there is nothing.

    Raises:
        InvalidJobError: names the field.
    """
    if not uri.startswith(readable):
        raise InvalidJobError(
            f"{field} is {shown(uri)}; it must lie in {readable}, which is all that the jobs' roles may read."
        )
    bucket, prefix = uri.removeprefix("s3://").split("/", 1)
    if not holds_data(bucket, prefix):
        raise InvalidJobError(f"{field}: {uri} holds no data; upload a file that is not empty, or correct the address.")


def _configured(name: str, channel: Channel, described: Described) -> dict[str, Any]:
    source: dict[str, Any] = {
        "S3DataType": channel.s3_data_type,
        "S3Uri": channel.s3_uri,
        "S3DataDistributionType": _chosen(name, "distribution", channel.distribution, described.distribution),
    }
    input_mode, record_wrapper = _delivery(name, channel, described)
    if channel.s3_data_type == _MANIFEST:
        source["AttributeNames"] = _attribute_names(name, channel, described)
    elif channel.attribute_names is not None:
        raise InvalidJobError(
            f"inputs.{name}.attribute_names is {shown(channel.attribute_names)}, but s3_data_type is"
            f" {channel.s3_data_type}; leave it out, or set s3_data_type to {_MANIFEST}."
        )
    return {
        "ChannelName": name,
        "DataSource": {"S3DataSource": source},
        "ContentType": _chosen(name, "content_type", channel.content_type, described.content_types),
        "InputMode": input_mode,
        "CompressionType": channel.compression,
        "RecordWrapperType": record_wrapper,
    }


def _delivery(name: str, channel: Channel, described: Described) -> tuple[str, str]:
    """Input mode and record wrapper: what was asked for, or what the kind of data needs."""
    manifest = channel.s3_data_type == _MANIFEST
    if manifest and not described.attributes:
        raise InvalidJobError(
            f'inputs.{name}.s3_data_type is "{_MANIFEST}", which this channel does not take; it must be S3Prefix.'
        )
    asked = "Pipe" if manifest and channel.input_mode is None else channel.input_mode
    input_mode = _chosen(name, "input_mode", asked, described.input_modes)
    if manifest and input_mode != "Pipe":
        raise InvalidJobError(f"inputs.{name}.input_mode is {shown(input_mode)}; with an {_MANIFEST} it must be Pipe.")
    if input_mode == "Pipe" and described.attributes and not manifest:
        raise InvalidJobError(
            f"inputs.{name}.s3_data_type is {shown(channel.s3_data_type)}; in Pipe mode it must be {_MANIFEST}."
        )
    if manifest and channel.compression != "None":
        raise InvalidJobError(
            f"inputs.{name}.compression is {shown(channel.compression)}; with an {_MANIFEST} it must be None."
        )
    wrapper = channel.record_wrapper or ("RecordIO" if manifest else "None")
    needed = "RecordIO" if manifest else "None" if input_mode != "Pipe" else wrapper
    if wrapper != needed:
        why = f"with an {_MANIFEST}" if manifest else f"in {input_mode} mode"
        raise InvalidJobError(f"inputs.{name}.record_wrapper is {shown(wrapper)}; {why} it must be {needed}.")
    return input_mode, wrapper


def _attribute_names(name: str, channel: Channel, described: Described) -> list[str]:
    asked, known = channel.attribute_names or described.attributes, described.attributes
    if asked != known:
        raise InvalidJobError(f"inputs.{name}.attribute_names is {shown(asked)}; it must be {shown(known)}.")
    return list(known)


def _chosen(channel: str, field: str, asked: str | None, known: tuple[str, ...]) -> str:
    """What was asked for, when the algorithm knows it; its first choice when nothing was."""
    if asked is None:
        return known[0]
    if asked not in known:
        raise InvalidJobError(f"inputs.{channel}.{field} is {shown(asked)}; it must be {' or '.join(known)}.")
    return asked
