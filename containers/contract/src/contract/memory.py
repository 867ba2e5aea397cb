"""How much memory the container has, and how much of it this process has for itself."""

from __future__ import annotations

import os
from pathlib import Path

_LIMITS = ("sys/fs/cgroup/memory.max", "sys/fs/cgroup/memory/memory.limit_in_bytes")


def container_bytes(root: Path = Path("/")) -> int:
    """The container's limit, of control groups version 2 or 1; the machine's memory where there is none."""
    found = [os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")]
    for name in _LIMITS:
        try:
            text = (root / name).read_text().strip()
        except OSError:
            continue
        if text.isdecimal():  # "max" is no limit
            found.append(int(text))
    return min(found)


def private_bytes() -> int:
    """What this process has in memory that is no file's; what a fork made it share with its parent counts too."""
    _, resident, shared = Path("/proc/self/statm").read_text().split()[:3]
    return (int(resident) - int(shared)) * os.sysconf("SC_PAGE_SIZE")


def files_bytes(folder: Path) -> int:
    """The size of all files below a folder.

    Raises:
        OSError: there is no such folder.
    """
    found = 0
    for entry in os.scandir(folder):
        found += files_bytes(Path(entry.path)) if entry.is_dir() else entry.stat().st_size
    return found
