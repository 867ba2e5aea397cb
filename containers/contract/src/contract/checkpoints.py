"""Checkpoints: what a job needs to go on after it was stopped or killed, written so that a torn one is never loaded.

A checkpoint is one file of each host, holding named arrays and a JSON state. It is written beside its name, flushed to
the disk and renamed, and ends with a checksum of all that comes before. The hosts number their checkpoints alike; one
counts only when every host has its file, and the two newest that do are kept. The service copies the folders of all
hosts to one prefix and back, so names hold the host's rank, and a host needs no file but its own. While it copies a
file, the service marks it by others beside it; a name that ends in .sagemaker-ignore is left out (both as AWS's own
XGBoost container relies on it: sagemaker-xgboost-container, checkpointing.py).

    magic | length of the header, uint64 little-endian | header, JSON | arrays, each from a multiple of 64 | SHA-256
"""

from __future__ import annotations

import hashlib
import json
import logging
import mmap
import os
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from contract.environment import TrainingEnvironment
from contract.errors import ClientError
from contract.rendezvous import Hosts

logger = logging.getLogger(__name__)

INTERVAL = "KINDLING_CHECKPOINT_INTERVAL_S"

_DEFAULT_INTERVAL_S = 60.0
_LARGEST_SHARE = 0.02  # of the time, spent on writing
_MAGIC = b"KNDLCKP1"
_ALIGNMENT = 64
_CHUNK_BYTES = 16 * 2**20
_PART, _UPLOADING, _UPLOADED = ".sagemaker-ignore", ".sagemaker-uploading", ".sagemaker-uploaded"
_NAME = re.compile(rf"checkpoint-(\d{{8}})-rank-(\d+)\.ckpt({re.escape(_PART)})?")
_NUMBERS = "biuf"  # kinds of dtype that are written: never objects, which would have to be pickled


class _NotWholeError(Exception):
    """A file that is no complete checkpoint. The message says what is wrong with it."""


@dataclass(frozen=True)
class Checkpoint:
    """One host's part of a checkpoint.

    `state` is what JSON holds. `arrays` are read-only views of the file, which takes no memory of its own; they are
    valid as long as they are referred to, also after the file was removed.
    """

    number: int
    job: Mapping[str, Any]
    state: Mapping[str, Any]
    arrays: Mapping[str, NDArray[Any]]


class Checkpoints:
    """The checkpoints of this host and, by agreement, of all hosts of the job.

    Call `newest` once, then `write` when any host finds it `due`. Both wait for the other hosts, so every host must
    call them at the same point.

    Args:
        folder: exists; this host's.
        hosts: of the job.
        job: what a checkpoint must share with the job that goes on from it, as JSON: hyperparameters by their names,
            and what identifies the input.
        interval: seconds from one checkpoint to the next, at least; long enough besides for writing to take no more
            than 2 % of the time.
    """

    def __init__(
        self, folder: Path, hosts: Hosts, job: Mapping[str, Any], interval: float = _DEFAULT_INTERVAL_S
    ) -> None:
        self._folder, self._hosts, self._interval = folder, hosts, interval
        self._job: Mapping[str, Any] = json.loads(json.dumps(job))
        self._next = 0
        self._kept: list[int] = []
        self._due = time.monotonic() + interval

    @classmethod
    def of_job(cls, environment: TrainingEnvironment, hosts: Hosts, job: Mapping[str, Any]) -> Self | None:
        """The checkpoints of a job that has them: one that was started with a CheckpointConfig; None of others.

        The environment variable KINDLING_CHECKPOINT_INTERVAL_S replaces the interval of a minute.
        """
        folder = environment.paths.checkpoints
        found = hosts.exchange(folder.is_dir())
        if not all(found):
            if any(found):
                logger.warning("Some hosts have no folder %s, so no checkpoints are written.", folder)
            return None
        return cls(folder, hosts, job, float(os.environ.get(INTERVAL, _DEFAULT_INTERVAL_S)))

    @property
    def due(self) -> bool:
        """Whether it is time for the next checkpoint, by this host's clock."""
        return time.monotonic() >= self._due

    def newest(self) -> Checkpoint | None:
        """This host's part of the newest checkpoint that all hosts have; None when there is none.

        Raises:
            ClientError: the checkpoint is another job's; names what differs.
        """
        own = self._newest_whole(None)
        if own:
            self._refuse_another_job(own)
        highest = max((number for number, _, _ in self._files()), default=-1)
        while True:
            reports = self._hosts.exchange([own.number if own else -1, highest])
            numbers = [number for number, _ in reports]
            # Also above what other hosts found: files of two runs never bear one number.
            self._next = max(found for _, found in reports) + 1
            if min(numbers) < 0:
                if max(numbers) >= 0:
                    logger.warning("The hosts have no checkpoint in common, so training starts at the beginning.")
                return None
            if max(numbers) == min(numbers):
                self._kept = numbers[:1]
                return own
            if own and own.number > min(numbers):
                own = self._newest_whole(min(numbers))

    def write(self, state: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> bool:
        """Write the next checkpoint, and remove all but the two newest once all hosts have written theirs.

        A disk that is full, say, is told in the log and does not end the job.

        Args:
            state: what JSON holds; may differ from host to host, and so may the arrays.
            arrays: numbers or booleans, any shapes, any strides.
        Returns:
            whether all hosts have written theirs.
        """
        began = time.monotonic()
        number, self._next = self._next, self._next + 1
        path = self._folder / f"checkpoint-{number:08d}-rank-{self._hosts.rank}.ckpt"
        written = self._try_to_write(path, {"job": self._job, "state": state}, arrays)
        if all(self._hosts.exchange(written)):
            self._kept = [*self._kept[-1:], number]
        elif written:
            logger.warning("Another host could not write its part of checkpoint %d, so it does not count.", number)
        self._tidy()
        took = time.monotonic() - began
        self._due = time.monotonic() + max(self._interval, took / _LARGEST_SHARE)
        if number not in self._kept:
            return False
        logger.info("Checkpoint %d was written in %.1f s.", number, took)
        return True

    def _try_to_write(self, path: Path, header: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> bool:
        try:
            _write(path, header, arrays)
        except OSError as error:
            logger.warning("%s could not be written (%s); training goes on without it.", path.name, error.strerror)
            return False
        return True

    def _tidy(self) -> None:
        """Remove this host's files but those that count; what cannot be removed now is tried again next time."""
        with suppress(OSError):
            for number, rank, path in self._files():
                counts = number in self._kept and path.suffix != _PART
                if rank == self._hosts.rank and not counts and not _is_uploading(path):
                    path.unlink()

    def _files(self) -> list[tuple[int, int, Path]]:
        """Number, rank and path of every host's files here, the newest first; files of other names are left alone."""
        found = [(match, path) for path in self._folder.iterdir() if (match := _NAME.fullmatch(path.name))]
        return sorted(((int(match[1]), int(match[2]), path) for match, path in found), reverse=True)

    def _newest_whole(self, at_most: int | None) -> Checkpoint | None:
        for number, rank, path in self._files():
            if rank != self._hosts.rank or path.suffix == _PART or (at_most is not None and number > at_most):
                continue
            try:
                return _read(path, number)
            except (_NotWholeError, OSError) as error:
                logger.warning("%s is not a whole checkpoint (%s), so it is ignored.", path.name, error)
        return None

    def _refuse_another_job(self, found: Checkpoint) -> None:
        names = [name for name in {**found.job, **self._job} if found.job.get(name) != self._job.get(name)]
        if names:
            raise ClientError(
                f"the checkpoints that were found are of a job with {_said(found.job, names)}, but this one has"
                f" {_said(self._job, names)}; give this one a checkpoint prefix of its own, or the same input and"
                " hyperparameters."
            )


def _is_uploading(path: Path) -> bool:
    return path.with_name(path.name + _UPLOADING).exists() and not path.with_name(path.name + _UPLOADED).exists()


def _said(job: Mapping[str, Any], names: list[str]) -> str:
    return " and ".join(f"{name}={job[name]}" if name in job else f"no {name}" for name in names)


def _write(path: Path, header: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> None:
    described = {name: {"dtype": array.dtype.str, "shape": array.shape} for name, array in arrays.items()}
    for name, array in arrays.items():
        if array.dtype.kind not in _NUMBERS:
            raise TypeError(f"array {name!r} is of {array.dtype}; a checkpoint holds numbers and booleans.")
    text = json.dumps({**header, "arrays": described}).encode()
    digest, position = hashlib.sha256(), 0
    part = path.with_name(f"{path.name}{_PART}")
    with part.open("wb") as file:
        for piece in _pieces(text, arrays):
            digest.update(piece)
            position += file.write(piece)
        file.write(digest.digest())
        file.flush()
        os.fsync(file.fileno())
    part.rename(path)
    # The name is on the disk when the folder is.
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _pieces(text: bytes, arrays: Mapping[str, NDArray[Any]]) -> Iterator[bytes | memoryview]:
    head = _MAGIC + len(text).to_bytes(8, "little") + text
    yield head + bytes(-len(head) % _ALIGNMENT)
    for array in arrays.values():
        rows = np.atleast_1d(array)
        step = max(1, _CHUNK_BYTES // max(1, rows[:1].nbytes))
        for start in range(0, len(rows), step):  # a copy of few rows at a time, where they are not contiguous
            yield np.ascontiguousarray(rows[start : start + step]).reshape(-1).view(np.uint8).data
        yield bytes(-rows.nbytes % _ALIGNMENT)


def _read(path: Path, number: int) -> Checkpoint:
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        if size < len(_MAGIC) + 8 + hashlib.sha256().digest_size:
            raise _NotWholeError(f"it has {size} bytes")
        content = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
    if content[: len(_MAGIC)] != _MAGIC:
        raise _NotWholeError("it does not begin as one")
    body, checksum = content[: -hashlib.sha256().digest_size], content[-hashlib.sha256().digest_size :]
    if hashlib.sha256(body).digest() != checksum:
        raise _NotWholeError("its checksum is wrong")
    begin = len(_MAGIC) + 8
    end = begin + int.from_bytes(body[len(_MAGIC) : begin], "little")
    header = json.loads(bytes(body[begin:end]))
    arrays, position = {}, end + -end % _ALIGNMENT
    for name, described in header["arrays"].items():
        dtype, shape = np.dtype(described["dtype"]), tuple(described["shape"])
        count = int(np.prod(shape, dtype=np.int64))
        arrays[name] = np.frombuffer(body, dtype, count, position).reshape(shape)
        position += count * dtype.itemsize
        position += -position % _ALIGNMENT
    return Checkpoint(number, header["job"], header["state"], arrays)
