"""The corpus of a benchmark in the forms that the programs want."""

from __future__ import annotations

import hashlib
import lzma
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from kindling import datasets
from kindling.datasets.files import whole
from kindling.environments import ROOT

_PACKED = ROOT.parent / "shared" / "data" / "text8like" / "text8like.xz"
_BLOCK = 1 << 20

# gensim cuts longer sentences anyway. Its workers begin at the ends of lines, so that in a corpus of a single line all
# of them would train the same first part and nobody the rest.
_LINE_TOKENS = 10_000


@dataclass(frozen=True)
class Corpus:
    """A corpus of `tokens` tokens.

    Attributes:
        path: as it came.
        lines: the same tokens, 10,000 a line.
        digest: SHA-256 of the tokens.
    """

    name: str
    path: Path
    lines: Path
    tokens: int
    digest: str


def prepare(name: str | None, tokens: int | None, folder: Path) -> Corpus:
    """The corpus of that name or path, or its first `tokens` tokens, with what is made of it in `folder`.

    Without a name it is text8-like text of Wikipedia's where that lies beside the repository, else text8.

    Raises:
        UserError: there is no such corpus, or it cannot be downloaded.
    """
    source = _unpack(folder) if name is None and _PACKED.exists() else datasets.find(name or "text8", folder).path
    path, lines = folder / f"{source.stem}.{tokens or 'whole'}", folder / f"{source.stem}.{tokens or 'whole'}.lines"
    digest, count = hashlib.sha256(), 0
    with whole(lines) as broken:
        for line in _lines(source, tokens):
            count += len(line)
            text = b" ".join(line) + b"\n"
            digest.update(text)
            broken.write(text)
    if tokens is None:
        path = source
    else:
        with whole(path) as part:
            part.writelines(b" ".join(line) + b" " for line in _lines(source, tokens))
    return Corpus(source.stem, path, lines, count, digest.hexdigest())


def _unpack(folder: Path) -> Path:
    path = folder / _PACKED.stem
    if not path.exists():
        with lzma.open(_PACKED) as packed, whole(path) as unpacked:
            shutil.copyfileobj(packed, unpacked)
    return path


def _lines(path: Path, tokens: int | None) -> Iterator[list[bytes]]:
    """The first tokens of a file, 10,000 at a time; a token may span blocks."""
    line: list[bytes] = []
    left = tokens
    for token in _tokens(path):
        if left == 0:
            break
        left = None if left is None else left - 1
        line.append(token)
        if len(line) == _LINE_TOKENS:
            yield line
            line = []
    if line:
        yield line


def _tokens(path: Path) -> Iterator[bytes]:
    rest = b""
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            text = rest + block
            found = text.split()
            rest = found.pop() if found and not text[-1:].isspace() else b""
            yield from found
    if rest:
        yield rest
