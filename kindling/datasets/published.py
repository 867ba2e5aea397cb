"""Public data sets: downloaded from their publishers, and laid out in folders for the algorithms' channels."""

from __future__ import annotations

import csv
import gzip
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from kindling.datasets.downloads import fetch
from kindling.errors import UserError

Fetched = Callable[[str], Path]
"""The local file of what lies at a path below a data set's address."""

_INSTEAD = "bring a folder of your own with the same files"


class OtherDataError(Exception):
    """What was sent is not the data set."""


_DAMAGE = (
    *(OtherDataError, KeyError, EOFError, ValueError, csv.Error),
    *(gzip.BadGzipFile, tarfile.TarError, zipfile.BadZipFile, zlib.error),
)


@dataclass(frozen=True)
class DataSet:
    """A data set below the address `base`; `make` writes its parts into a folder, and counts each one's `units`.

    `of_years` gives the same for other years, where it is a set of years.
    """

    name: str
    doc: str
    base: str
    units: str
    make: Callable[[Fetched, Path], dict[str, int]]
    of_years: Callable[[range], DataSet] | None = None

    def get(self, folder: Path, base: str | None = None) -> dict[str, int]:
        """Download the data set into a folder; how much each of its parts holds.

        Args:
            base: another address to download from, which has the same files.
        Raises:
            UserError: no network, or what came is not the data set.
        """
        base = base or self.base
        with tempfile.TemporaryDirectory() as scratch:

            def fetched(path: str) -> Path:
                local = Path(scratch) / path
                with local.open("wb") as file:
                    fetch(f"{base}/{path}", file, self.name, _INSTEAD)
                return local

            try:
                return self.make(fetched, folder)
            except _DAMAGE:
                raise UserError(f"what {base} sent is not {self.name}; try again later, or {_INSTEAD}.") from None
