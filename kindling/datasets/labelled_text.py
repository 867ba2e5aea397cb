"""Labelled texts: public data sets of text classification (Zhang, Zhao and LeCun 2015), in fastText's form.

A data set becomes the folders train, validation and test, each with one file of lines `__label__NAME text`. The
publishers' rows are CSV: the number of a class, and one field or more of text. Validation is every 20th row of their
training data. Text stays as it is, but for line breaks: normalising is the training job's (`normalize=True`).
"""

from __future__ import annotations

import csv
import io
import tarfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from kindling.datasets.files import whole
from kindling.datasets.published import DataSet, Fetched, OtherDataError

_BASE = "https://s3.amazonaws.com/fast-ai-nlp"
_EVERY = 20
_SENTIMENTS = ("negative", "positive")
_NEWS = ("World", "Sports", "Business", "Sci/Tech")
_ONTOLOGY = (
    *("Company", "EducationalInstitution", "Artist", "Athlete", "OfficeHolder", "MeanOfTransportation", "Building"),
    *("NaturalPlace", "Village", "Animal", "Plant", "Album", "Film", "WrittenWork"),
)


def _make(archive: str, classes: Sequence[str], fetched: Fetched, folder: Path) -> dict[str, int]:
    counts = dict.fromkeys(("train", "validation", "test"), 0)
    with tarfile.open(fetched(f"{archive}.tgz"), mode="r:gz") as packed, ExitStack() as stack:
        files = {part: stack.enter_context(whole(folder / part / f"{part}.txt")) for part in counts}
        for member in ("train", "test"):
            for number, line in enumerate(_lines(packed, f"{archive}/{member}.csv", classes), 1):
                part = "validation" if member == "train" and number % _EVERY == 0 else member
                files[part].write(line.encode())
                counts[part] += 1
        if not all(counts.values()):
            raise OtherDataError
    return counts


def _lines(packed: tarfile.TarFile, path: str, classes: Sequence[str]) -> Iterator[str]:
    file = packed.extractfile(path)
    if file is None:
        raise OtherDataError
    for number, *fields in csv.reader(io.TextIOWrapper(file, encoding="utf-8", newline="")):
        if not fields or not 1 <= int(number) <= len(classes):
            raise OtherDataError
        # Yelp's rows have two characters for a line break.
        text = " ".join(" ".join(fields).replace("\\n", " ").split())
        yield f"__label__{classes[int(number) - 1]} {text}\n"


DATA_SETS = tuple(
    DataSet(name, doc, _BASE, "texts", partial(_make, archive, classes))
    for name, doc, archive, classes in (
        ("ag-news", "news in four classes, 120,000 texts to train on", "ag_news_csv", _NEWS),
        (
            "dbpedia",
            "Wikipedia's first paragraphs, fourteen classes, 560,000 texts (CC BY-SA)",
            "dbpedia_csv",
            _ONTOLOGY,
        ),
        ("yelp-polarity", "reviews, negative or positive, 560,000 texts", "yelp_review_polarity_csv", _SENTIMENTS),
    )
)
