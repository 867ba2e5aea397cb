"""Input channels: files in a folder, or a pipe for each epoch."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import BinaryIO

from contract.errors import AlgorithmError, ClientError
from contract.recordio import RecordIOError, read_records

PIPE_PATIENCE_S = 120.0  # until the service has made the next epoch's pipe
_LOOK_S = 0.02


@dataclass(frozen=True)
class InputChannel:
    """One channel of inputdataconfig.json and the folder its files lie in.

    In Pipe mode there is no such folder: beside where it would be, the service makes a pipe `<name>_<epoch>` for each
    time that the channel is read. What was packed with gzip arrives unpacked.
    """

    name: str
    directory: Path
    content_type: str | None = None
    input_mode: str = "File"
    distribution: str = "FullyReplicated"
    record_wrapper: str = "None"
    _epochs: Iterator[int] = field(default_factory=count, repr=False, compare=False)

    @property
    def is_pipe(self) -> bool:
        """Whether the channel is read through pipes."""
        return self.input_mode == "Pipe"

    def open_pipe(self, patience_s: float = PIPE_PATIENCE_S) -> BinaryIO:
        """The channel's bytes from the beginning: each call opens the next epoch's pipe, and waits for its writer.

        The stream may be closed before its end.

        Raises:
            ClientError: the channel is not in Pipe mode.
            AlgorithmError: the service has not made the pipe in time.
        """
        if not self.is_pipe:
            raise ClientError(f"channel {self.name!r} comes as files, but is read through a pipe; set Pipe mode.")
        path = self.directory.with_name(f"{self.name}_{next(self._epochs)}")
        deadline = time.monotonic() + patience_s
        while not path.exists():
            if time.monotonic() > deadline:
                raise AlgorithmError(f"the service made no pipe {path} for channel {self.name!r} in {patience_s:g} s.")
            time.sleep(_LOOK_S)
        return path.open("rb", buffering=0)

    def records(self) -> Iterator[bytes]:
        """The records of the next epoch of a channel in Pipe mode that holds RecordIO.

        Either the service wraps the data (`record_wrapper` is RecordIO), or the objects are RecordIO themselves.

        Raises:
            ClientError: the channel is not in Pipe mode, or what arrives is not RecordIO.
            AlgorithmError: the service has not made the pipe in time.
        """
        with self.open_pipe() as stream:
            try:
                yield from read_records(stream)
            except RecordIOError as error:
                raise ClientError(f"channel {self.name!r} is not RecordIO: {error}") from error

    def files(self) -> list[Path]:
        """Every file of the channel, below any folder, sorted by path; hidden files and folders are skipped.

        Raises:
            ClientError: the channel is in Pipe mode, holds no file, or nothing but empty ones.
        """
        if self.is_pipe:
            raise ClientError(f"channel {self.name!r} comes through a pipe, but is read as files; set File mode.")
        found = sorted(self._walk())
        if not found:
            raise ClientError(f"channel {self.name!r} holds no file; give it an S3 prefix with at least one object.")
        if not any(path.stat().st_size for path in found):
            raise ClientError(f"channel {self.name!r} holds only empty files ({len(found)} found); check the input.")
        return found

    def holds_files(self) -> bool:
        """Whether there is any file, also an empty one: with ShardedByS3Key a host may have got none."""
        return any(True for _ in self._walk())

    def _walk(self) -> Iterator[Path]:
        for folder, folders, names in os.walk(self.directory, followlinks=True):
            folders[:] = [name for name in folders if not name.startswith(".")]  # prunes the walk
            yield from (Path(folder) / name for name in names if not name.startswith("."))
