"""text8: the first 100 MB of cleaned English Wikipedia text of 2006, the standard corpus of word vectors.

http://mattmahoney.net/dc/textdata.html
"""

from __future__ import annotations

import hashlib
import tempfile
import zipfile
from pathlib import Path
from typing import BinaryIO

from kindling.datasets.downloads import fetch
from kindling.datasets.files import whole
from kindling.errors import UserError

URL = "http://mattmahoney.net/dc/text8.zip"
MD5 = "3bea1919949baf155f99411df5fada7e"  # of the unpacked file; the archive comes over plain HTTP

_CHUNK = 1 << 20


def download(cache: Path, url: str = URL, md5: str = MD5) -> Path:
    """The text8 file, downloaded into `cache` unless it is there.

    Raises:
        UserError: it could not be downloaded, or what came is not text8.
    """
    path = cache / "text8"
    if not path.exists():
        with tempfile.TemporaryFile() as archive:
            fetch(url, archive, "text8", "use the botocore corpus, which needs no network, or pass a file's path")
            try:
                _unpack(archive, path, md5)
            except (zipfile.BadZipFile, KeyError, _OtherTextError):
                raise UserError(f"what {url} sent is not text8; try again later, or pass a file's path.") from None
    return path


class _OtherTextError(Exception):
    """The archive holds another text."""


def _unpack(archive: BinaryIO, path: Path, md5: str) -> None:
    digest = hashlib.md5(usedforsecurity=False)
    with zipfile.ZipFile(archive) as unpacked, unpacked.open("text8") as text, whole(path) as file:
        while chunk := text.read(_CHUNK):
            digest.update(chunk)
            file.write(chunk)
        if digest.hexdigest() != md5:
            raise _OtherTextError
