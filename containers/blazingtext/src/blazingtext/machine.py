"""What the host is made of, as the training log tells it."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path


def identify_gpus() -> tuple[int, float]:
    """How many GPUs nvidia-smi lists, 0 where there is no nvidia-smi, and the seconds it took to find out."""
    begun = time.monotonic()
    try:
        listed = subprocess.run(["nvidia-smi", "--list-gpus"], capture_output=True, text=True, timeout=30, check=False)
        gpus = len(listed.stdout.splitlines()) if listed.returncode == 0 else 0
    except (FileNotFoundError, subprocess.TimeoutExpired):
        gpus = 0
    return gpus, time.monotonic() - begun


def cpu_sockets(cpuinfo: Path = Path("/proc/cpuinfo")) -> int:
    """How many processor packages the kernel tells of; 1 where it does not say."""
    try:
        lines = cpuinfo.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return 1
    return max(1, len({line for line in lines if line.startswith("physical id")}))
