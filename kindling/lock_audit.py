"""Looks up every locked package in a database of known vulnerabilities, with pip-audit.

`python -m kindling.lock_audit [PIP-AUDIT'S OPTIONS ...]`, for instance `--vulnerability-service osv`. The exit code is
1 when a vulnerability is known, and also when a package could not be looked up: silence must mean that all were.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from containers.catalogue import CONTAINERS, algorithms
from kindling.environments import ROOT

_PACKAGE = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._-]*==", re.MULTILINE)
# --strict: a package that the database does not know is a failure. --disable-pip: the files are complete as they are.
_COMMAND = [sys.executable, "-m", "pip_audit", "--strict", "--disable-pip", "--progress-spinner", "off"]


def lock_files() -> list[Path]:
    """All of them, of the house and of the algorithms."""
    found = [*sorted(ROOT.glob("requirements/*.txt")), *sorted(CONTAINERS.glob("*/requirements*.txt"))]
    return [path for path in found if not path.name.endswith("-overrides.txt")]  # of `make lock`, no packages


def findings(options: Sequence[str]) -> Iterator[tuple[str, str, bool]]:
    """Of each lock file, and of the torch that algorithms ask for beside it: its name, what was found, whether good."""
    for path in lock_files():
        said, good = _audited(path, ["--require-hashes", *options])
        yield str(path.relative_to(ROOT)), said or f"{len(_PACKAGE.findall(path.read_text()))} packages", good
    versions = sorted({torch for one in algorithms().values() if (torch := one.environment.torch)})
    for version in versions:  # it has no lock file: it comes from an index of its own
        with tempfile.NamedTemporaryFile("w", suffix=".txt") as wanted:
            wanted.write(f"torch=={version}\n")
            wanted.flush()
            said, good = _audited(Path(wanted.name), ["--no-deps", *options])
        yield f"torch {version}", said or "1 package", good


def _audited(path: Path, options: Sequence[str]) -> tuple[str, bool]:
    """What there is to say of a file, nothing if all is well; and whether all is."""
    made = subprocess.run(
        [*_COMMAND, "--requirement", str(path), *options], capture_output=True, text=True, check=False
    )
    if made.returncode == 0:
        return "", True
    errors = made.stderr.strip().splitlines()
    last = errors[-1].removeprefix("ERROR:pip_audit._cli:") if errors else f"pip-audit ended with {made.returncode}"
    return made.stdout.strip() or last, False


def main(options: Sequence[str]) -> int:
    """The command line; see the module."""
    bad = 0
    for name, said, good in findings(options):
        bad += not good
        print(f"{name}: {f'{said}, no known vulnerability' if good else said}", flush=True)
    if bad:
        print(f"{bad} with a known vulnerability, or not looked up.", file=sys.stderr)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
