"""German-English sentence pairs: public data sets, downloaded and laid out as the translator's channels want them.

A data set becomes the folders train, dev and test, each with a file of every language: `train/train.de`,
`train/train.en` and so on, one sentence a line. Text stays as it is: tokenising is the training job's.
"""

from __future__ import annotations

import gzip
import html
import re
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from kindling.datasets.files import whole
from kindling.datasets.published import DataSet, Fetched, OtherDataError

LANGUAGES = ("de", "en")
_HELD_OUT = 5_000  # of Tatoeba's sentences for each of dev and test
Pairs = Iterator[tuple[str, str]]


def _make(read: Callable[[Fetched], Iterator[tuple[str, Pairs]]], fetched: Fetched, folder: Path) -> dict[str, int]:
    return {part: _write(folder / part, part, pairs) for part, pairs in read(fetched)}


def _write(folder: Path, part: str, pairs: Pairs) -> int:
    count = 0
    with whole(folder / f"{part}.{LANGUAGES[0]}") as first, whole(folder / f"{part}.{LANGUAGES[1]}") as second:
        for pair in pairs:
            for file, sentence in zip((first, second), pair, strict=True):
                file.write(f"{' '.join(sentence.split())}\n".encode())
            count += 1
        if not count:
            raise OtherDataError
    return count


def _multi30k(fetched: Fetched) -> Iterator[tuple[str, Pairs]]:
    for part, name in (("train", "train"), ("dev", "val"), ("test", "test_2016_flickr")):
        texts = [gzip.decompress(fetched(f"{name}.{language}.gz").read_bytes()).decode() for language in LANGUAGES]
        yield part, _zipped(*(text.split("\n")[:-1] for text in texts))


def _tatoeba(fetched: Fetched) -> Iterator[tuple[str, Pairs]]:
    """No sentence of either language is in two parts; the pairs of dev and test are taken at even distances."""
    with zipfile.ZipFile(fetched("de-en.txt.zip")) as archive:
        texts = [archive.read(f"Tatoeba.de-en.{language}").decode() for language in LANGUAGES]
    pairs = list(dict.fromkeys(_zipped(*(text.split("\n")[:-1] for text in texts))))
    held_out = min(_HELD_OUT, len(pairs) // 20)
    step = max(1, len(pairs) // max(1, 2 * held_out))
    chosen = pairs[::step][: 2 * held_out]
    parts: dict[str, list[tuple[str, str]]] = {"test": chosen[0::2], "dev": chosen[1::2]}
    seen: set[str] = set()
    for part in ("test", "dev"):
        parts[part] = [pair for pair in parts[part] if seen.isdisjoint(pair)]
        seen |= {sentence for pair in parts[part] for sentence in pair}
    yield "train", (pair for pair in pairs if seen.isdisjoint(pair))
    yield "dev", iter(parts["dev"])
    yield "test", iter(parts["test"])


# As fairseq's recipe for IWSLT'14 has it: every 23rd sentence validates, four years' sets are the test.
_EVERY = 23
_TEST_SETS = ("dev2010", "dev2012", "tst2010", "tst2011", "tst2012")
_ABOUT = re.compile(r"<(url|talkid|keywords|speaker|reviewer|translator|/?doc|/?transcript|/?refset)\b")
_TAG = re.compile(r"</?(title|description)>")
_SEGMENT = re.compile(r"<seg id=\"\d+\">(.*?)</seg>", re.DOTALL)


def _iwslt14(fetched: Fetched) -> Iterator[tuple[str, Pairs]]:
    with tarfile.open(fetched("de-en.tgz"), mode="r:gz") as archive:
        texts = {Path(one.name).name: one for one in archive.getmembers() if one.isfile()}

        def text(name: str) -> str:
            file = archive.extractfile(texts[name])
            assert file is not None
            return file.read().decode()

        tagged = [
            [
                _TAG.sub("", line).strip()
                for line in text(f"train.tags.de-en.{one}").split("\n")
                if not _ABOUT.match(line)
            ]
            for one in LANGUAGES
        ]
        pairs = [pair for pair in _zipped(*tagged) if all(pair)]
        tests = []
        for name in _TEST_SETS:
            kind = "TEDX" if name == "dev2012" else "TED"
            segments = [
                [
                    html.unescape(one.strip())
                    for one in _SEGMENT.findall(text(f"IWSLT14.{kind}.{name}.de-en.{language}.xml"))
                ]
                for language in LANGUAGES
            ]
            tests += list(_zipped(*segments))
    yield "train", (pair for number, pair in enumerate(pairs, 1) if number % _EVERY)
    yield "dev", (pair for number, pair in enumerate(pairs, 1) if number % _EVERY == 0)
    yield "test", iter(tests)


def _zipped(first: list[str], second: list[str]) -> Pairs:
    if len(first) != len(second):
        raise OtherDataError
    return zip(first, second, strict=True)


DATA_SETS = tuple(
    DataSet(name, doc, base, "sentence pairs", partial(_make, read))
    for name, doc, base, read in (
        (
            "iwslt14",
            "TED talks of IWSLT 2014, German-English, 160,000 sentences",
            "https://dl.fbaipublicfiles.com/fairseq/data/iwslt14",
            _iwslt14,
        ),
        (
            "multi30k",
            "captions of pictures, German-English, 29,000 sentences",
            "https://raw.githubusercontent.com/multi30k/dataset/master/data/task1/raw",
            _multi30k,
        ),
        (
            "tatoeba",
            "short sentences of the Tatoeba project, German-English, some 300,000 (CC BY 2.0 FR)",
            "https://object.pouta.csc.fi/OPUS-Tatoeba/v2023-04-12/moses",
            _tatoeba,
        ),
    )
)
