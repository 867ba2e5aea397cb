"""Which corpus a name stands for."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from kindling.datasets import botocore_documentation, text8
from kindling.errors import UserError

# Words whose neighbours anyone can judge, by corpus. For a file of the user's own the vocabulary has to say.
_TELLING_WORDS = {"botocore": ("instance", "queue", "role"), "text8": ("king", "computer", "music")}


@dataclass(frozen=True)
class Corpus:
    """A text file: tokens separated by white space, a newline wherever a context must not go on."""

    name: str
    path: Path
    telling_words: tuple[str, ...] = ()


def find(name: str, cache: Path) -> Corpus:
    """The corpus `botocore` or `text8`, made or downloaded into `cache` unless it is there; or the file of that path.

    Raises:
        UserError: no such file, or no network for a corpus that has to be downloaded.
    """
    if name == "botocore":
        path = botocore_documentation.build(cache)
    elif name == "text8":
        path = text8.download(cache)
    else:
        return Corpus(name=Path(name).stem, path=_own_file(name))
    return Corpus(name=name, path=path, telling_words=_TELLING_WORDS[name])


def _own_file(name: str) -> Path:
    path = Path(name).expanduser()
    if path.is_dir():
        raise UserError(f"the corpus {name} is a folder; name a text file, or botocore or text8.")
    if not path.is_file():
        raise UserError(f"the corpus {name} was not found; name a text file, or botocore or text8.")
    return path
