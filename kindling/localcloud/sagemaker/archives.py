"""tar.gz files: what training leaves is packed, what an endpoint serves is unpacked. Both stream."""

from __future__ import annotations

import os
import tarfile
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath

from kindling.localcloud.sagemaker.errors import DataError

# Word vectors hardly compress; the lowest level takes a third of the time of the default.
_LEVEL = 1


def pack(folders: Iterable[Path], archive: Path) -> None:
    """Pack the content of folders into one tar.gz; of two files of the same name the first folder's counts."""
    with tarfile.open(archive, "w:gz", compresslevel=_LEVEL, dereference=True) as tar:
        for name, path in merged(folders):
            tar.add(path, name, recursive=False)


def merged(folders: Iterable[Path]) -> Iterator[tuple[str, Path]]:
    """Files and folders in several folders by name; of two of the same name the first folder's."""
    seen: set[str] = set()
    for folder in folders:
        for path in _content(folder):
            name = path.relative_to(folder).as_posix()
            if name not in seen:
                seen.add(name)
                yield name, path


def is_empty(folders: Iterable[Path]) -> bool:
    """Whether there is nothing to pack."""
    return all(next(_content(folder), None) is None for folder in folders)


def unpack(archive: Path, folder: Path) -> None:
    """Unpack a tar.gz into a folder.

    Raises:
        DataError: it is no tar.gz, a name leads out of the folder, or a member is neither a file nor a folder.
    """
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with tarfile.open(archive, "r|gz") as tar:
            for member in tar:
                name = PurePosixPath(member.name)
                if name.is_absolute() or ".." in name.parts:
                    raise DataError(f"member {member.name!r} of model.tar.gz leads out of the model's folder.")
                if not (member.isfile() or member.isdir()):
                    raise DataError(f"member {member.name!r} of model.tar.gz is neither a file nor a folder.")
                tar.extract(member, folder, filter="data")
    except (tarfile.TarError, EOFError, zlib.error, OSError) as error:
        raise DataError(f"model.tar.gz cannot be unpacked: {error}.") from error


def _content(folder: Path) -> Iterator[Path]:
    if not folder.is_dir():
        return
    for place, folders, files in os.walk(folder):
        folders.sort()
        for name in sorted([*folders, *files]):
            path = Path(place, name)
            if path.is_dir() or path.is_file():
                yield path
