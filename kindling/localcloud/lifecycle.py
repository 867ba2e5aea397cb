"""Starting, finding and ending the embedded cloud."""

from __future__ import annotations

import fcntl
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from kindling.localcloud import sagemaker_sdk
from kindling.localcloud.cloud import HEALTH_PATH, LOOPBACK, RunnerName, environment_of
from kindling.localcloud.executions import interrupt
from kindling.localcloud.processes import end_survivors, is_same_process
from kindling.localcloud.store import Store, StoreError

DEFAULT_PORT = 5770
_HEALTHY_WITHIN_S = 60.0
# glibc: give freed blocks back instead of keeping some for each of the threads that answer requests.
_ALLOCATOR = {"MALLOC_ARENA_MAX": "2", "MALLOC_MMAP_THRESHOLD_": "131072", "MALLOC_TRIM_THRESHOLD_": "131072"}
_ENDED_WITHIN_S = 10.0
_RELEASED_WITHIN_S = 10.0  # a killed process keeps its port until the last of its threads is gone


class CloudError(RuntimeError):
    """The embedded cloud cannot be started or found. The message is one sentence, fit to be shown as it is."""


@dataclass(frozen=True, kw_only=True)
class CloudInfo:
    """A running embedded cloud. `started_at` is in seconds since the epoch."""

    pid: int
    port: int
    started_at: float
    version: str
    state: Path
    runner: RunnerName = "process"

    @property
    def endpoint_url(self) -> str:
        """Where every service answers."""
        return f"http://{LOOPBACK}:{self.port}"


def default_state() -> Path:
    """The state folder: KINDLING_STATE, or .kindling at the root of the repository."""
    return Path(os.environ.get("KINDLING_STATE") or Path(__file__).resolve().parents[2] / ".kindling")


def default_port() -> int:
    """The port: KINDLING_PORT, or 5770."""
    return int(os.environ.get("KINDLING_PORT") or DEFAULT_PORT)


def up(state: Path, port: int = DEFAULT_PORT, runner: RunnerName | None = None) -> CloudInfo:
    """Start the embedded cloud of `state` and wait until it answers; one that runs already is left as it is.

    Args:
        runner: how containers run; by default as they do already, or as processes.

    What outlived a cloud that was killed is ended, and the executions that it left running have failed.

    Raises:
        CloudError: the state folder is not writable, the port is taken, or the server did not start or does not answer,
            or it runs with another runner.
    """
    state = state.resolve()
    _make_writable(state)
    with _one_at_a_time(state):
        running = _answering(state)
        if running is not None and runner not in (None, running.runner):
            raise CloudError(
                f"the embedded cloud runs already, with the {running.runner} runner; end it with `kindling down` first."
            )
        if running is not None:
            return running
        was_killed = (state / "cloud.json").exists()
        (state / "cloud.json").unlink(missing_ok=True)
        end_survivors(state / "processes")
        _interrupt_executions(state)
        _require_free_port(port, within_s=_RELEASED_WITHIN_S if was_killed else 0.0)
        return _start(state, port, runner or "process")


def down(state: Path) -> bool:
    """End the embedded cloud of `state` and everything that it started; returns whether one was running."""
    state = state.resolve()
    running = info(state)
    if running is not None:
        process = psutil.Process(running.pid)
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(_ENDED_WITHIN_S)
        except psutil.TimeoutExpired:
            process.kill()
            process.wait(_ENDED_WITHIN_S)
    (state / "cloud.json").unlink(missing_ok=True)
    end_survivors(state / "processes")
    return running is not None


def info(state: Path) -> CloudInfo | None:
    """The running embedded cloud of `state`, or None; the record of one that was killed counts for nothing."""
    try:
        record = json.loads((state / "cloud.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    found = CloudInfo(**record, state=state)
    return found if is_same_process(found.pid, found.started_at) else None


def _answering(state: Path) -> CloudInfo | None:
    """The running embedded cloud, once it answers; None when there is none, or when it was killed and has ended now."""
    deadline = time.monotonic() + _HEALTHY_WITHIN_S
    while (running := info(state)) is not None and not _is_healthy(running):
        if time.monotonic() >= deadline:
            raise CloudError(f"the embedded cloud, pid {running.pid}, does not answer; end it with `kindling down`.")
        time.sleep(0.05)
    return running


def client_environment(info: CloudInfo) -> dict[str, str]:
    """Environment variables with which an AWS client talks to this cloud, and to nothing else."""
    return {**environment_of(info.endpoint_url), **sagemaker_sdk.environment(info.state)}


def deploy_environment(info: CloudInfo) -> dict[str, str]:
    """What the CDK's command line needs: the client's environment, and `kindling-docker` in place of docker."""
    executables = Path(sys.executable).parent
    return {
        **client_environment(info),
        "CDK_DOCKER": str(executables / "kindling-docker"),
        "KINDLING_STATE": str(info.state),
        "KINDLING_RUNNER": info.runner,
        "CDK_DEFAULT_REGION": environment_of(info.endpoint_url)["AWS_REGION"],
        "CDK_DISABLE_VERSION_CHECK": "1",
        "CDK_DISABLE_CLI_TELEMETRY": "true",
        "PATH": os.pathsep.join([str(executables), os.environ.get("PATH", os.defpath)]),
    }


def _make_writable(state: Path) -> None:
    try:
        state.mkdir(parents=True, exist_ok=True)
        probe = state / f".writable.{os.getpid()}"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise CloudError(
            f"the state folder {state} is not writable ({error.strerror}); choose another with KINDLING_STATE."
        ) from None


def _interrupt_executions(state: Path) -> None:
    try:
        store = Store(state / "cloud.db")
        interrupt(store)
        store.close()
    except StoreError as error:
        raise CloudError(f"{error} Choose another state folder with KINDLING_STATE, or remove this one.") from None


@contextmanager
def _one_at_a_time(state: Path) -> Iterator[None]:
    with (state / "up.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _require_free_port(port: int, within_s: float) -> None:
    deadline = time.monotonic() + within_s
    while (error := _error_of_listening(port)) is not None:
        if time.monotonic() >= deadline:
            raise CloudError(
                f"port {port} cannot be listened on ({error.strerror}{_holder(port)}); "
                "stop what uses it, or choose another with KINDLING_PORT."
            )
        time.sleep(0.05)


def _error_of_listening(port: int) -> OSError | None:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError as error:
            return error
    return None


def _holder(port: int) -> str:
    try:
        for connection in psutil.net_connections("tcp"):
            if connection.status == psutil.CONN_LISTEN and connection.laddr[1:2] == (port,) and connection.pid:
                return f", by {psutil.Process(connection.pid).name()} with pid {connection.pid}"
    except (psutil.AccessDenied, psutil.NoSuchProcess):
        return ""  # whose it is stays unknown; that it is taken is what matters
    return ""


def _start(state: Path, port: int, runner: RunnerName) -> CloudInfo:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "MOTO_"))}
    sagemaker_sdk.write_configuration(state)
    environment |= _ALLOCATOR
    command = [sys.executable, "-m", "kindling.localcloud.server", "--port", str(port), "--state", str(state)]
    with (state / "cloud.log").open("ab") as log:
        server = subprocess.Popen(
            [*command, "--runner", runner],
            cwd=Path(__file__).resolve().parents[2],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    deadline = time.monotonic() + _HEALTHY_WITHIN_S
    while time.monotonic() < deadline:
        if server.poll() is not None:
            raise CloudError(f"the embedded cloud ended while it started: {_last_line(state)} See {state}/cloud.log.")
        running = info(state)
        if running is not None and running.pid == server.pid and _is_healthy(running):
            server.returncode = 0  # it is to outlive this process, which need not wait for it
            return running
        time.sleep(0.05)
    server.kill()
    raise CloudError(f"the embedded cloud did not answer within {_HEALTHY_WITHIN_S:.0f} s; see {state}/cloud.log.")


def _is_healthy(running: CloudInfo) -> bool:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(f"{running.endpoint_url}{HEALTH_PATH}", timeout=5) as answer:
            found = json.load(answer)
            return bool(found["pid"] == running.pid and found["seams"])
    except (urllib.error.URLError, http.client.HTTPException, ConnectionError, TimeoutError, json.JSONDecodeError):
        return False  # not there yet, or it ended in the middle of its answer


def _last_line(state: Path) -> str:
    lines = (state / "cloud.log").read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return lines[-1] if lines else "it said nothing."
