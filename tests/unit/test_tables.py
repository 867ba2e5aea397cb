"""Public tables of numbers, from archives that are built as their publishers' are."""

from __future__ import annotations

import hashlib
import io
import zipfile
from pathlib import Path

import pytest

from kindling.cli.data import data_sets, get
from kindling.errors import UserError


def event(code: str, tone: float, columns: int) -> str:
    row = [""] * columns
    row[26], row[33], row[34] = code, "3", f"{tone}"
    row[39] = row[40] = row[46] = row[47] = "10.5"
    return "\t".join(row) + "\n"


def packed(**members: str) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name, text in members.items():
            archive.writestr(name, text)
    return content.getvalue()


def publish(served: Path, **archives: bytes) -> None:
    sums = ""
    for name, content in archives.items():
        (served / name).write_bytes(content)
        sums += f"{hashlib.md5(content, usedforsecurity=False).hexdigest()}  {name}\n"
    (served / "md5sums").write_text(sums + "0  GDELT.MASTERREDUCEDV2.1979-2013.zip\n0  readme.txt\n")


def rows(folder: Path, name: str) -> list[list[str]]:
    texts = [(folder / part / f"{name}.csv").read_text() for part in ("train", "test")]
    return [line.split(",") for line in "".join(texts).splitlines()]


def test_years_are_chosen_and_become_an_object_each(served: Path, server: str, tmp_path: Path) -> None:
    publish(
        served,
        **{
            "1979.zip": packed(**{"1979.csv": "".join(event("010", tone, 57) for tone in range(50))}),
            "1980.zip": packed(**{"1980.csv": event("042", 1, 57)}),
            "198101.zip": packed(**{"198101.csv": "".join(event("042", tone, 57) for tone in range(30))}),
            "19811231.export.CSV.zip": packed(**{"a.CSV": "".join(event("010", tone, 58) for tone in range(30))}),
            "1990.zip": b"not wanted",
        },
    )
    get("gdelt", tmp_path / "made", "1979-1981", server)
    assert sorted(path.name for path in (tmp_path / "made" / "train").iterdir()) == ["1979.csv", "1980.csv", "1981.csv"]
    assert len(rows(tmp_path / "made", "1979")) == 50
    assert len(rows(tmp_path / "made", "1981")) == 60
    assert {len(row) for row in rows(tmp_path / "made", "1981")} == {8}, "two codes are all that there are"


def test_an_archive_with_another_checksum_is_refused(served: Path, server: str, tmp_path: Path) -> None:
    publish(served, **{"1979.zip": packed(**{"1979.csv": event("010", 1, 57)})})
    (served / "1979.zip").write_bytes(packed(**{"1979.csv": event("010", 2, 57)}))
    with pytest.raises(UserError, match="is not gdelt; try again later"):
        get("gdelt", tmp_path / "made", "1979", server)


@pytest.mark.parametrize(
    ("name", "years", "sentence"),
    [
        ("gdelt", "1950-1960", "--years must be such as 1979-1985, from 1979 on."),
        ("gdelt", "1985-1979", "--years must be such as 1979-1985, from 1979 on."),
        ("gdelt", "last", "--years last is not valid; it must be such as 1979-1985."),
        ("beijing-air", "2013", "beijing-air is no data set of years; leave out --years."),
    ],
)
def test_years_that_cannot_be_are_refused(tmp_path: Path, name: str, years: str, sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        get(name, tmp_path, years)


def test_hours_of_which_something_is_missing_are_left_out(served: Path, server: str, tmp_path: Path) -> None:
    header = "No,year,month,day,hour,PM2.5,PM10,SO2,NO2,CO,O3,TEMP,PRES,DEWP,RAIN,wd,WSPM,station\n"
    hours = "".join(f"{n},2013,3,1,{n},{n},4,4,7,300,77,-0.7,1023,-18.8,0,NA,4.4,Tiantan\n" for n in range(20))
    missing = "21,2013,3,1,1,NA,4,4,7,300,77,-0.7,1023,-18.8,0,NNW,4.4,Tiantan\n"
    name = "PRSA_Data_20130301-20170228/PRSA_Data_Tiantan_20130301-20170228.csv"
    inner = packed(**{name: header + hours + missing})
    outer = io.BytesIO()
    with zipfile.ZipFile(outer, "w") as archive:
        archive.writestr("PRSA2017_Data_20130301-20170228.zip", inner)
    (served / "beijing+multi+site+air+quality+data.zip").write_bytes(outer.getvalue())
    counts = data_sets()["beijing-air"].get(tmp_path / "made", server)
    assert sum(counts.values()) == 20
    found = sorted(rows(tmp_path / "made", "Tiantan"), key=lambda row: float(row[0]))
    assert found[7] == ["7", "2013", "3", "1", "7", "4", "4", "7", "300", "77", "-0.7", "1023", "-18.8", "0", "4.4"]
