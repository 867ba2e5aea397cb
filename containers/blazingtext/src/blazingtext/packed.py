"""Corpora packed with gzip: unpacked to files, because the engine maps files.

Copies on disk take no memory: what was mapped and read, the kernel may drop. Python's gzip is all it takes, so neither
the image nor the machine that builds the engine needs zlib's headers.
"""

from __future__ import annotations

import gzip
import shutil
import zlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from contract.channels import InputChannel
from contract.errors import ClientError

_MAGIC = b"\x1f\x8b"  # no UTF-8 text begins with these bytes
_BLOCK_BYTES = 2**20


def is_packed(path: Path) -> bool:
    """Whether a file holds gzip's format, by its first bytes; its name does not matter."""
    with path.open("rb") as file:
        return file.read(len(_MAGIC)) == _MAGIC


def unpack(channel: InputChannel, paths: Sequence[Path], scratch: Path, threads: int) -> list[Path]:
    """The channel's files in the same order, each packed one as its unpacked copy; all members of a file are unpacked.

    Args:
        scratch: where copies are written, below the same folders and under the same names as in the channel.
        threads: files unpacked at a time.
    Raises:
        ClientError: a packed file is cut off or damaged, or there is no room for its copy.
    """

    def unpacked(path: Path) -> Path:
        name = path.relative_to(channel.directory)
        return _unpack(path, scratch / name, f"channel {channel.name!r}: {name}") if is_packed(path) else path

    with ThreadPoolExecutor(threads) as executor:
        return list(executor.map(unpacked, paths))


def _unpack(path: Path, copy: Path, name: str) -> Path:
    copy.parent.mkdir(parents=True, exist_ok=True)
    try:
        with gzip.open(path) as packed, copy.open("wb") as file:
            shutil.copyfileobj(packed, file, _BLOCK_BYTES)
    except EOFError:
        raise ClientError(f"{name} is cut off: its gzip data ends early; pack or upload it again.") from None
    except (gzip.BadGzipFile, zlib.error) as error:
        raise ClientError(f"{name} is damaged gzip data ({error}); pack or upload it again.") from None
    except OSError as error:
        raise ClientError(
            f"{name} could not be unpacked to {copy.parent} ({error.strerror}); give the job a larger volume,"
            " or the files unpacked."
        ) from None
    return copy
