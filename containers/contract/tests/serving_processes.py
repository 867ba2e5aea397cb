"""Runs the server of lengths_server.py as processes, for tests that need sockets, signals and workers."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

FACTOR = 3
_SERVER = Path(__file__).with_name("lengths_server.py")


@dataclass
class Server:
    """A running server."""

    process: subprocess.Popen[bytes]
    port: int
    log_path: Path

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def log(self) -> str:
        return self.log_path.read_text()

    @property
    def workers(self) -> list[int]:
        """The workers' process ids."""
        pid = self.process.pid
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]

    def kill_worker(self, number: int = 0) -> int:
        """Kill one; its process id."""
        victim = self.workers[number]
        os.kill(victim, signal.SIGKILL)
        return victim

    def resident_bytes(self) -> int:
        """What the workers have in memory together."""
        pages = sum(int(Path(f"/proc/{worker}/statm").read_text().split()[1]) for worker in self.workers)
        return pages * os.sysconf("SC_PAGE_SIZE")

    def stop(self) -> int:
        """SIGTERM; the exit code."""
        self.process.terminate()
        return self.process.wait(30)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def start(base: Path, port: int, environ: dict[str, str]) -> Server:
    """Start a server and do not wait for it."""
    log = base / "server.log"
    variables = {
        **os.environ,
        "SAGEMAKER_BASE_DIR": str(base),
        "SAGEMAKER_BIND_TO_PORT": str(port),
        "KINDLING_WORKERS": "2",
        **environ,
    }
    with log.open("wb") as output:
        process = subprocess.Popen([sys.executable, str(_SERVER)], env=variables, stdout=output, stderr=output)
    return Server(process, port, log)


@contextmanager
def running(**environ: str) -> Iterator[Server]:
    """A server that answers, with two workers and a model whose factor is FACTOR."""
    with tempfile.TemporaryDirectory() as name:
        base = Path(name)
        write_model(base / "model")
        server = start(base, free_port(), environ)
        try:
            await_ping(server)
            yield server
        finally:
            server.process.kill()
            server.process.wait()


def write_model(folder: Path, factor: int = FACTOR, padding: int = 0) -> Path:
    """A model in a new folder, with a file of so many bytes besides."""
    folder.mkdir(parents=True)
    (folder / "factor.txt").write_text(str(factor))
    if padding:
        (folder / "padding").write_bytes(b"\0" * padding)
    return folder


def await_ping(server: Server) -> None:
    """Wait until the server answers."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and server.process.poll() is None:
        try:
            assert httpx.get(f"{server.url}/ping").status_code == 200
            return
        except httpx.TransportError:
            time.sleep(0.05)
    raise AssertionError(f"the server did not answer: {server.log}")
