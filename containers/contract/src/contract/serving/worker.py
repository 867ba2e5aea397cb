"""One worker of the server: a process that answers requests from the socket that all workers share."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import mmap
import os
import signal
import socket
from collections.abc import Generator
from typing import Any

import uvicorn

from contract.serving.application import Application
from contract.serving.connection import Connection, Outbox

logger = logging.getLogger(__name__)

STOPPING_S = 25  # the service kills the container 30 s after SIGTERM
_KEEP_ALIVE_S = 75  # longer than clients and proxies keep an idle connection, so that they close it and not we
_POLITE_S = 0.001  # how long a worker leaves a new connection to one that has fewer
_FULL_S = 1.0
_KILLED = 128 + signal.SIGKILL


class Loads:
    """How many connections each worker has, in memory that all of them share."""

    def __init__(self, workers: int) -> None:
        self._counts = memoryview(mmap.mmap(-1, workers * 4)).cast("i")

    def set(self, worker: int, connections: int) -> None:
        """Tell the others."""
        self._counts[worker] = connections

    def least(self) -> int:
        """The number of the worker that has the fewest."""
        return min(self._counts)


class Worker(uvicorn.Server):
    """uvicorn's server, with connections of ours, which accepts only its share of them.

    Args:
        listener: a listening socket that does not block.
        lifeline: the reading end of a pipe that ends when the supervisor does.
    """

    def __init__(self, application: Application, number: int, listener: socket.socket, lifeline: int, loads: Loads):
        super().__init__(
            uvicorn.Config(
                application,
                loop="uvloop",
                http=Connection,
                ws="none",
                lifespan="off",
                interface="asgi3",
                log_config=None,
                access_log=False,
                proxy_headers=False,
                server_header=False,
                date_header=False,
                timeout_keep_alive=_KEEP_ALIVE_S,
                timeout_graceful_shutdown=STOPPING_S,
            )
        )
        self._application = application
        self._number, self._listener, self._lifeline, self._loads = number, listener, lifeline, loads
        self._opening = 0
        self._tasks: set[asyncio.Task[None]] = set()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:  # noqa: ARG002 - uvicorn's
        """Begin to accept connections."""
        self._loop = asyncio.get_running_loop()
        self._outbox = Outbox(self._loop)
        self.servers = []
        self._loop.add_reader(self._lifeline, os._exit, _KILLED)
        self._loop.add_reader(self._listener, self._consider)
        self.started = True

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Accept no more connections, and finish the requests under way."""
        self._loop.remove_reader(self._listener)
        await asyncio.gather(*self._tasks, return_exceptions=True)  # connections that were accepted a moment ago
        await super().shutdown(sockets)

    async def on_tick(self, counter: int) -> bool:
        """Ten times a second."""
        self._tell()
        if counter % 10 == 0:
            self._application.forget()
        return await super().on_tick(counter)

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Stop at SIGTERM and SIGINT; the exit code stays 0."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self.handle_exit)
        yield

    def _consider(self) -> None:
        """A connection waits. One worker would take all that come together, so the others are let go first."""
        if self._tell() <= self._loads.least():
            self._accept()
        else:
            self._pause(_POLITE_S)

    def _pause(self, seconds: float) -> None:
        self._loop.remove_reader(self._listener)
        self._loop.call_later(seconds, self._accept_after_all)

    def _accept_after_all(self) -> None:
        if not self.should_exit:
            self._loop.add_reader(self._listener, self._consider)
            self._accept()

    def _accept(self) -> None:
        try:
            connection, _ = self._listener.accept()
        except (BlockingIOError, ConnectionError):
            return  # another worker was faster, or the client has gone
        except OSError as error:  # too many open files
            logger.error("worker %d cannot accept a connection: %s", self._number, error.strerror)
            self._pause(_FULL_S)
            return
        connection.settimeout(0)
        self._opening += 1
        task = self._loop.create_task(self._open(connection))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _open(self, connection: socket.socket) -> None:
        try:
            await self._loop.connect_accepted_socket(self._protocol, connection)
        finally:
            self._opening -= 1
            self._tell()

    def _protocol(self) -> Any:
        state = self.server_state
        return Connection(config=self.config, server_state=state, app_state={}, _loop=self._loop, outbox=self._outbox)

    def _tell(self) -> int:
        own = len(self.server_state.connections) + self._opening
        self._loads.set(self._number, own)
        return own
