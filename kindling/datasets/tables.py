"""Tables of numbers for Linear Learner: GDELT's events and Beijing's air, each an object a year or a station.

A data set becomes the folders train and test of CSV files, the label first and no header. The rows are made and split
by the very program that a Processing job runs (`python -m linear_learner prepare`), in the algorithm's environment.
"""

from __future__ import annotations

import csv
import hashlib
import io
import subprocess
import zipfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from kindling.datasets.published import DataSet, Fetched, OtherDataError
from kindling.environments import python_of
from kindling.errors import UserError

_ALGORITHM = "linear_learner"
_PARTS = ("train", "test")

_GDELT = "http://data.gdeltproject.org/events"
_SUMS = "md5sums"
_FIRST_YEAR, _DEFAULT_YEARS = 1979, range(1979, 1984)

_AIR = "https://archive.ics.uci.edu/static/public/501"
_AIR_ARCHIVE = "beijing+multi+site+air+quality+data.zip"
_COLUMNS = (
    "PM2.5",
    *("year", "month", "day", "hour", "PM10", "SO2", "NO2", "CO", "O3", "TEMP", "PRES", "DEWP", "RAIN", "WSPM"),
)
_MISSING = "NA"


def gdelt(years: range = _DEFAULT_YEARS) -> DataSet:
    """Events of these years: the tone of what was written, told by where, what and how often (gdelt.py).

    Raises:
        UserError: years before the first.
    """
    if not years or years[0] < _FIRST_YEAR:
        raise UserError(f"--years must be such as 1979-1985, from {_FIRST_YEAR} on.")
    usual = f"{_DEFAULT_YEARS[0]}-{_DEFAULT_YEARS[-1]}"
    doc = f"GDELT 1.0 events of --years ({usual} unless given), an object a year: the tone of what was written on them"
    return DataSet("gdelt", doc, _GDELT, "events", partial(_make_gdelt, years), gdelt)


def _make_gdelt(years: range, fetched: Fetched, folder: Path) -> dict[str, int]:
    sums = dict(_listed(fetched(_SUMS).read_text(encoding="utf-8")))
    names = [name for name in sorted(sums) if name[:4].isdecimal() and int(name[:4]) in years]
    if not names:
        raise OtherDataError
    with TemporaryDirectory() as scratch:
        for name in names:
            path = fetched(name)
            if hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest() != sums[name]:
                raise OtherDataError
            path.rename(Path(scratch) / name)
        return _prepared("gdelt", Path(scratch), folder)


def _listed(text: str) -> Iterator[tuple[str, str]]:
    """The names of archives and their checksums."""
    for line in text.splitlines():
        checksum, _, name = line.partition("  ")
        if name.strip().lower().endswith(".zip"):
            yield name.strip(), checksum.strip()


def _make_air(fetched: Fetched, folder: Path) -> dict[str, int]:
    with zipfile.ZipFile(fetched(_AIR_ARCHIVE)) as outer, TemporaryDirectory() as scratch:
        (inner,) = (name for name in outer.namelist() if name.endswith(".zip"))
        with zipfile.ZipFile(io.BytesIO(outer.read(inner))) as archive:
            for name in archive.namelist():
                if name.endswith(".csv"):
                    station = Path(name).stem.split("_")[2]
                    rows = _station(archive.read(name).decode())
                    (Path(scratch) / f"{station}.csv").write_text("".join(rows), encoding="ascii")
        return _prepared("csv", Path(scratch), folder)


def _station(text: str) -> Iterator[str]:
    """A station's hours of which nothing is missing."""
    for row in csv.DictReader(io.StringIO(text)):
        values = [row[column] for column in _COLUMNS]
        if _MISSING not in values:
            yield ",".join(f"{float(value):g}" for value in values) + "\n"


def _prepared(kind: str, source: Path, folder: Path) -> dict[str, int]:
    """Run the preparation; the rows of each part."""
    command = [str(python_of(_ALGORITHM)), "-m", _ALGORITHM, "prepare", kind]
    done = subprocess.run(
        [*command, "--input", str(source), "--output", str(folder)],
        env={"SAGEMAKER_BASE_DIR": str(source / ".base")},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise OtherDataError(done.stdout)
    return {part: sum(_lines(path) for path in (folder / part).iterdir()) for part in _PARTS}


def _lines(path: Path) -> int:
    with path.open("rb") as file:
        return sum(1 for _ in file)


DATA_SETS = (
    gdelt(),
    DataSet(
        "beijing-air",
        "hourly air quality of twelve stations in Beijing, an object a station: PM2.5 by other measures (CC BY 4.0)",
        _AIR,
        "hours",
        _make_air,
    ),
)
