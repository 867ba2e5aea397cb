"""One instance of an endpoint: a serving container, watched, and started again when it ends on its own."""

from __future__ import annotations

import shutil
import threading
import time
from dataclasses import dataclass, field

import urllib3

from kindling.localcloud.sagemaker.errors import DataError
from kindling.localcloud.sagemaker.hosting.endpoint_configs import Variant
from kindling.localcloud.sagemaker.limits import Limits
from kindling.localcloud.sagemaker.logs import LogStream, OutputReader
from kindling.localcloud.sagemaker.runner import Container, Runner, Start

_PING_TIMEOUT_S = 2.0
_PING_PAUSE_S = 0.1
_CONNECTIONS = 32
_FIRST_PAUSE_S = 1.0  # before a container is started again; twice as long each time
_LONGEST_PAUSE_S = 30.0


class NotHealthyError(Exception):
    """An instance did not become healthy. The message says why, as DescribeEndpoint shows it; `why` is its core."""

    def __init__(self, message: str, why: str) -> None:
        super().__init__(message)
        self.why = why


@dataclass
class _Running:
    """One container of an instance, from its start to its end."""

    container: Container
    pool: urllib3.HTTPConnectionPool
    output: OutputReader
    ended: threading.Event = field(default_factory=threading.Event)
    code: int = 0


class Instance:
    """A serving container and what keeps it running."""

    def __init__(self, variant: Variant, start: Start, runner: Runner, stream: LogStream, limits: Limits) -> None:
        self.variant = variant
        self.stream = stream
        self._start = start
        self._runner = runner
        self._limits = limits
        self._stopping = threading.Event()
        self._healthy = threading.Event()
        self._running: _Running | None = None
        self._watcher = threading.Thread(target=self._watch, name=f"{start.name} end", daemon=True)

    @property
    def healthy(self) -> bool:
        """Whether it can be asked."""
        return self._healthy.is_set()

    def start(self) -> None:
        """Start the container and watch it.

        Raises:
            DataError: it cannot be started.
        """
        self._open()
        self._watcher.start()

    def wait_until_healthy(self) -> None:
        """Ask /ping until it answers 200.

        Raises:
            NotHealthyError: the container ended, or the time is over.
        """
        running = self._running
        assert running is not None
        limit = self.variant.startup_s or self._limits.ping_s
        deadline = time.monotonic() + limit
        while not _ping(running.pool):
            # What it waits for is the container's end, which makes further asking vain.
            if running.ended.wait(_PING_PAUSE_S):
                raise self._not_healthy(f"it exited with code {running.code}")
            if time.monotonic() > deadline:
                raise self._not_healthy(f"/ping did not answer 200 within {limit:g} s")
        self._healthy.set()

    def post(
        self, body: bytes, headers: dict[str, str], *, timeout_s: float | None = None, chunked: bool = False
    ) -> urllib3.BaseHTTPResponse:
        """Send an invocation.

        Args:
            timeout_s: for the answer; by default what an endpoint has for it.
            chunked: whether the body goes in HTTP's chunked transfer coding.
        Raises:
            urllib3.exceptions.HTTPError: no answer in time, or no connection.
        """
        assert self._running is not None
        timeout = urllib3.Timeout(total=timeout_s or self._limits.invocation_s)
        pool = self._running.pool
        return pool.urlopen(
            "POST", "/invocations", body=body, headers=headers, timeout=timeout, retries=False, chunked=chunked
        )

    def get(self, path: str) -> urllib3.BaseHTTPResponse:
        """What the container answers to a GET.

        Raises:
            urllib3.exceptions.HTTPError: no answer in time, or no connection.
        """
        assert self._running is not None
        timeout = urllib3.Timeout(total=self._limits.invocation_s)
        return self._running.pool.urlopen("GET", path, timeout=timeout, retries=False)

    def stop(self) -> None:
        """End the container: SIGTERM, and SIGKILL after the grace time; then remove its folder."""
        self._stopping.set()
        self._healthy.clear()
        if self._running is not None:
            self._running.container.terminate()
            self._watcher.join(self._limits.serving_grace_s)
            self._running.container.kill()
            self._watcher.join()
        shutil.rmtree(self._start.base, ignore_errors=True)

    def _open(self) -> None:
        container = self._runner.start(self._start)
        host, port = container.address
        pool = urllib3.HTTPConnectionPool(host, port, maxsize=_CONNECTIONS)
        self._running = _Running(container, pool, OutputReader(container.output, self.stream))

    def _watch(self) -> None:
        """Wait for the container's end; start it again, as the service does, when it had been healthy."""
        served, pause = False, _FIRST_PAUSE_S
        while True:
            running = self._running
            assert running is not None
            running.code = running.container.wait()
            running.output.finish()
            running.pool.close()
            served |= self._healthy.is_set()
            self._healthy.clear()
            running.ended.set()
            if not served or self._stopping.is_set():
                return
            self._say(f"The container exited with code {running.code}; it is started again.")
            if self._stopping.wait(pause) or not self._open_again():
                return
            pause = min(2 * pause, _LONGEST_PAUSE_S)

    def _open_again(self) -> bool:
        try:
            self._open()
        except DataError as error:
            self._say(str(error))
            return False
        if self._stopping.is_set() and self._running is not None:
            self._running.container.terminate()
        threading.Thread(target=self._wait_again, name=f"{self._start.name} ping", daemon=True).start()
        return True

    def _wait_again(self) -> None:
        try:
            self.wait_until_healthy()
        except NotHealthyError as error:
            self._say(str(error))

    def _say(self, sentence: str) -> None:
        self.stream.write(f"{sentence}\n".encode())

    def _not_healthy(self, why: str) -> NotHealthyError:
        last = self.stream.last_line
        why = f"{why}{f'; its last log line: {last}' if last else ''}"
        message = (
            f"The primary container for production variant {self.variant.name} did not pass the ping health check: "
            f"{why}. Please check CloudWatch logs for this endpoint."
        )
        return NotHealthyError(message, why)


def _ping(pool: urllib3.HTTPConnectionPool) -> bool:
    try:
        answer = pool.urlopen("GET", "/ping", timeout=_PING_TIMEOUT_S, retries=False)
    except urllib3.exceptions.HTTPError:
        return False
    return bool(answer.status == 200)
