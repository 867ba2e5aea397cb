"""Outputs of a processing job: folders of its hosts, whose files go to S3 at the end or while the job runs."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import TracebackType

from kindling.localcloud.sagemaker.errors import DataError
from kindling.localcloud.sagemaker.hosts import Host
from kindling.localcloud.sagemaker.objects import Address, Objects
from kindling.localcloud.sagemaker.processing.request import Output

_PAUSE_S = 1.0  # between two looks at the outputs that are uploaded continuously


class Outputs:
    """The outputs of one job. As a context, it uploads while it is open what is to be uploaded continuously.

    Args:
        scratch: a file that it may write: a copy of what is uploaded, for a container may still write to the original.
        tell: takes the error for which nothing more can be uploaded.
    Raises:
        DataError: the bucket of an output does not exist.
    """

    def __init__(
        self,
        outputs: Sequence[Output],
        hosts: Sequence[Host],
        objects: Objects,
        kms_key: str | None,
        scratch: Path,
        tell: Callable[[Exception], None],
    ) -> None:
        for output in outputs:
            if not objects.has_bucket(output.target.bucket):
                raise DataError(f"the bucket of output '{output.name}', {output.target}, does not exist.")
        self._outputs, self._hosts, self._objects = outputs, hosts, objects
        self._kms_key, self._scratch, self._tell = kms_key, scratch, tell
        self._known: dict[Path, tuple[int, int]] = {}  # time and size of what was uploaded
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"{scratch.parent.name} outputs", daemon=True)

    def make_folders(self) -> None:
        """Make the folders, which the containers find."""
        for output in self._outputs:
            for host in self._hosts:
                (host.base / output.path).mkdir(parents=True, exist_ok=True)

    def upload(self, *, continuous: bool) -> None:
        """Upload what is new in the outputs of one of the two modes; of the same name on two hosts, the last stays."""
        for output in self._outputs:
            if output.continuous == continuous:
                for host in self._hosts:
                    folder = host.base / output.path
                    for path in _files(folder):
                        self._upload(path, output.target.below(path.relative_to(folder).as_posix()))

    def __enter__(self) -> Outputs:
        if any(output.continuous for output in self._outputs):
            self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ending.set()
        if self._thread.ident is not None:
            self._thread.join()

    def _run(self) -> None:
        while not self._ending.wait(_PAUSE_S):
            try:
                self.upload(continuous=True)
            except Exception as error:  # noqa: BLE001  whatever it is, it belongs to the job
                self._tell(error)
                return

    def _upload(self, path: Path, address: Address) -> None:
        try:
            found = path.stat()
            seen = (found.st_mtime_ns, found.st_size)
            if self._known.get(path) == seen:
                return
            shutil.copyfile(path, self._scratch)
        except FileNotFoundError:  # the container has removed it since it was found
            return
        self._objects.write(address, self._scratch, self._kms_key)
        self._known[path] = seen


def _files(folder: Path) -> Iterator[Path]:
    """Regular files; as on the service, no link is followed."""
    return (path for path in sorted(folder.rglob("*")) if path.is_file() and not path.is_symlink())
