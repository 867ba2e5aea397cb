"""The state of an embedded cloud as one file, to be kept, sent to a colleague, or brought back."""

from __future__ import annotations

import os
import shutil
import sqlite3
import tarfile
import tempfile
import zlib
from contextlib import closing
from pathlib import Path, PurePosixPath

from kindling.localcloud.lifecycle import CloudError, info
from kindling.localcloud.store import Store, StoreError

_DATABASE, _OBJECTS, _IMAGES = "cloud.db", "objects", "images"
_ATTEMPTS = 10


def export_state(state: Path, file: Path) -> int:
    """Write all that the cloud of `state` keeps to a tar.gz; it may be running. Returns the file's size in bytes.

    Raises:
        CloudError: there is no state, or the file cannot be written; it is not there then.
    """
    if not (state / _DATABASE).is_file():
        raise CloudError(f"{state} holds no state of an embedded cloud; `kindling up` makes one.")
    draft = file.with_name(f".{file.name}.{os.getpid()}.tmp")
    try:
        with tempfile.TemporaryDirectory(dir=state, prefix=".export-") as folder:
            _copy_consistently(state, Path(folder))
            with tarfile.open(draft, "w:gz", compresslevel=1, dereference=True) as tar:
                tar.add(folder, ".")
        draft.replace(file)
    except OSError as error:
        draft.unlink(missing_ok=True)
        raise CloudError(f"{file} cannot be written: {error.strerror or error}.") from error
    return file.stat().st_size


def import_state(state: Path, file: Path, *, replace: bool = False) -> None:
    """Have `state` hold what `export_state` wrote.

    Args:
        replace: whether what the folder holds may go.
    Raises:
        CloudError: its cloud runs, it holds a state already, or the file is none; the folder is as it was then.
    """
    if info(state) is not None:
        raise CloudError(f"the embedded cloud of {state} runs; end it with `kindling down` first.")
    if (state / _DATABASE).exists() and not replace:
        raise CloudError(f"{state} holds a state already; give --replace to lose it, or another folder with --state.")
    state.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=state, prefix=".import-") as name:
        folder = Path(name)
        _unpack(file, folder)
        for old in (_DATABASE, f"{_DATABASE}-wal", f"{_DATABASE}-shm"):
            (state / old).unlink(missing_ok=True)
        for part in (_OBJECTS, _IMAGES):
            shutil.rmtree(state / part, ignore_errors=True)
            if (folder / part).is_dir():
                (folder / part).rename(state / part)
        (folder / _DATABASE).rename(state / _DATABASE)


def _copy_consistently(state: Path, folder: Path) -> None:
    """Copy a state that a running cloud may be changing: the database as of one moment, and every body it names."""
    if (state / _IMAGES).is_dir():
        shutil.copytree(state / _IMAGES, folder / _IMAGES)
    for _ in range(_ATTEMPTS):
        _link_bodies(state / _OBJECTS, folder / _OBJECTS)
        with (
            closing(sqlite3.connect(state / _DATABASE)) as source,
            closing(sqlite3.connect(folder / _DATABASE)) as copy,
        ):
            source.backup(copy)
        _link_bodies(state / _OBJECTS, folder / _OBJECTS)
        store = Store(folder / _DATABASE)
        named = {name for record in store.all("bodies").values() for name in record["names"]}
        store.close()
        if all((folder / _OBJECTS / name[:2] / name).exists() for name in named):
            for path in (folder / _OBJECTS).glob("*/*"):
                if path.name not in named:
                    path.unlink()
            return
    raise CloudError("the embedded cloud's objects change too fast to be exported; try again when it is at rest.")


def _link_bodies(source: Path, to: Path) -> None:
    to.mkdir(exist_ok=True)
    for path in source.glob("*/*"):
        link = to / path.parent.name / path.name
        link.parent.mkdir(exist_ok=True)
        if not link.exists():
            try:
                os.link(path, link)
            except FileNotFoundError:
                continue  # it was removed just now, so that the database does not name it any more


def _unpack(file: Path, folder: Path) -> None:
    try:
        with tarfile.open(file, "r:gz") as tar:
            for member in tar:
                parts = PurePosixPath(member.name).parts
                if (parts and parts[0] not in (_DATABASE, _OBJECTS, _IMAGES)) or not (
                    member.isfile() or member.isdir()
                ):
                    raise CloudError(f"{file} is no state of an embedded cloud: it holds {member.name}.")
                tar.extract(member, folder, filter="data")
        if not (folder / _DATABASE).is_file():
            raise CloudError(f"{file} is no state of an embedded cloud: it holds no {_DATABASE}.")
        Store(folder / _DATABASE).close()
    except FileNotFoundError as error:
        raise CloudError(f"{file} cannot be read: {error.strerror}.") from error
    except (tarfile.TarError, EOFError, zlib.error, StoreError, OSError) as error:
        raise CloudError(f"{file} is no state of an embedded cloud: {error}") from error
