"""Examples of an augmented manifest: the service sends source and label in turn, training reads lines of text.

Each source and each label is a record of the channel's pipe, in the order of AttributeNames. The engine encodes the
corpus once and its epochs run over ids, so the first epoch's pipe is read to its end and no other is opened.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from contract.channels import InputChannel
from contract.errors import ClientError

PREFIX = "__label__"

_WHAT_LABELS_ARE = "a label is a whole number, a word without spaces, or a list of these"
_BREAKS = bytes.maketrans(b"\r\n", b"  ")
_SEPARATORS = frozenset(" \t\n\v\f\r\0")  # what ends a word for fastText
_REMEMBERED = 100_000  # different labels that are not parsed again
_SHOWN = 60  # characters of a bad label


def write_lines(channel: InputChannel, folder: Path) -> Path:
    """Write the examples of a channel in Pipe mode as fastText's lines, `__label__1 __label__3 text`, to a file.

    Line breaks within a source become spaces.

    Args:
        folder: where the file is made; it has to have room for the whole channel.
    Returns:
        The file's path.
    Raises:
        ClientError: the channel is delivered in another way, holds no example, ends with a source that has no label,
            a source is not UTF-8, or a label is neither a whole number nor a word nor a list of these; names the
            channel and the record, the first being 1.
        AlgorithmError: the service has not made the pipe in time.
    """
    if channel.record_wrapper != "RecordIO":
        raise ClientError(
            f"channel {channel.name!r} comes in Pipe mode with RecordWrapperType {channel.record_wrapper}; an augmented"
            " manifest needs RecordIO, and text files need File mode."
        )
    path = folder / channel.name
    try:
        with path.open("wb") as file:
            file.writelines(_lines(channel))
            empty = file.tell() == 0
    except OSError as error:
        raise ClientError(
            f"channel {channel.name!r} could not be written to {folder} ({error.strerror}); give the job a larger"
            " volume."
        ) from None
    if empty:
        raise ClientError(f"channel {channel.name!r} holds no example; check the manifest and AttributeNames.")
    return path


def labels_of(record: bytes) -> list[str]:
    """The labels that a record holds, in the form in which the service sends an attribute's value.

    `1` is a whole number, `x` and `"x"` are words, `[1, "x"]` is a list; what is not JSON is a word.

    Raises:
        ValueError: anything else. The message says what was found.
    """
    text = record.decode()
    try:
        value = json.loads(text, parse_constant=str)  # NaN and Infinity are no JSON, so they are words
    except (ValueError, RecursionError):
        value = text.strip()
    labels = [_label(part) for part in (value if isinstance(value, list) else [value])]
    if not labels:
        raise ValueError("is an empty list")
    return labels


def _label(value: object) -> str:
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise ValueError(f"holds {_shown(value)}")
    text = str(value)
    if not text or not _SEPARATORS.isdisjoint(text):
        raise ValueError(f"holds {_shown(value)}")
    return text


def _lines(channel: InputChannel) -> Iterator[bytes]:
    prefixes: dict[bytes, bytes] = {}
    records = channel.records()
    for number, source in enumerate(records):
        label = next(records, None)
        at = 2 * number + 1
        if label is None:
            raise ClientError(
                f"channel {channel.name!r}: record {at} is a source without a label; the records must be source and"
                " label in turn, so AttributeNames must be source and label, in this order."
            )
        if (prefix := prefixes.get(label)) is None:
            prefix = _prefix(channel, at + 1, label)
            if len(prefixes) < _REMEMBERED:
                prefixes[label] = prefix
        if not source.isascii():
            _check_text(channel, at, source)
        yield prefix + source.translate(_BREAKS) + b"\n"


def _prefix(channel: InputChannel, at: int, record: bytes) -> bytes:
    try:
        return b"".join(f"{PREFIX}{label.removeprefix(PREFIX)} ".encode() for label in labels_of(record))
    except UnicodeDecodeError:
        found = "is not UTF-8 text"
    except ValueError as error:
        found = str(error)
    raise ClientError(f"channel {channel.name!r}: record {at}, a label, {found}; {_WHAT_LABELS_ARE}.")


def _check_text(channel: InputChannel, at: int, source: bytes) -> None:
    try:
        source.decode()
    except UnicodeDecodeError as error:
        raise ClientError(
            f"channel {channel.name!r}: record {at}, a source, is not UTF-8 text: byte {source[error.start]:#04x} at"
            f" offset {error.start}."
        ) from None


def _shown(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _SHOWN else text[: _SHOWN - 3] + "..."
