"""Checkpoints of a training job in S3: each host finds them in its folder, and what it changes there goes back.

The service copies all the time. Here the prefix is brought up to date once the hosts have ended, however they ended:
nothing but the end of the cloud, which forgets its buckets too, could lose more.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from kindling.localcloud.sagemaker.errors import DataError, InvalidRequestError
from kindling.localcloud.sagemaker.objects import Address, Objects
from kindling.localcloud.sagemaker.validation import require

_LOCAL_PATH = "/opt/ml/checkpoints"  # of a container; the hosts' folders stand for it


def prefix_of(request: Mapping[str, Any]) -> Address | None:
    """The prefix of a CreateTrainingJob request's CheckpointConfig; None where it has none.

    Raises:
        InvalidRequestError: it asks for what the embedded cloud does not do.
    """
    config = request.get("CheckpointConfig")
    if config is None:
        return None
    require("CheckpointConfig.LocalPath", config.get("LocalPath"), _LOCAL_PATH)
    try:
        return Address.parse(config["S3Uri"])
    except DataError as error:
        raise InvalidRequestError(f"CheckpointConfig.S3Uri: {error}") from None


class CheckpointFolders:
    """The checkpoint folders of a job's hosts, one each, and the prefix that all of them share.

    Raises:
        DataError: the prefix's bucket does not exist.
    """

    def __init__(self, prefix: Address, objects: Objects, folders: Sequence[Path]) -> None:
        if not objects.has_bucket(prefix.bucket):
            raise DataError(f"the bucket of CheckpointConfig.S3Uri={prefix} does not exist.")
        self._prefix, self._objects = prefix, objects
        # Of each host: the files that S3 has too, and when they were written.
        self._known: dict[Path, dict[str, int]] = {folder: {} for folder in folders}

    def download(self, go_on: Callable[[], None]) -> None:
        """Bring what lies at the prefix to every host.

        Args:
            go_on: called before each object; raises to end the download.
        Raises:
            DataError: a key leads out of the folder.
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
                known[name] = path.stat().st_mtime_ns

    def upload(self) -> None:
        """Put at the prefix what a host has written since the download, and remove what it has removed."""
        for folder, known in self._known.items():
            found = {path.relative_to(folder).as_posix(): path for path in _files(folder)}
            for name, path in found.items():
                if known.get(name) != path.stat().st_mtime_ns:
                    self._objects.write(self._prefix.below(name), path)
            for name in known.keys() - found.keys():
                self._objects.remove(self._prefix.below(name))


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in sorted(folder.rglob("*")) if path.is_file())
