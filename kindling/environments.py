"""One virtual environment per algorithm: what runs it where there is no Docker. And one per client that the tests use.

An environment holds what the algorithm's image holds: the packages of the same lock file, torch where algorithm.toml
asks for it, the container contract and the algorithm's own package. It is made again when any of these changes.
`python -m kindling.environments [NAME ...] [--tests]` makes those of the named algorithms, or of all.
A client's environment holds the packages of requirements/client-*.txt; `python -m kindling.environments --clients
[NAME ...]` makes those of the named clients, or of all, and nothing else.
"""

from __future__ import annotations

import argparse
import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType

from containers.catalogue import CONTAINERS, algorithms, folder

ROOT = Path(__file__).resolve().parents[1]
ENVIRONMENTS = ROOT / ".venvs"
_REQUIREMENTS = ROOT / "requirements"

# The plain wheel pulls several GB of CUDA packages. Where PyTorch's own index cannot be reached, the default index and
# PIP_FIND_LINKS, where a CPU build may lie, are asked instead.
_TORCH_CPU_INDEX = "https://download.pytorch.org/whl/cpu"

_BUILD = "build.cfg"  # how setuptools builds packages that come as source, where an algorithm has something to say

_NOT_SOURCE = {"__pycache__", "tests", "build", "dist", ".pytest_cache", ".hypothesis"}


class EnvironmentNotMadeError(RuntimeError):
    """An environment could not be made, or has not been made yet. The message says what to do."""


def python_of(name: str) -> Path:
    """The interpreter of an algorithm's or a client's environment.

    Raises:
        EnvironmentNotMadeError: the environment has not been made.
    """
    interpreter = ENVIRONMENTS / name / "bin" / "python"
    if not interpreter.exists():
        target = "setup-clients" if name in clients() else "setup"
        raise EnvironmentNotMadeError(f"the environment of {name} has not been made; run `make {target}`.")
    return interpreter


def make(name: str, *, tests: bool = False) -> bool:
    """Makes or renews an algorithm's environment; returns whether there was anything to do.

    Raises:
        EnvironmentNotMadeError: a step failed; the message is the last of its output.
    """
    source, environment = folder(name), ENVIRONMENTS / name
    packages = _Step(environment, "packages", [source / "requirements.txt", source / _BUILD], _torch(name) or "")
    code = _Step(environment, "code", [*_sources(source), *_sources(CONTAINERS / "contract")], packages.digest)
    testing = _Step(environment, "tests", [source / "requirements-test.txt"], packages.digest)
    with _alone(name):
        return _bring_up_to_date(name, packages, code, testing if tests else None)


def clients() -> list[str]:
    """The names of the clients' environments."""
    return sorted(path.stem for path in _REQUIREMENTS.glob("client-*.txt"))


def make_client(name: str) -> bool:
    """Makes or renews a client's environment; returns whether there was anything to do.

    Raises:
        EnvironmentNotMadeError: a step failed; the message is the last of its output.
    """
    lock = _REQUIREMENTS / f"{name}.txt"
    packages = _Step(ENVIRONMENTS / name, "packages", [lock], "")
    with _alone(name):
        if not packages.stale():
            return False
        _make_anew(name, lock)
        packages.finish()
        return True


@contextmanager
def _alone(name: str) -> Iterator[None]:
    """Keeps two commands from making the same environment at once."""
    ENVIRONMENTS.mkdir(exist_ok=True)
    with (ENVIRONMENTS / f".{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _make_anew(name: str, lock: Path) -> None:
    """An environment with the packages of a lock file and nothing else, built as a file beside it says."""
    environment = ENVIRONMENTS / name
    shutil.rmtree(environment, ignore_errors=True)
    _run([sys.executable, "-m", "venv", str(environment)], f"making {environment.name}'s environment")
    # A lock file is whole: nothing is left to resolve.
    build = lock.with_name(_BUILD)
    settings = {"DIST_EXTRA_CONFIG": str(build)} if build.exists() else {}
    _install(name, "--no-deps", "--require-hashes", "-r", str(lock), environ=settings)


def _bring_up_to_date(name: str, packages: _Step, code: _Step, testing: _Step | None) -> bool:
    source = folder(name)
    done = False
    if packages.stale():
        _make_anew(name, source / "requirements.txt")
        if version := _torch(name):
            _install_torch(name, version)
        packages.finish()
        done = True
    if code.stale():
        _install(name, "--no-deps", "--reinstall", str(CONTAINERS / "contract"), str(source))
        code.finish()
        done = True
    if testing and testing.stale():
        _install(name, "--require-hashes", "-r", str(source / "requirements-test.txt"))
        testing.finish()
        done = True
    return done


class _Step:
    """A part of an environment and the digest of what it was made from, kept in a stamp file beside it."""

    def __init__(self, environment: Path, title: str, inputs: list[Path], extra: str) -> None:
        digest = hashlib.sha256(extra.encode())
        for path in inputs:
            if path.exists():
                digest.update(f"{path.relative_to(ROOT)}\0{path.stat().st_mode & 0o111}\0".encode() + path.read_bytes())
        self.digest = digest.hexdigest()
        self._stamp = environment / f".{title}.sha256"

    def stale(self) -> bool:
        return not self._stamp.exists() or self._stamp.read_text() != self.digest

    def finish(self) -> None:
        self._stamp.write_text(self.digest)


def _sources(path: Path) -> Iterator[Path]:
    for child in sorted(path.iterdir()):
        if child.name in _NOT_SOURCE or child.name.endswith(".egg-info"):
            continue
        if child.is_dir():
            yield from _sources(child)
        else:
            yield child


def _torch(name: str) -> str | None:
    return algorithms()[name].environment.torch


def _install(name: str, *arguments: str, environ: Mapping[str, str] = MappingProxyType({})) -> None:
    _run(_uv(name, *arguments), f"installing into {name}'s environment", environ)


def _uv(name: str, *arguments: str) -> list[str]:
    return [
        str(Path(sys.executable).parent / "uv"),
        "pip",
        "install",
        "--quiet",
        "--compile-bytecode",  # now, once: some systems keep none compiled, and torch alone has 2,000 modules
        "--python",
        str(python_of(name)),
        *arguments,
    ]


def _install_torch(name: str, version: str) -> None:
    # Of several environments with the same build uv unpacks it once and links its files. The lock file has all that a
    # CPU build needs; of what the default index gives, CUDA's build needs its own libraries.
    wanted = f"torch=={version}"
    hasty = {**os.environ, "UV_HTTP_TIMEOUT": "15", "UV_HTTP_RETRIES": "1"}
    from_index = _uv(name, "--no-deps", "--index-url", _TORCH_CPU_INDEX, wanted)
    if subprocess.run(from_index, capture_output=True, env=hasty, check=False).returncode != 0:
        links = [word for link in os.environ.get("PIP_FIND_LINKS", "").split() for word in ("--find-links", link)]
        _run(_uv(name, *links, wanted), f"installing {wanted}")
    _run([str(python_of(name)), "-c", "import torch"], f"importing {wanted}, just installed,")


def _run(command: list[str], doing: str, environ: Mapping[str, str] = MappingProxyType({})) -> None:
    result = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **environ}, check=False)
    if result.returncode != 0:
        raise EnvironmentNotMadeError(f"{doing} failed:\n{result.stdout[-2000:]}{result.stderr[-4000:]}")


def main() -> int:
    parser = argparse.ArgumentParser(description="Make the algorithms' virtual environments.")
    parser.add_argument("names", nargs="*", metavar="NAME", help="algorithms, or clients; all when none is named")
    parser.add_argument("--tests", action="store_true", help="with what the algorithm's tests need")
    parser.add_argument("--clients", action="store_true", help="those of the clients that the tests use")
    arguments = parser.parse_args()
    known, kind = (clients(), "client") if arguments.clients else (list(algorithms()), "algorithm")
    for name in arguments.names or known:
        if name not in known:
            print(f"{name} is no {kind}; known are {', '.join(known)}.", file=sys.stderr)
            return 2
        try:
            made = make_client(name) if arguments.clients else make(name, tests=arguments.tests)
            print(f"{name}: environment {'made' if made else 'up to date'}", flush=True)
        except EnvironmentNotMadeError as error:
            print(error, file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
