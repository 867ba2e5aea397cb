"""Labelled texts, line by line: the script's `label,text` and fastText's form, and the normalisation of its scripts."""

from __future__ import annotations

import csv
import gzip
import zlib
from codecs import BOM_UTF8
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from contract.channels import InputChannel
from contract.errors import ClientError
from contract.text_classification import END_OF_TEXT, LABEL_PREFIX

_PREFIX, _END = LABEL_PREFIX.encode(), END_OF_TEXT.encode()
_GZIP = b"\x1f\x8b"

# fastText's classification-results.sh
_SET_APART = (b"'", b".", b",", b"(", b")", b"!", b"?")
_BLANK = (b"<br />", b";", b":")


@dataclass(frozen=True)
class Tokeniser:
    """How a text becomes tokens: kept with the model, so that serving does as training did.

    Args:
        normalize: lower-case ASCII letters and set punctuation apart.
        max_length: tokens that count, the end of the text not among them; 0 is all.
    """

    normalize: bool = False
    max_length: int = 0

    def tokens(self, text: bytes) -> list[bytes]:
        """What stands between white space, without fastText's labels; then `</s>`, which ends every text."""
        if self.normalize:
            text = normalized(text)
        found = text.replace(b"\0", b" ").split()
        if _PREFIX in text:
            found = [token for token in found if not token.startswith(_PREFIX)]
        if self.max_length:
            del found[self.max_length :]
        found.append(_END)
        return found


def normalized(text: bytes) -> bytes:
    """A text in lower case (ASCII letters), quotes taken out and punctuation set apart."""
    text = text.lower().replace(b'"', b"")
    for mark in _BLANK:
        text = text.replace(mark, b" ")
    for mark in _SET_APART:
        text = text.replace(mark, b" " + mark + b" ")
    return text


def labelled_texts(channel: InputChannel) -> Iterator[tuple[list[bytes], bytes]]:
    """The labels (with their prefix) and the text of each line of a channel that has a label.

    Each file has a form of its own: fastText's where its first line begins with a label, and else `label,text`, split
    at the first comma; where the first line begins with a quotation mark, all fields are quoted, and those after the
    first are joined.

    Raises:
        ClientError: no file, a damaged one, or a line without a label in front of a comma.
    """
    for path in channel.files():
        print(f"Processing {path} . File size: {path.stat().st_size / 2**20:.6g} MB")
        try:
            with _opened(path) as file:
                yield from _lines_of(channel, path, file)
        except (EOFError, gzip.BadGzipFile, zlib.error, csv.Error) as error:
            raise ClientError(f"channel {channel.name!r}: {path.name} is damaged: {error}") from error


def _opened(path: Path) -> BinaryIO:
    with path.open("rb") as file:
        packed = file.read(2) == _GZIP
    return gzip.open(path, "rb") if packed else path.open("rb")  # type: ignore[return-value]


def _lines_of(channel: InputChannel, path: Path, file: BinaryIO) -> Iterator[tuple[list[bytes], bytes]]:
    begin = len(BOM_UTF8) if file.read(len(BOM_UTF8)) == BOM_UTF8 else 0
    file.seek(begin)
    first = next((line for line in file if line.strip()), b"").lstrip()
    file.seek(begin)
    if first.startswith(_PREFIX):
        yield from _fasttext_lines(file)
    elif first.startswith(b'"'):
        yield from _quoted_rows(channel, path, file)
    else:
        yield from _comma_lines(channel, path, file)


def _fasttext_lines(file: BinaryIO) -> Iterator[tuple[list[bytes], bytes]]:
    for line in file:
        text, labels = line.replace(b"\0", b" "), []
        while text.lstrip().startswith(_PREFIX):
            label, *rest = text.split(None, 1)
            labels.append(label)
            text = rest[0] if rest else b""
        if _PREFIX in text:
            tokens = text.split()
            labels += [token for token in tokens if token.startswith(_PREFIX)]
            text = b" ".join(token for token in tokens if not token.startswith(_PREFIX))
        if labels:
            yield labels, text


def _comma_lines(channel: InputChannel, path: Path, file: BinaryIO) -> Iterator[tuple[list[bytes], bytes]]:
    for number, line in enumerate(file, 1):
        label, comma, text = line.partition(b",")
        if not comma and not line.strip():
            continue
        yield [_label(channel, path, number, label if comma else b"")], text


def _quoted_rows(channel: InputChannel, path: Path, file: BinaryIO) -> Iterator[tuple[list[bytes], bytes]]:
    csv.field_size_limit(2**31 - 1)
    # Bytes that are not UTF-8 come back as they were.
    text = (line.decode(errors="surrogateescape") for line in file)
    rows = csv.reader(text, strict=True)
    for row in rows:
        if row:
            yield [_label(channel, path, rows.line_num, _encoded(row[:1] if len(row) > 1 else []))], _encoded(row[1:])


def _encoded(fields: Sequence[str]) -> bytes:
    return " ".join(fields).encode(errors="surrogateescape")


def _label(channel: InputChannel, path: Path, number: int, field: bytes) -> bytes:
    words = field.split()
    if not words:
        raise ClientError(
            f"channel {channel.name!r}: line {number} of {path.name} has no label; a line is label,text, or fastText's"
            f" form with {LABEL_PREFIX} before each label."
        )
    name = b"_".join(words)  # a label is one token in all that reads the model
    return name if name.startswith(_PREFIX) else _PREFIX + name
