"""GDELT 1.0 events to labelled vectors: the tone of an event's articles, told by where, what and how often.

Rows are tab-separated without a header: 57 columns in the files of a year or month, 58 (with SOURCEURL) in those of a
day (The GDELT Event Database, Data Format Codebook V1.03). Of them are taken EventCode, NumArticles, AvgTone and both
actors' coordinates; an event without all four coordinates, or with one of zero, is left out. A vector is the label,
AvgTone, then NumArticles, the coordinates, and for each of the most frequent event codes 1 or 0.
"""

from __future__ import annotations

import io
import logging
import zipfile
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyarrow import csv

from contract.errors import ClientError

logger = logging.getLogger(__name__)

CODES = 20
LABEL = "AvgTone"
NUMBERS = ("NumArticles", "Actor1Geo_Lat", "Actor1Geo_Long", "Actor2Geo_Lat", "Actor2Geo_Long")

_PLACES = {
    "EventCode": 26,
    "NumArticles": 33,
    "AvgTone": 34,
    "Actor1Geo_Lat": 39,
    "Actor1Geo_Long": 40,
    "Actor2Geo_Lat": 46,
    "Actor2Geo_Long": 47,
}
_WIDTHS = (57, 58)
_BLOCK_BYTES = 16 * 2**20


def frequent_codes(paths: Sequence[Path], count: int = CODES) -> list[str]:
    """The most frequent event codes of the events that are kept, the most frequent first, and of equals the lower.

    Raises:
        ClientError: a file is not GDELT's, or no event is kept.
    """
    counts: Counter[str] = Counter()
    for path in paths:
        for codes, _ in events(path):
            counts.update(codes.tolist())
    if not counts:
        raise ClientError("no event has both actors' coordinates; check that the files are GDELT 1.0 events.")
    return sorted(counts, key=lambda code: (-counts[code], code))[:count]


def vectors(path: Path, codes: Sequence[str]) -> Iterator[NDArray[np.float64]]:
    """The vectors of a file, some at a time, shape (n, 1 + 5 + len(codes)).

    Raises:
        ClientError: the file is not GDELT's.
    """
    for found, numbers in events(path):
        yield np.column_stack((numbers, found[:, None] == np.array(codes, found.dtype)[None, :]))


def columns(codes: Sequence[str]) -> list[str]:
    """What the numbers of a vector are, the label first."""
    return [LABEL, *NUMBERS, *(f"EventCode_{code}" for code in codes)]


def events(path: Path) -> Iterator[tuple[NDArray[np.str_], NDArray[np.float64]]]:
    """The event codes and the numbers (label first, shape (n, 6)) of the events that are kept.

    Raises:
        ClientError: the file is not GDELT's; a zip must hold one such file.
    """
    with _opened(path) as stream:
        width = stream.peek(2**16).partition(b"\n")[0].count(b"\t") + 1  # type: ignore[attr-defined]
        if width not in _WIDTHS:
            raise ClientError(f"{path.name} has {width} columns; GDELT 1.0's files have {_WIDTHS[0]} or {_WIDTHS[1]}.")
        others: dict[int, list[str]] = {}
        try:
            yield from _parsed(stream, width, others)
            (other,) = set(_WIDTHS) - {width}
            if rest := others.pop(other, []):  # files of both kinds, one after the other
                yield from _parsed(io.BytesIO("\n".join(rest).encode()), other, others)
        except pa.ArrowInvalid as error:
            raise ClientError(f"{path.name} is not GDELT 1.0: {str(error).splitlines()[0].rstrip('.')}.") from None
    if others:
        logger.warning("%s: %d rows of another width were left out.", path.name, sum(map(len, others.values())))


def _parsed(
    stream: BinaryIO, width: int, others: dict[int, list[str]]
) -> Iterator[tuple[NDArray[np.str_], NDArray[np.float64]]]:
    """The events of rows of a width that are kept; rows of another width go to `others`."""

    def put_aside(row: csv.InvalidRow) -> str:
        others.setdefault(row.actual_columns, []).append(row.text)
        return "skip"

    types = {name: pa.float64() for name in (LABEL, *NUMBERS)}
    reader = csv.open_csv(
        stream,
        csv.ReadOptions(column_names=_names(width), block_size=_BLOCK_BYTES),
        csv.ParseOptions(delimiter="\t", quote_char=False, invalid_row_handler=put_aside),
        csv.ConvertOptions(include_columns=["EventCode", *types], column_types={**types, "EventCode": pa.string()}),
    )
    for batch in reader:
        kept = _kept(batch)
        if len(kept[0]):
            yield kept


def _names(width: int) -> list[str]:
    by_place = {place: name for name, place in _PLACES.items()}
    return [by_place.get(place, f"{place}") for place in range(width)]


def _kept(batch: pa.RecordBatch) -> tuple[NDArray[np.str_], NDArray[np.float64]]:
    numbers = np.column_stack([batch[name].to_numpy(zero_copy_only=False) for name in (LABEL, *NUMBERS)])
    coordinates = numbers[:, 2:]
    kept = np.isfinite(numbers).all(axis=1) & (coordinates != 0).all(axis=1)
    codes = np.array(batch["EventCode"].to_pylist(), dtype=np.str_)
    return codes[kept], numbers[kept].astype(np.float64)


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    """A file, or the one that a zip holds."""
    if not zipfile.is_zipfile(path):
        with path.open("rb") as file:
            yield file
        return
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
        if len(names) != 1:
            raise ClientError(f"{path.name} holds {len(names)} files; GDELT's archives hold one.")
        with archive.open(names[0]) as stream:
            yield io.BufferedReader(stream)  # type: ignore[type-var]
