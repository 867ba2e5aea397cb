"""One instance of an endpoint: a serving container, watched, and started again when it ends on its own."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import urllib3

from kindling.localcloud.sagemaker.errors import DataError, ThrottledError
from kindling.localcloud.sagemaker.hosting.endpoint_configs import Variant
from kindling.localcloud.sagemaker.limits import Limits
from kindling.localcloud.sagemaker.logs import LogStream, OutputReader
from kindling.localcloud.sagemaker.runner import Container, Runner, Start

_PING_TIMEOUT_S = 2.0
_PING_PAUSE_S = 0.1
_CONNECTIONS = 32
_LONGEST_PAUSE_S = 30.0
_SETTLE_S = 0.2  # from being chosen to being asked; an instance is not stopped within it
_DRAIN_PAUSE_S = 0.02


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
        self._counting = threading.Lock()
        self._under_way = 0
        self._pause_s = limits.restart_pause_s
        self._last_used = time.monotonic()
        self._running: _Running | None = None
        self._watcher = threading.Thread(target=self._watch, name=f"{start.name} end", daemon=True)

    @property
    def healthy(self) -> bool:
        """Whether it can be asked."""
        return self._healthy.is_set()

    @property
    def under_way(self) -> int:
        """Requests that it has not answered yet."""
        return self._under_way

    @property
    def idle_s(self) -> float:
        """For how long nobody has asked it; 0 while a request is under way."""
        return 0.0 if self._under_way else time.monotonic() - self._last_used

    def chosen(self) -> Instance:
        """Note that a request is about to come."""
        self._last_used = time.monotonic()
        return self

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
        asked = self.variant.startup_s
        limit = self._limits.ping_s if asked is None else self._limits.seconds(asked)
        deadline = time.monotonic() + limit
        while not _ping(running.pool):
            # What it waits for is the container's end, which makes further asking vain.
            if running.ended.wait(_PING_PAUSE_S):
                raise self._not_healthy(f"it exited with code {running.code}")
            if time.monotonic() > deadline:
                raise self._not_healthy(f"/ping did not answer 200 within {limit:g} s")
        self._healthy.set()
        if running.ended.is_set():  # right after its answer
            self._healthy.clear()
            raise self._not_healthy(f"it exited with code {running.code}")

    @property
    def base(self) -> Path:
        """The folder that stands for the container's /opt/ml."""
        return self._start.base

    def send(
        self,
        method: str,
        path: str,
        *,
        body: bytes | IO[bytes] | None = None,
        headers: Mapping[str, str] | None = None,
        timeout_s: float | None = None,
        chunked: bool = False,
        stream: bool = False,
    ) -> urllib3.BaseHTTPResponse:
        """Send a request to the container.

        Args:
            timeout_s: for the whole answer; by default what an invocation may take.
            chunked: whether the body goes in HTTP's chunked transfer coding.
            stream: leave the answer's body to be read by the caller, who closes the answer, all within `asked`.
        Raises:
            ThrottledError: a serverless variant answers as many as its MaxConcurrency already.
            urllib3.exceptions.HTTPError: no answer in time, or no connection.
        """
        assert self._running is not None
        pool = self._running.pool
        with nullcontext() if stream else self.asked():
            return pool.urlopen(
                method,
                path,
                body=body,
                headers=headers,
                timeout=urllib3.Timeout(total=timeout_s or self._limits.invocation_s),
                retries=False,
                redirect=False,
                chunked=chunked,
                preload_content=not stream,
            )

    @contextmanager
    def asked(self) -> Iterator[None]:
        """Count a request while it is under way: `stop` waits for it, and a serverless variant takes only so many.

        Raises:
            ThrottledError: that many are under way already.
        """
        with self._counting:
            serverless = self.variant.serverless
            if serverless is not None and self._under_way >= serverless["MaxConcurrency"]:
                raise throttled(self.variant)
            self._under_way += 1
        try:
            yield
        finally:
            with self._counting:
                self._under_way -= 1
                self._last_used = time.monotonic()

    def stop(self) -> None:
        """End the container when it has answered what is under way: SIGTERM, and SIGKILL after the grace time.

        Its folder is removed. It must not be chosen any more.
        """
        self._stopping.set()
        if self._healthy.is_set():
            self._drain()
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
        served = False
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
            if not self._runner.ending:
                self._say(f"The container exited with code {running.code}; it is started again.")
            if not self._start_again():
                return

    def _start_again(self) -> bool:
        """Start another container, however often that fails; False when the instance is stopped meanwhile."""
        while not self._stopping.wait(self._pause_s) and not self._runner.ending:
            self._pause_s = min(2 * self._pause_s, _LONGEST_PAUSE_S)
            try:
                self._open()
            except DataError as error:
                self._say(str(error))
                continue
            if self._stopping.is_set() and self._running is not None:
                self._running.container.terminate()
            threading.Thread(target=self._wait_again, name=f"{self._start.name} ping", daemon=True).start()
            return True
        return False

    def _wait_again(self) -> None:
        running = self._running
        assert running is not None
        try:
            self.wait_until_healthy()
        except NotHealthyError as error:
            self._say(str(error))
            running.container.kill()  # its end, which is watched, has another one started
        else:
            self._pause_s = self._limits.restart_pause_s

    def _drain(self) -> None:
        deadline = time.monotonic() + self._limits.invocation_s
        while self.idle_s < _SETTLE_S and time.monotonic() < deadline:
            time.sleep(_DRAIN_PAUSE_S)

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


def throttled(variant: Variant) -> ThrottledError:
    """The refusal of one request too many."""
    limit = (variant.serverless or {}).get("MaxConcurrency")
    return ThrottledError(f"Variant {variant.name} answers {limit} requests already, its MaxConcurrency.")


def _ping(pool: urllib3.HTTPConnectionPool) -> bool:
    try:
        answer = pool.urlopen("GET", "/ping", timeout=_PING_TIMEOUT_S, retries=False)
    except urllib3.exceptions.HTTPError:
        return False
    return bool(answer.status == 200)
