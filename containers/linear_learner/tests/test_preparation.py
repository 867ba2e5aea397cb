"""Preparation of raw tables, held against the real format of GDELT 1.0 where a sample of it is beside the checkout."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

SAMPLES = Path(__file__).resolve().parents[4] / "shared" / "data" / "gdelt"
real = pytest.mark.skipif(not SAMPLES.is_dir(), reason="needs the data set gdelt beside the checkout")


def prepare(base: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "linear_learner", "prepare", *words]
    environment = {"SAGEMAKER_BASE_DIR": str(base), "PATH": ""}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def event(code: str, tone: float, coordinates: tuple[float | str, ...], columns: int = 57, articles: int = 3) -> str:
    """A row of GDELT 1.0."""
    row = [""] * columns
    row[26], row[33], row[34] = code, f"{articles}", f"{tone}"
    row[39], row[40], row[46], row[47] = (f"{value}" for value in coordinates)
    return "\t".join(row) + "\n"


def tables(output: Path, name: str) -> tuple[np.ndarray, np.ndarray]:
    train, test = (np.loadtxt(output / part / f"{name}.csv", delimiter=",", ndmin=2) for part in ("train", "test"))
    return train, test


def test_years_become_objects_and_the_most_frequent_codes_columns(tmp_path: Path) -> None:
    source, output = tmp_path / "raw", tmp_path / "out"
    source.mkdir()
    here = (10.5, -20.0, 30.0, 40.25)
    rows = [event(code, tone, here) for tone, code in enumerate(["010"] * 50 + ["042"] * 40 + ["190"] * 5)]
    (source / "1979.csv").write_text("".join(rows) + event("010", 1, (0, 0, 30, 40)) + event("010", 1, (1, 2, "", "")))
    with zipfile.ZipFile(source / "20160728.export.CSV.zip", "w") as archive:
        archive.writestr("20160728.export.CSV", "".join(event("042", -2, here, 58, articles=9) for _ in range(30)))
    assert prepare(tmp_path, "gdelt", "--input", str(source), "--output", str(output), "--codes", "2").returncode == 0
    columns = json.loads((output / "columns.json").read_text())
    assert columns == [
        "AvgTone",
        "NumArticles",
        *("Actor1Geo_Lat", "Actor1Geo_Long", "Actor2Geo_Lat", "Actor2Geo_Long"),
        "EventCode_042",
        "EventCode_010",
    ]
    train, test = tables(output, "1979")
    whole = np.concatenate((train, test))
    assert len(whole) == 95, "events without coordinates are left out"
    assert 0 < len(test) < 30
    assert sorted(whole[:, 0]) == list(range(95))
    assert (whole[:, 1:6] == [3, *here]).all()
    order = np.argsort(whole[:, 0])
    assert whole[order, 6:].tolist() == [[0, 1]] * 50 + [[1, 0]] * 40 + [[0, 0]] * 5
    daily = np.concatenate(tables(output, "2016"))
    assert daily.shape == (30, 8)
    assert (daily[:, :2] == [-2, 9]).all()


@real
def test_both_of_gdelts_real_formats_are_read(tmp_path: Path) -> None:
    assert prepare(tmp_path, "gdelt", "--input", str(SAMPLES), "--output", str(tmp_path / "out")).returncode == 0
    assert len(json.loads((tmp_path / "out" / "columns.json").read_text())) == 26
    found = {path.name: np.loadtxt(path, delimiter=",", ndmin=2) for path in (tmp_path / "out").glob("t*/*.csv")}
    assert set(found) == {"1979.csv", "events.csv"}
    train, test = tables(tmp_path / "out", "events")
    whole = np.concatenate((train, test))
    assert whole.shape[1] == 26
    assert 100 < len(whole) < 710
    # By the file itself: rows whose four coordinates are there and are not zero.
    rows = [line.split("\t") for line in (SAMPLES / "events.sample.csv").read_text().splitlines()]
    kept = [row for row in rows if all(row[place] and float(row[place]) for place in (39, 40, 46, 47))]
    assert len(whole) == len(kept)
    assert np.sort(whole[:, 0]) == pytest.approx(np.sort([float(row[34]) for row in kept]))


def test_tables_of_numbers_are_split(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    table = np.arange(3000, dtype=np.float32).reshape(1000, 3)
    np.savetxt(tmp_path / "in" / "station.csv", table, "%g", ",")
    words = ["csv", "--input", str(tmp_path / "in"), "--output", str(tmp_path / "out"), "--test-share", "0.2"]
    assert prepare(tmp_path, *words).returncode == 0
    train, test = tables(tmp_path / "out", "station")
    assert 150 < len(test) < 250
    assert np.array_equal(np.sort(np.concatenate((train, test))[:, 0]), table[:, 0])


@pytest.mark.parametrize(
    ("content", "words", "sentence"),
    [
        ("1,2,3\n", ["gdelt"], "a.csv has 1 columns; GDELT 1.0's files have 57 or 58."),
        (event("1", 1, (0, 0, 0, 0)), ["gdelt"], "no event has both actors' coordinates"),
        (event("1", 1, ("north", 1, 1, 1)), ["gdelt"], "a.csv is not GDELT 1.0: "),
        ("1,x\n", ["csv"], "a.csv is not CSV of numbers: "),
        ("1,2\n", ["csv", "--test-share", "2"], "--test-share=2 is out of range; it must be between 0 and 1."),
    ],
)
def test_a_mistake_is_the_jobs_exit_message(tmp_path: Path, content: str, words: list[str], sentence: str) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.csv").write_text(content)
    found = prepare(tmp_path, *words, "--input", str(tmp_path / "in"), "--output", str(tmp_path / "out"))
    assert found.returncode == 1
    message = (tmp_path / "output" / "message").read_text()
    assert message.startswith("ClientError: ")
    assert sentence in message
