"""Raw tables to CSV to train and to test on, as a SageMaker Processing job, or by hand.

`python -m linear_learner prepare gdelt|csv --input DIR --output DIR [--test-share 0.1] [--codes 20] [--seed 1]`

`gdelt` takes files of GDELT 1.0 (gdelt.py), `csv` tables of numbers with the label first. Each row goes to OUTPUT/train
or OUTPUT/test at random; both hold one file for each year that the inputs' names begin with, or else for each input. Of
`gdelt`, OUTPUT/columns.json says what the columns are. The job runs on one host: the most frequent codes are those of
all files.
"""

from __future__ import annotations

import argparse
import json
import logging
import re
import zlib
from collections.abc import Sequence
from contextlib import ExitStack
from itertools import groupby
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyarrow import csv

from contract.channels import InputChannel
from contract.errors import ClientError
from contract.processing import run_processing
from linear_learner import gdelt
from linear_learner.vectors import csv_tables

logger = logging.getLogger(__name__)

PARTS = ("train", "test")

_YEAR = re.compile(r"((?:19|20)\d\d)")


def main(words: Sequence[str]) -> int:
    """Prepare as the arguments say; the exit code."""
    return run_processing(lambda _paths: _prepare(_parsed(words)))


def _parsed(words: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="linear_learner prepare", description=__doc__)
    parser.add_argument("kind", choices=["gdelt", "csv"])
    parser.add_argument("--input", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--test-share", type=float, default=0.1)
    parser.add_argument("--codes", type=int, default=gdelt.CODES)
    parser.add_argument("--seed", type=int, default=1)
    return parser.parse_args(words)


def _prepare(arguments: argparse.Namespace) -> None:
    if not 0 < arguments.test_share < 1:
        raise ClientError(f"--test-share={arguments.test_share:g} is out of range; it must be between 0 and 1.")
    if arguments.codes < 1:
        raise ClientError(f"--codes={arguments.codes} is out of range; it must be at least 1.")
    files = InputChannel("input", arguments.input).files()
    codes = gdelt.frequent_codes(files, arguments.codes) if arguments.kind == "gdelt" else []
    for part in PARTS:
        (arguments.output / part).mkdir(parents=True, exist_ok=True)
    if codes:
        (arguments.output / "columns.json").write_text(json.dumps(gdelt.columns(codes)), encoding="utf-8")
    for name, group in groupby(sorted(files, key=_object_name), _object_name):
        counts = dict.fromkeys(PARTS, 0)
        draw = np.random.default_rng((arguments.seed, zlib.crc32(name.encode())))
        with ExitStack() as stack:
            outputs = {
                part: stack.enter_context((arguments.output / part / f"{name}.csv").open("wb")) for part in PARTS
            }
            for path in group:
                for table in gdelt.vectors(path, codes) if codes else csv_tables(path):
                    chosen = draw.random(len(table)) < arguments.test_share
                    for part, rows in (("train", table[~chosen]), ("test", table[chosen])):
                        _write(outputs[part], rows)
                        counts[part] += len(rows)
        logger.info("%s: %d rows to train on, %d to test on.", name, counts["train"], counts["test"])


def _object_name(path: Path) -> str:
    """The year that a file's name begins with, or the name without its ending."""
    found = _YEAR.match(path.name)
    return found[1] if found else path.name.partition(".")[0]


def _write(file: BinaryIO, rows: NDArray[np.float32] | NDArray[np.float64]) -> None:
    """Append rows, float32 in the fewest digits that give them again, whole numbers without a point."""
    columns = [pa.array(column.astype(np.float32)) for column in rows.T]
    table = pa.table(columns, names=[f"{number}" for number in range(len(columns))])
    csv.write_csv(table, file, csv.WriteOptions(include_header=False))
