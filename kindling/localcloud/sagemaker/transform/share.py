"""One instance's share of a transform job: its objects, and the requests by which they become .out objects."""

from __future__ import annotations

import gzip
import shutil
import threading
import zlib
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO

import urllib3

from kindling.localcloud.sagemaker.errors import DataError
from kindling.localcloud.sagemaker.hosting.instance import Instance
from kindling.localcloud.sagemaker.logs import LogStream
from kindling.localcloud.sagemaker.objects import Address, Objects
from kindling.localcloud.sagemaker.sources import Part
from kindling.localcloud.sagemaker.transform.data_processing import DataProcessing
from kindling.localcloud.sagemaker.transform.records import Batch, batches
from kindling.localcloud.sagemaker.transform.settings import Settings

_RETRIES, _TIMEOUT_S = 3, 600.0  # where a request has no ModelClientConfig
_FIRST_PAUSE_S = 0.5  # before an invocation is tried again; twice as long each time


class _FailedError(Exception):
    """An object cannot be transformed. The message says why."""

    def __init__(self, kind: str, why: str) -> None:
        super().__init__(why)
        self.kind = kind


@dataclass(frozen=True)
class Failure:
    """An object that could not be transformed: whose fault it is (ClientError or AlgorithmError), and why."""

    part: Part
    kind: str
    why: str

    def __str__(self) -> str:
        return f"{self.part.address.bucket}/{self.part.address.key}: {self.why}"


class DataLog:
    """What becomes of the objects of an instance, in the words of the service's data log."""

    def __init__(self, stream: LogStream) -> None:
        self._stream = stream
        self._lock = threading.Lock()

    def say(self, text: str) -> None:
        """Log lines, each with the time."""
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3]
        with self._lock:
            for line in text.splitlines():
                self._stream.write(f"{now}:[sagemaker logs]: {line}\n".encode())


class Share:
    """One instance and what it is to do.

    Args:
        folder: where objects lie while they are transformed.
        go_on: called now and then; raises to end the work.
    """

    def __init__(
        self,
        request: Mapping[str, Any],
        settings: Settings,
        processing: DataProcessing,
        instance: Instance,
        log: DataLog,
        objects: Objects,
        folder: Path,
        go_on: Callable[[], None],
    ) -> None:
        self._input, self._output = request["TransformInput"], request["TransformOutput"]
        self._client = request.get("ModelClientConfig", {})
        self._settings, self._processing, self._instance = settings, processing, instance
        self._log, self._objects, self._folder, self._go_on = log, objects, folder, go_on
        self._requests = ThreadPoolExecutor(settings.max_concurrent, thread_name_prefix=f"{folder.parent.name} request")

    def transform(self, parts: Sequence[Part]) -> list[Failure]:
        """Transform objects, as many at the same time as requests may be.

        Returns:
            those that failed; the others' .out objects are there.
        Raises:
            StoppedError: `go_on` raised it.
        """
        self._log.say(str(self._settings))
        self._folder.mkdir()
        with self._requests, ThreadPoolExecutor(self._settings.max_concurrent) as workers:
            found = list(workers.map(self._one, range(len(parts)), parts))
        return [failure for failure in found if failure is not None]

    def _one(self, number: int, part: Part) -> Failure | None:
        given, made = self._folder / f"{number}.in", self._folder / f"{number}.out"
        try:
            self._go_on()
            self._fetch(part.address, given)
            with given.open("rb") as source, made.open("wb") as sink:
                for piece in self._answers(source):
                    sink.write(piece)
            self._objects.write(self._target(part), made, self._output.get("KmsKeyId"))
        except (DataError, _FailedError) as error:
            kind = error.kind if isinstance(error, _FailedError) else "ClientError"
            failure = Failure(part, kind, str(error))
            self._log.say(f"{part.address.bucket}/{part.address.key}: {kind}: {error}")
            return failure
        finally:
            given.unlink(missing_ok=True)
            made.unlink(missing_ok=True)
        return None

    def _target(self, part: Part) -> Address:
        return Address.parse(self._output["S3OutputPath"]).below(f"{part.name}.out")

    def _fetch(self, address: Address, path: Path) -> None:
        with path.open("wb") as file:
            self._objects.read_into(address, file)
        if self._input.get("CompressionType") != "Gzip":
            return
        packed = path.rename(path.with_suffix(".gz"))
        try:
            with gzip.open(packed) as content, path.open("wb") as file:
                shutil.copyfileobj(content, file)
        except (gzip.BadGzipFile, EOFError, zlib.error) as error:
            raise DataError(f"it is not gzip: {error}.") from None
        finally:
            packed.unlink()

    def _answers(self, source: BinaryIO) -> Iterator[bytes]:
        """What is stored of an object, batch by batch in its order, as many batches under way as requests may be."""
        prepare = self._processing.sent if self._processing.filters_input else None
        under_way: deque[tuple[Batch, Future[bytes]]] = deque()
        for batch in batches(source, self._input.get("SplitType", "None"), self._settings, prepare):
            under_way.append((batch, self._requests.submit(self._ask, batch.body)))
            if len(under_way) == self._settings.max_concurrent:
                yield from self._stored(*under_way.popleft())
        while under_way:
            yield from self._stored(*under_way.popleft())

    def _stored(self, batch: Batch, answer: Future[bytes]) -> Iterator[bytes]:
        found = answer.result()
        pieces = self._processing.stored(batch.records, found) if self._processing.changes_output else [found]
        for piece in pieces:
            yield piece
            if self._output.get("AssembleWith") == "Line" and not piece.endswith(b"\n"):
                yield b"\n"

    def _ask(self, body: bytes) -> bytes:
        """The container's answer to a request, which is tried again when the container is at fault."""
        tries = 1 + self._client.get("InvocationsMaxRetries", _RETRIES)
        pause = threading.Event()
        for trial in range(tries):
            self._go_on()
            try:
                return self._answer(body)
            except _FailedError as error:
                self._go_on()  # a container that was stopped does not answer
                if error.kind == "ClientError" or trial == tries - 1:
                    raise
                pause.wait(_FIRST_PAUSE_S * 2**trial)
        raise AssertionError

    def _answer(self, body: bytes) -> bytes:
        timeout = float(self._client.get("InvocationsTimeoutInSeconds", _TIMEOUT_S))
        members = {"Content-Type": self._input.get("ContentType"), "Accept": self._output.get("Accept")}
        headers = {name: value for name, value in members.items() if value}
        chunked = self._settings.max_payload_bytes is None
        try:
            answer = self._instance.send(
                "POST", "/invocations", body=body, headers=headers, timeout_s=timeout, chunked=chunked
            )
        except urllib3.exceptions.TimeoutError:
            raise _FailedError("AlgorithmError", f"the container gave no answer within {timeout:g} s") from None
        except urllib3.exceptions.HTTPError as error:
            raise _FailedError("AlgorithmError", f"the connection to the container broke: {error}") from None
        if answer.status < 400:
            return answer.data
        said = answer.data.decode("utf-8", errors="replace")
        kind = "ClientError" if answer.status < 500 else "AlgorithmError"
        raise _FailedError(kind, f"Bad HTTP status received from algorithm: {answer.status}, message: {said}")
