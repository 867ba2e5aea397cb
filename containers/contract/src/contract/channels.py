"""Input channels in File mode."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from contract.errors import ClientError


@dataclass(frozen=True)
class InputChannel:
    """One channel of inputdataconfig.json and the folder its files lie in."""

    name: str
    directory: Path
    content_type: str | None = None
    input_mode: str = "File"
    distribution: str = "FullyReplicated"

    def files(self) -> list[Path]:
        """Every file of the channel, below any folder, sorted by path; hidden files and folders are skipped.

        Raises:
            ClientError: the channel holds no file, or nothing but empty ones.
        """
        found = sorted(self._walk())
        if not found:
            raise ClientError(f"channel {self.name!r} holds no file; give it an S3 prefix with at least one object.")
        if not any(path.stat().st_size for path in found):
            raise ClientError(f"channel {self.name!r} holds only empty files ({len(found)} found); check the input.")
        return found

    def _walk(self) -> Iterator[Path]:
        for folder, folders, names in os.walk(self.directory, followlinks=True):
            folders[:] = [name for name in folders if not name.startswith(".")]  # prunes the walk
            yield from (Path(folder) / name for name in names if not name.startswith("."))
