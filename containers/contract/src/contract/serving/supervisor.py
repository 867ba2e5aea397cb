"""The server's processes: one that holds the model and watches, and its workers, which share the model's memory."""

from __future__ import annotations

import gc
import logging
import os
import select
import signal
import socket
import time
from types import FrameType

from contract.serving.application import Application
from contract.serving.settings import ServingSettings
from contract.serving.worker import STOPPING_S, Loads, Worker

logger = logging.getLogger(__name__)

_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD)
_BACKLOG = 2048
_SHORT_LIFE_S = 1.0  # a worker that ends sooner is not followed by another at once
_PAUSE_S = 1.0
_KILLING_S = 2.0


def bind(settings: ServingSettings) -> socket.socket:
    """The server's socket, which accepts no connection before it listens.

    Raises:
        OSError: the address is in use, or not this machine's.
    """
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((settings.host, settings.port))
    listener.settimeout(0)
    return listener


class Supervisor:
    """Forks the workers, puts another in the place of one that dies, and stops them all.

    A worker is a copy of this process, made after the model was loaded: what has been read or mapped exists once.
    """

    def __init__(self, application: Application, settings: ServingSettings, listener: socket.socket) -> None:
        self._application, self._listener = application, listener
        self._count = settings.workers
        self._loads = Loads(self._count)
        self._workers: dict[int, tuple[int, float]] = {}  # by process id: the worker's number, and since when
        self._due = dict.fromkeys(range(self._count), 0.0)  # workers to be started, and when
        self._stopping = False
        self._lifeline = os.pipe()
        self._wakeup = os.pipe()

    def run(self) -> int:
        """Serve until SIGTERM or SIGINT, finish the requests under way, and give the exit code."""
        for end in self._wakeup:
            os.set_blocking(end, False)
        signal.set_wakeup_fd(self._wakeup[1], warn_on_full_buffer=False)
        for number in _SIGNALS:
            signal.signal(number, self._note)
        gc.collect()
        gc.freeze()  # the collector would write into every object's head, and so make a copy of the memory
        self._listener.listen(_BACKLOG)
        while not self._stopping:
            self._start_due()
            self._wait(min(self._due.values(), default=None))
            self._reap()
        self._stop()
        return 0

    def _note(self, number: int, _frame: FrameType | None) -> None:
        self._stopping |= number != signal.SIGCHLD

    def _wait(self, until: float | None) -> None:
        """Sleep until a signal comes, or until a moment."""
        timeout = None if until is None else max(0.0, until - time.monotonic())
        if select.select([self._wakeup[0]], [], [], timeout)[0]:
            os.read(self._wakeup[0], 4096)

    def _start_due(self) -> None:
        now = time.monotonic()
        for number in [number for number, due in self._due.items() if due <= now]:
            del self._due[number]
            self._loads.set(number, 0)
            process = os.fork()
            if not process:
                self._become_worker(number)
            self._workers[process] = (number, now)

    def _become_worker(self, number: int) -> None:
        """Serve, in a process that was forked just now, and end it."""
        code = 1
        try:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            for end in (*self._wakeup, self._lifeline[1]):
                os.close(end)
            worker = Worker(self._application, number, self._listener, self._lifeline[0], self._loads)
            for signal_ in (signal.SIGTERM, signal.SIGINT):
                signal.signal(signal_, worker.handle_exit)
            worker.should_exit |= self._stopping  # one that came before
            worker.run()
            code = 0
        except BaseException:
            logger.exception("worker %d failed", number)
        finally:
            logging.shutdown()
            os._exit(code)

    def _reap(self) -> None:
        """Note the workers that have ended, and when others take their places."""
        for process, status in _ended():
            number, since = self._workers.pop(process, (None, 0.0))
            if number is None or self._stopping:
                continue
            now = time.monotonic()
            self._due[number] = now if now - since > _SHORT_LIFE_S else now + _PAUSE_S
            logger.error("worker %d (process %d) %s; another takes its place.", number, process, _told(status))

    def _stop(self) -> None:
        self._signal(signal.SIGTERM)
        deadline = time.monotonic() + STOPPING_S + _KILLING_S
        while self._workers and time.monotonic() < deadline:
            self._reap()
            if self._workers:
                self._wait(deadline)
        if self._workers:
            logger.error("%d workers did not end in %d s and are killed.", len(self._workers), STOPPING_S)
            self._signal(signal.SIGKILL)
            while self._workers:
                self._reap()
                time.sleep(0.01)
        self._listener.close()

    def _signal(self, number: signal.Signals) -> None:
        for process in self._workers:
            os.kill(process, number)  # it cannot be another's id: an ended worker keeps it until it is reaped


def _ended() -> list[tuple[int, int]]:
    """Process ids and exit statuses of the children that have ended."""
    found: list[tuple[int, int]] = []
    while True:
        try:
            process, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return found
        if not process:
            return found
        found.append((process, status))


def _told(status: int) -> str:
    code = os.waitstatus_to_exitcode(status)
    return f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
