"""The labelled text of a channel: as plain files, as a corpus, and line by line."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from blazingtext._engine import Corpus, CorpusPart
from blazingtext.augmented_manifest import write_lines
from blazingtext.packed import unpack
from contract.channels import InputChannel
from contract.errors import ClientError
from contract.text_classification import LABEL_PREFIX, SEPARATORS

_LINES_AT_A_TIME = 10_000


@contextmanager
def files_of(channel: InputChannel, threads: int) -> Iterator[list[Path]]:
    """The channel's text as plain files, unpacked, or written out of a pipe of records, while the block runs.

    Raises:
        ClientError: no files, or damaged ones.
    """
    with TemporaryDirectory(prefix="unpacked-") as scratch:
        if channel.input_mode == "Pipe":
            yield [write_lines(channel, Path(scratch))]
            return
        files = channel.files()
        for path in files:
            print(f"Processing {path} . File size: {path.stat().st_size / 2**20} MB")
        yield unpack(channel, files, Path(scratch), threads)


@contextmanager
def text_of(channel: InputChannel, threads: int, words: list[str] | None = None) -> Iterator[Corpus]:
    """All words of a channel, and further ones, while the block runs.

    Raises:
        ClientError: as `files_of`, and bytes that are not UTF-8.
    """
    with files_of(channel, threads) as paths:
        try:
            corpus = CorpusPart([str(path) for path in paths], threads, 0, 1).encode(0, threads, [], words or [])
        except ValueError as error:
            found = str(error)
            for path in paths:
                found = found.replace(f"{path.parent}/", "")
            raise ClientError(f"channel {channel.name!r}: {found}") from error
        yield corpus


def labelled_lines(paths: Sequence[Path]) -> Iterator[tuple[list[str], list[list[str]]]]:
    """The lines that have labels, many at a time: their text without the labels, and their labels."""
    texts: list[str] = []
    labels: list[list[str]] = []
    for path in paths:
        with path.open(encoding="utf-8", errors="replace", newline="\n") as lines:
            for line in lines:
                tokens = [token for token in SEPARATORS.split(line) if token]
                found = [token for token in tokens if token.startswith(LABEL_PREFIX)]
                if not found:
                    continue
                texts.append(" ".join(token for token in tokens if not token.startswith(LABEL_PREFIX)))
                labels.append(found)
                if len(texts) == _LINES_AT_A_TIME:
                    yield texts, labels
                    texts, labels = [], []
    if texts:
        yield texts, labels
