"""Everything the embedded cloud starts, and the promise that it ends with the cloud.

Three things keep that promise. On Linux the kernel kills each process when the thread that forked it ends, so one
thread that lives as long as the cloud does all the forking. Each process leads a session of its own, so that what it
starts can be ended with it. And each is written down with its pid and start time, so that the next `up` finds whatever
outlived a cloud that was killed.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import psutil

_PR_SET_PDEATHSIG = 1
_START_TIME_TOLERANCE_S = 1.0
_KILLED_WITHIN_S = 5.0

_Stream = int | IO[bytes] | None


@dataclass(frozen=True)
class _Request:
    command: Sequence[str]
    env: Mapping[str, str]
    cwd: Path
    stdin: _Stream
    stdout: _Stream
    stderr: _Stream
    pass_fds: Sequence[int]
    started: Future[subprocess.Popen[bytes]] = field(default_factory=Future)


class Processes:
    """Starts processes that end with the cloud. `registry` is the folder of their records."""

    def __init__(self, registry: Path) -> None:
        self._registry = registry
        self._requests: queue.SimpleQueue[_Request] = queue.SimpleQueue()
        self._running: dict[int, subprocess.Popen[bytes]] = {}
        self._lock = threading.Lock()
        self._ended = False
        registry.mkdir(parents=True, exist_ok=True)
        threading.Thread(target=self._spawn_forever, name="spawner", daemon=True).start()

    def start(
        self,
        command: Sequence[str],
        *,
        name: str,
        env: Mapping[str, str],
        cwd: Path,
        stdin: _Stream = subprocess.DEVNULL,
        stdout: _Stream = None,
        stderr: _Stream = subprocess.STDOUT,
        pass_fds: Sequence[int] = (),
    ) -> subprocess.Popen[bytes]:
        """Start `command` with exactly the environment `env`, as the leader of its own session.

        Args:
            name: what the process is, for the record and the log.
            stdin, stdout, stderr, pass_fds: as in subprocess.Popen; standard error goes where standard output goes.
        Raises:
            OSError: the program cannot be started.
            RuntimeError: the cloud is ending.
        """
        request = _Request(command, env, cwd, stdin, stdout, stderr, pass_fds)
        self._requests.put(request)
        process = request.started.result()
        with self._lock:
            self._forget_ended()
            self._running[process.pid] = process
            ended = self._ended
        self._record(process.pid, name)
        if ended:
            end(process, grace_s=0)
            raise RuntimeError(f"the embedded cloud is ending, so {name} was not started")
        return process

    @property
    def ending(self) -> bool:
        """Whether `end_all` was called: the end of a process then says nothing about the process."""
        return self._ended

    def end_all(self, grace_s: float = 3.0) -> None:
        """End every process and what it started; none can be started afterwards."""
        with self._lock:
            self._ended = True
            running = list(self._running.values())
        for process in running:
            _signal_group(process.pid, signal.SIGTERM)
        for process in running:
            end(process, grace_s=grace_s)
        with self._lock:
            self._forget_ended()

    def _spawn_forever(self) -> None:
        before_exec = _die_with_parent()
        while True:
            request = self._requests.get()
            try:
                process = subprocess.Popen(
                    list(request.command),
                    env=dict(request.env),
                    cwd=request.cwd,
                    stdin=request.stdin,
                    stdout=request.stdout,
                    stderr=request.stderr,
                    pass_fds=tuple(request.pass_fds),
                    start_new_session=True,
                    preexec_fn=before_exec,
                )
            except Exception as error:  # noqa: BLE001  whatever it is, it belongs to the one who asked
                request.started.set_exception(error)
            else:
                request.started.set_result(process)

    def _record(self, pid: int, name: str) -> None:
        with contextlib.suppress(psutil.NoSuchProcess):
            record = {"pid": pid, "started": psutil.Process(pid).create_time(), "name": name}
            (self._registry / f"{pid}.json").write_text(json.dumps(record), encoding="utf-8")

    def _forget_ended(self) -> None:
        for pid in [pid for pid, process in self._running.items() if process.poll() is not None]:
            del self._running[pid]
            (self._registry / f"{pid}.json").unlink(missing_ok=True)


def end(process: subprocess.Popen[bytes], *, grace_s: float = 5.0) -> int:
    """End a process and everything it started: SIGTERM, and SIGKILL to what is left after `grace_s` seconds.

    Returns:
        the exit status, as Popen gives it.
    """
    if process.poll() is None and grace_s > 0:
        _signal_group(process.pid, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(grace_s)
    _signal_group(process.pid, signal.SIGKILL)
    return process.wait()


def end_survivors(registry: Path) -> list[str]:
    """End what outlived a cloud that was killed, by its records; returns the names of what was ended."""
    ended = []
    for path in sorted(registry.glob("*.json")):
        try:
            record = json.loads(path.read_text(encoding="utf-8"))
        except json.JSONDecodeError:  # the cloud was killed while it wrote this record
            record = {"pid": int(path.stem), "started": path.stat().st_mtime, "name": f"process {path.stem}"}
        if _end_session(int(record["pid"]), float(record["started"])):
            ended.append(str(record["name"]))
        path.unlink(missing_ok=True)
    return ended


def is_same_process(pid: int, started: float) -> bool:
    """Whether `pid` is still the process that started at `started` (seconds since the epoch)."""
    try:
        process = psutil.Process(pid)
        alive = process.status() != psutil.STATUS_ZOMBIE
        return alive and abs(process.create_time() - started) < _START_TIME_TOLERANCE_S
    except psutil.NoSuchProcess:
        return False


def _end_session(leader: int, started: float) -> bool:
    if psutil.pid_exists(leader) and not is_same_process(leader, started) and not _is_zombie(leader):
        return False  # the number belongs to somebody else now
    members = []
    for pid in psutil.pids():
        # A session keeps its number reserved until its last member ends, so this cannot hit a stranger.
        with contextlib.suppress(ProcessLookupError, PermissionError, psutil.NoSuchProcess):
            if os.getsid(pid) == leader and not _is_zombie(pid):
                members.append(psutil.Process(pid))
                os.kill(pid, signal.SIGKILL)
    psutil.wait_procs(members, timeout=_KILLED_WITHIN_S)
    return bool(members)


def _is_zombie(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True


def _signal_group(leader: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, number)


def _die_with_parent() -> Callable[[], None] | None:
    """What a child runs before it becomes its program: ask the kernel to kill it when the spawning thread ends."""
    if not sys.platform.startswith("linux"):
        return None
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    cloud = os.getpid()

    def ask() -> None:
        prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
        if os.getppid() != cloud:  # it ended before the question was asked
            os._exit(1)

    return ask
