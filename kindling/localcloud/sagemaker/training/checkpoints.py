"""Checkpoints of a training job in S3: each host finds them in its folder, and what it changes there goes back.

As on the service, the hosts get what lies at the prefix when they start, and nothing that is put there later; what a
host writes or removes is written or removed at the prefix while it trains.
"""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any

from moto.core.exceptions import ServiceException

from kindling.localcloud.sagemaker.errors import DataError, InvalidRequestError
from kindling.localcloud.sagemaker.objects import Address, Objects
from kindling.localcloud.sagemaker.validation import require

_LOCAL_PATH = "/opt/ml/checkpoints"  # of a container; the hosts' folders stand for it

_Version = tuple[int, int]  # of a file: when it was written, in ns, and its bytes


def prefix_of(request: Mapping[str, Any]) -> Address | None:
    """The prefix of a CreateTrainingJob request's CheckpointConfig; None where it has none.

    Raises:
        InvalidRequestError: it asks for what the embedded cloud does not do.
    """
    config = request.get("CheckpointConfig")
    if config is None:
        return None
    require("CheckpointConfig.LocalPath", config.get("LocalPath"), _LOCAL_PATH, f"{_LOCAL_PATH}/")
    try:
        return Address.parse(config["S3Uri"])
    except DataError as error:
        raise InvalidRequestError(f"CheckpointConfig.S3Uri: {error}") from None


class CheckpointFolders:
    """The checkpoint folders of a job's hosts, one each, and the prefix that all of them share.

    Args:
        draft: where a file is copied to before it goes to S3, for the container may go on writing to its own.
    Raises:
        DataError: the prefix's bucket does not exist.
    """

    def __init__(self, prefix: Address, objects: Objects, folders: Sequence[Path], draft: Path) -> None:
        self._prefix, self._objects, self._draft = prefix, objects, draft
        self._require_bucket()
        # Of each host: the files that S3 has too, in which version.
        self._known: dict[Path, dict[str, _Version]] = {folder: {} for folder in folders}

    def download(self, go_on: Callable[[], None]) -> None:
        """Bring what lies at the prefix to every host.

        Args:
            go_on: called before each object; raises to end the download.
        Raises:
            DataError: a key leads out of the folder, or an object has gone.
        """
        beginning = self._prefix.below("")
        for key in self._objects.keys(beginning):
            go_on()
            name = key.removeprefix(beginning.key)
            if ".." in PurePosixPath(name).parts or "\0" in name:
                raise DataError(f"key {key!r} of CheckpointConfig leads out of the checkpoints' folder.")
            for folder, known in self._known.items():
                path = folder / name
                path.parent.mkdir(parents=True, exist_ok=True)
                with path.open("xb") as file:
                    self._objects.read_into(Address(self._prefix.bucket, key), file)
                known[name] = _version(path)

    @contextmanager
    def kept_in_step(self, pause_s: float, tell: Callable[[Exception], object]) -> Iterator[None]:
        """Upload what changes, every `pause_s` seconds.

        Args:
            tell: takes the error that ends this.
        """
        ending = threading.Event()

        def keep() -> None:
            try:
                while not ending.wait(pause_s):
                    self.upload()
            except Exception as error:  # noqa: BLE001  whatever it is, the job is to end with it
                tell(error)

        thread = threading.Thread(target=keep, name="checkpoints", daemon=True)
        thread.start()
        try:
            yield
        finally:
            ending.set()
            thread.join()

    def upload(self) -> None:
        """Put at the prefix what a host has written since the last time, and remove what it has removed.

        A file that is being written goes there as it is, and again the next time.

        Raises:
            DataError: the bucket is gone.
        """
        for folder, known in self._known.items():
            found = {path.relative_to(folder).as_posix(): path for path in _files(folder)}
            for name, path in found.items():
                try:
                    version = _version(path)
                    if known.get(name) == version:
                        continue
                    shutil.copyfile(path, self._draft)
                except FileNotFoundError:  # removed meanwhile: the next time sees that
                    continue
                self._ask(self._put, self._prefix.below(name))
                known[name] = version
            for name in known.keys() - found.keys():
                self._ask(self._objects.remove, self._prefix.below(name))
                del known[name]

    def _put(self, address: Address) -> None:
        """Have the draft be the object's content: another one is written to another file."""
        try:
            self._objects.write(address, self._draft, give_away=True)
        finally:
            self._draft.unlink()

    def _ask(self, do: Callable[..., None], *arguments: Any) -> None:
        try:
            do(*arguments)
        except ServiceException:
            self._require_bucket()
            raise

    def _require_bucket(self) -> None:
        if not self._objects.has_bucket(self._prefix.bucket):
            raise DataError(f"the bucket of CheckpointConfig.S3Uri={self._prefix} does not exist.")


def _files(folder: Path) -> Iterator[Path]:
    for place, folders, names in os.walk(folder):
        folders.sort()
        yield from (path for name in sorted(names) if (path := Path(place, name)).is_file())


def _version(path: Path) -> _Version:
    status = path.stat()
    return status.st_mtime_ns, status.st_size
