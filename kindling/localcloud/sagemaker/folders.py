"""Folders of jobs: read-only where the container may not write, and gone with the job all the same."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

_READABLE, _LISTABLE, _OWN = 0o444, 0o555, 0o700


def make_read_only(folder: Path) -> None:
    """Take away the permission to write to a folder and to all that is in it."""
    for place, _, names in os.walk(folder):
        for name in names:
            Path(place, name).chmod(_READABLE)
        Path(place).chmod(_LISTABLE)


def remove_folder(folder: Path) -> None:
    """Remove a folder with all that is in it, also what is read-only; that there is none is no error."""
    for place, _, _ in os.walk(folder):
        Path(place).chmod(_OWN)  # a file is removed from its folder, whatever its own mode is
    shutil.rmtree(folder, ignore_errors=True)
