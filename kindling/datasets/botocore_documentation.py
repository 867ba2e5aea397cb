"""A corpus that nobody has to download: the English documentation of every AWS service inside the installed botocore.

The recipe: every `documentation` string of every service model; tags dropped, entities decoded, addresses dropped;
identifiers in camel case split into their words; lower-cased tokens of letters and digits that begin with a letter, so
that `s3` and `ec2` stay and numbers go. A line is a paragraph: lines of single sentences gave worse vectors (shorter
contexts). A paragraph that was seen before, word for word, is dropped: older versions of an API repeat its text.
"""

from __future__ import annotations

import gzip
import html
import json
import re
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

from kindling.datasets.files import whole

RECIPE = 1  # goes up with every change of what is written, so that no cache serves a former recipe's text

_FEWEST_WORDS = 3
_BLOCK = re.compile(
    r"</?(?:p|li|[uod]l|d[td]|br|div|pre|table|t[rdh]|h\d|note|important|caution|warning|tip|title|fullname|examples?)\b"
    r"[^>]*>",
    re.IGNORECASE,
)
_TAG = re.compile(r"<[^>]+>")
_ADDRESS = re.compile(r"\b[a-z][a-z0-9+.]*://\S+", re.IGNORECASE)
_CAMEL_SEAM = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_TOKEN = re.compile(r"[a-z][a-z0-9]*")


def build(cache: Path) -> Path:
    """The corpus of the installed botocore: about 4.5 M tokens, in a few seconds unless `cache` has it.

    The same botocore and recipe give the same bytes.
    """
    import botocore

    path = cache / f"botocore-{botocore.__version__}-recipe-{RECIPE}.txt"
    if not path.exists():
        models = sorted((Path(botocore.__file__).parent / "data").glob("*/*/service-2.json*"))
        with whole(path) as file:
            file.writelines(f"{paragraph}\n".encode() for paragraph in paragraphs(models))
    return path


def paragraphs(models: list[Path]) -> Iterator[str]:
    """The paragraphs of these service models, each once, as tokens separated by single spaces."""
    seen: set[str] = set()
    with ProcessPoolExecutor() as pool:
        for found in pool.map(_paragraphs_of_model, models, chunksize=4):
            for paragraph in found:
                if paragraph not in seen:
                    seen.add(paragraph)
                    yield paragraph


def _paragraphs_of_model(path: Path) -> list[str]:
    raw = path.read_bytes()
    model = json.loads(gzip.decompress(raw) if path.suffix == ".gz" else raw)
    found = {line: None for text in _documentation(model) for line in paragraphs_of_text(text)}
    return list(found)


def _documentation(model: Any) -> Iterator[str]:
    """Every `documentation` string at any depth, in the order of the file."""
    if isinstance(model, dict):
        for name, value in model.items():
            if name == "documentation" and isinstance(value, str):
                yield value
            else:
                yield from _documentation(value)
    elif isinstance(model, list):
        for value in model:
            yield from _documentation(value)


def paragraphs_of_text(marked_up: str) -> Iterator[str]:
    """The paragraphs of at least three tokens of one documentation string."""
    text = html.unescape(_TAG.sub("", _BLOCK.sub("\n", marked_up)))
    for paragraph in text.split("\n"):
        split = _CAMEL_SEAM.sub(" ", _ADDRESS.sub(" ", paragraph))
        tokens = _TOKEN.findall(split.lower())
        if len(tokens) >= _FEWEST_WORDS:
            yield " ".join(tokens)
