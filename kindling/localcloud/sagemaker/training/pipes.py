"""Named pipes of channels in Pipe mode: one for each epoch, filled as the container reads, gone with the job."""

from __future__ import annotations

import contextlib
import itertools
import os
import select
import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import TracebackType

from kindling.localcloud.sagemaker.training.streams import Epochs

_BATCH_BYTES = 1 << 16  # what a pipe holds


class _EndedError(Exception):
    """The job has ended, so nobody will read on."""


class Pipes:
    """The pipes of one job, each with a thread that feeds it. Leaving the context ends the threads.

    Args:
        tell: takes the error for which a pipe could not be fed, before its reader sees the pipe's end.
    """

    def __init__(self, tell: Callable[[Exception], None]) -> None:
        self._tell = tell
        self._feeders: list[_Feeder] = []
        # Closing one end wakes every thread that waits for room in its pipe.
        self._ending, self._alive = os.pipe()

    def lay(self, channel: Path, epochs: Epochs) -> None:
        """Make a channel's pipes one after the other, the first one now.

        Args:
            channel: the folder that the channel would have in File mode; its pipes are `<channel>_<epoch>` beside it.
            epochs: what an epoch's pipe is fed with.
        """
        feeder = _Feeder(channel, epochs, self._ending, self._tell)
        feeder.start()
        self._feeders.append(feeder)

    def __enter__(self) -> Pipes:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._alive)
        for feeder in self._feeders:
            feeder.end()
        os.close(self._ending)


class _Feeder:
    """Makes one channel's pipes: the next one once the reader has closed the last."""

    def __init__(self, channel: Path, epochs: Epochs, ending: int, tell: Callable[[Exception], None]) -> None:
        self._channel, self._epochs, self._ending, self._tell = channel, epochs, ending, tell
        self._lock = threading.Lock()
        self._ended = False
        self._pipe = self._make(0)
        self._thread = threading.Thread(target=self._run, name=f"{channel.name} feeder", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def end(self) -> None:
        """End the thread, wherever it is."""
        with self._lock:
            self._ended = True
        with contextlib.ExitStack() as stack:
            with contextlib.suppress(FileNotFoundError):
                # It may be waiting for a reader; this is one.
                stack.callback(os.close, os.open(self._pipe, os.O_RDONLY | os.O_NONBLOCK))
            self._thread.join()
        self._pipe.unlink(missing_ok=True)

    def _run(self) -> None:
        try:
            for epoch in itertools.count():
                self._feed(epoch)
                with self._lock:
                    if self._ended:
                        return
                    self._pipe = self._make(epoch + 1)
        except _EndedError:
            return

    def _make(self, epoch: int) -> Path:
        pipe = self._channel.with_name(f"{self._channel.name}_{epoch}")
        os.mkfifo(pipe)
        return pipe

    def _feed(self, epoch: int) -> None:
        pipe = os.open(self._pipe, os.O_WRONLY)  # waits for the container to open it
        try:
            os.set_blocking(pipe, False)
            for batch in _batches(self._epochs(epoch)):
                self._write(pipe, batch)
        except BrokenPipeError:
            return  # the reader has had enough
        except _EndedError:
            raise
        except Exception as error:
            self._tell(error)
            raise _EndedError from error
        finally:
            self._pipe.unlink(missing_ok=True)
            os.close(pipe)

    def _write(self, pipe: int, batch: bytes) -> None:
        rest = memoryview(batch)
        while rest:
            try:
                rest = rest[os.write(pipe, rest) :]
            except BlockingIOError:
                self._await_room(pipe)

    def _await_room(self, pipe: int) -> None:
        waiting = select.poll()
        waiting.register(pipe, select.POLLOUT)
        waiting.register(self._ending, select.POLLIN)
        if any(ready == self._ending for ready, _ in waiting.poll()):
            raise _EndedError


def _batches(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Small pieces put together, so that a record is not a system call."""
    batch: list[bytes] = []
    size = 0
    for piece in pieces:
        batch.append(piece)
        size += len(piece)
        if size >= _BATCH_BYTES:
            yield b"".join(batch)
            batch, size = [], 0
    if batch:
        yield b"".join(batch)
