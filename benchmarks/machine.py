"""What a benchmark runs on, and how its command line ends."""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from kindling.environments import ROOT, EnvironmentNotMadeError, python_of
from kindling.errors import UserError

BUILT = ROOT / "build" / "benchmarks"
QUIET_LOAD = 0.5  # processes that want to run, the mean of the last minute

_ASK_ENVIRONMENT = """
import importlib.metadata, importlib.util, json
from blazingtext._engine import usable_instructions
packages = ("numpy", "gensim", "fasttext")
found = {name: importlib.metadata.version(name) for name in packages if importlib.util.find_spec(name)}
print(json.dumps({"instructions": usable_instructions()[0], "versions": found}))
"""


def describe() -> dict[str, Any]:
    """The processor, the memory, and the versions of what is measured.

    Raises:
        UserError: BlazingText's environment has not been made.
    """
    cpu = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    return {
        "cpu": _field(cpu, "model name"),
        "cpu_family": f"family {_field(cpu, 'cpu family')}, model {_field(cpu, 'model')}",
        "cores": len(os.sched_getaffinity(0)),
        "l2": _cache(2),
        "l3": _cache(3),
        "memory_bytes": os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"),
        "linux": platform.release().partition("-")[0],
        "python": platform.python_version(),
        "compiler": _said(["c++", "--version"]).partition("\n")[0],
        "commit": _said(["git", "-C", str(ROOT), "describe", "--always", "--dirty"]).strip(),
        **ask_environment(),
    }


def ask_environment() -> dict[str, Any]:
    """The engine's instruction set and the packages' versions, as BlazingText's environment has them.

    Raises:
        UserError: the environment has not been made.
    """
    try:
        python = python_of("blazingtext")
    except EnvironmentNotMadeError as error:
        raise UserError(str(error)) from None
    found: dict[str, Any] = json.loads(_said([str(python), "-c", _ASK_ENVIRONMENT]))
    return found


def load_average() -> float:
    """Processes that wanted to run during the last minute."""
    return os.getloadavg()[0]


def _field(cpuinfo: str, name: str) -> str:
    found = re.search(rf"^{name}\s*: (.*)$", cpuinfo, re.MULTILINE)
    return found[1].strip() if found else "unknown"


def _cache(level: int) -> str:
    for index in sorted(Path("/sys/devices/system/cpu/cpu0/cache").glob("index*")):
        if (index / "level").read_text().strip() == str(level):
            return (index / "size").read_text().strip()
    return "unknown"


def _said(command: list[str]) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout


def exit_code(benchmark: Callable[[argparse.Namespace], None], arguments: argparse.Namespace) -> int:
    """Runs a benchmark as its command line asks; 1 with the sentence on stderr where a person can mend the failure."""
    try:
        benchmark(arguments)
    except UserError as error:
        print(error, file=sys.stderr)
        return 1
    return 0
