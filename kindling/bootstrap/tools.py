"""What this machine has to have: the CDK, and room and an engine for the images."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from kindling.bootstrap.findings import Finding
from kindling.environments import ROOT
from kindling.errors import UserError

# An image takes 1.1 GB and its building several times that; the CDK's own output fits into one.
ROOM_GB, LEAST_GB = 20.0, 1.0
_CDK, _DOCKER, _DISK = "Node and CDK", "Docker", "disk"
_SETUP = "run `make setup`."


def cdk(root: Path = ROOT) -> Iterator[Finding]:
    """Whether the CDK's command line runs, in the version that package.json pins."""
    pinned = json.loads((root / "package.json").read_text(encoding="utf-8"))["dependencies"]["aws-cdk"]
    program = root / "node_modules" / ".bin" / "cdk"
    if not program.exists():
        yield Finding(_CDK, "fail", "the CDK's command line is not installed", _SETUP)
        return
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
    try:
        told = subprocess.run(
            [str(program), "--version"], env={**os.environ, "PATH": path}, capture_output=True, text=True, check=False
        )
    except OSError as error:
        yield Finding(_CDK, "fail", f"the CDK's command line cannot be run ({error.strerror})", _SETUP)
        return
    version = told.stdout.split(" ")[0].strip()
    if told.returncode != 0:
        words = (told.stderr or told.stdout).strip().splitlines()
        yield Finding(
            _CDK, "fail", f"the CDK's command line does not run ({words[-1] if words else 'no reason'})", _SETUP
        )
    elif version != pinned:
        yield Finding(_CDK, "warn", f"the CDK is {version}, but package.json pins {pinned}", _SETUP)
    else:
        yield Finding(_CDK, "pass", f"CDK {version}")


def docker() -> Iterator[Finding]:
    """Whether an engine answers that can build the images."""
    from kindling.image_builds import connect

    try:
        client = connect()
    except UserError as error:
        found = str(error).rstrip(".")
        yield Finding(_DOCKER, "warn", found, "`kindling deploy --target aws` needs one where it builds the images.")
        return
    try:
        yield Finding(_DOCKER, "pass", f"engine {client.version()['Version']}")
    finally:
        client.close()


def disk(folder: Path) -> Iterator[Finding]:
    """Whether there is room for the images where Docker keeps them, or else where `folder` is."""
    kept = Path("/var/lib/docker")
    where = kept if kept.is_dir() else next(path for path in (folder, *folder.parents) if path.is_dir())
    free_gb = shutil.disk_usage(where).free / 1e9
    if free_gb < LEAST_GB:
        yield Finding(_DISK, "fail", f"{free_gb:.1f} GB free at {where}", "make room: not even templates fit.")
    elif free_gb < ROOM_GB:
        yield Finding(_DISK, "warn", f"{free_gb:.1f} GB free at {where}", f"the images want {ROOM_GB:.0f} GB.")
    else:
        yield Finding(_DISK, "pass", f"{free_gb:.0f} GB free at {where}")
