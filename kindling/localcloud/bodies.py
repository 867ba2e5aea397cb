"""The content of S3 objects, in files of the state folder: it outlives the process and takes none of its memory.

A body is written once, under a name of its own, and never changed; an object that is copied shares the bytes with the
copy (a hard link). moto would hold objects of up to 16 MB in memory and put the parts of an upload together there.
"""

from __future__ import annotations

import binascii
import hashlib
import os
import shutil
import threading
import uuid
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from kindling.localcloud.seams import replace

_IN_MEMORY_BYTES = 8 << 20  # up to here, a content is handed out as bytes
_BLOCK_BYTES = 1 << 20


class BodyFiles:
    """The folder of all bodies. `dead` has the names of those that nobody in this process refers to any more."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.dead: deque[str] = deque()
        folder.mkdir(parents=True, exist_ok=True)

    def new(self) -> Path:
        """A path for a new body."""
        name = uuid.uuid4().hex
        folder = self.folder / name[:2]
        folder.mkdir(exist_ok=True)
        return folder / name

    def path(self, name: str) -> Path:
        """Where the body of a name lies."""
        return self.folder / name[:2] / name

    def remove(self, name: str) -> None:
        """Remove a body; whoever reads it now reads on."""
        self.path(name).unlink(missing_ok=True)

    def sweep(self, live: set[str]) -> None:
        """Remove every body but these: what a killed cloud wrote and did not acknowledge."""
        for path in self.folder.glob("*/*"):
            if path.name not in live:
                path.unlink()


class Body:
    """The buffer that moto's key keeps its content in: a file that is written once."""

    def __init__(self, files: BodyFiles, path: Path | None = None) -> None:
        self._files = files
        self._is_first = path is None  # to refer to it; moto makes copies of keys, which come and go
        self.path = path or files.new()

    def write(self, content: Any) -> None:
        """Make the file, in one go; what is a file already is linked, not copied.

        Raises:
            OSError: the disk is full; no file is left.
        """
        try:
            if isinstance(content, Content):
                os.link(content.path, self.path)
                return
            with self.path.open("wb") as file:
                file.write(content)
        except OSError:
            self.path.unlink(missing_ok=True)
            raise

    def seek(self, position: int) -> None:
        """Nothing: moto rewinds its buffer before it writes."""

    def truncate(self) -> None:
        """Nothing: a body is only written where there was none."""

    def close(self) -> None:
        """Nothing: the file goes when no key that is kept refers to it (state.py)."""

    def __del__(self) -> None:
        if self._is_first:
            self._files.dead.append(self.path.name)


class Content:
    """A content too large for memory: has a length, slices, and gives its blocks one after the other.

    Args:
        owner: the body that is to live as long as this.
    """

    def __init__(self, path: Path, owner: Body | None = None) -> None:
        self.path = path
        self.owner = owner  # whose file goes when nobody has it any more
        self._file = path.open("rb")
        self._size = os.fstat(self._file.fileno()).st_size

    def __len__(self) -> int:
        return self._size

    def __getitem__(self, part: slice) -> bytes:
        begin, end, _ = part.indices(self._size)
        blocks = []
        while begin < end and (block := os.pread(self._file.fileno(), end - begin, begin)):
            blocks.append(block)  # one read gives 2 GB at most
            begin += len(block)
        return b"".join(blocks)

    def __iter__(self) -> Iterator[bytes]:
        for begin in range(0, self._size, _BLOCK_BYTES):
            yield self[begin : begin + _BLOCK_BYTES]

    def __del__(self) -> None:
        self._file.close()


def install(files: BodyFiles) -> None:
    """Have moto keep the content of objects in `files`."""
    from moto.s3 import models, responses

    replace(models, "tempfile", SimpleNamespace(SpooledTemporaryFile=lambda *_, **__: Body(files)))
    _hand_out_contents(files)
    _complete_uploads_on_disk(files)
    for module in (models, responses):
        replace(module, "compute_checksum", _checksum)


def _hand_out_contents(files: BodyFiles) -> None:
    from moto.s3.models import FakeKey

    def value(self: Any) -> Any:
        body: Body = self._value_buffer
        return body.path.read_bytes() if self.contentsize <= _IN_MEMORY_BYTES else Content(body.path)

    def set_value(self: Any, content: Any) -> None:
        if isinstance(content, str):
            content = content.encode()
        self._value_buffer.write(content)
        self.contentsize = len(content)

    def state(self: Any) -> dict[str, Any]:
        kept = {name: one for name, one in self.__dict__.items() if name not in ("lock", "_value_buffer")}
        return {**kept, "body": self._value_buffer.path.name}

    def set_state(self: Any, kept: dict[str, Any]) -> None:
        self.__dict__.update(kept)
        self._value_buffer = Body(files, files.path(self.__dict__.pop("body")))
        self.lock = threading.Lock()

    def etag(self: Any) -> str:
        if self._etag is None:
            with self._value_buffer.path.open("rb") as file:
                self._etag = hashlib.file_digest(file, "md5").hexdigest()
        return f'"{self._etag}"'

    replace(FakeKey, "value", property(value, set_value))
    replace(FakeKey, "etag", property(etag))
    replace(FakeKey, "__getstate__", state)
    replace(FakeKey, "__setstate__", set_state)
    replace(FakeKey, "__del__", lambda _key: None)  # it would warn of a key that was not disposed of


def _complete_uploads_on_disk(files: BodyFiles) -> None:
    from moto.s3 import models
    from moto.s3.exceptions import EntityTooSmall, InvalidPart, MalformedXML

    smallest: int = models.S3_UPLOAD_PART_MIN_SIZE  # type: ignore[attr-defined]

    def complete(self: Any, body: Iterator[tuple[int, str]]) -> tuple[Any, str, tuple[str, str, int] | None]:
        parts: list[Any] = []
        for number, etag in body:
            part = self.parts.get(number)
            if part is None or part.etag.strip('"') != etag.strip('"'):
                raise InvalidPart
            if parts and parts[-1].contentsize < smallest:
                raise EntityTooSmall
            parts.append(part)
        if not parts:
            raise MalformedXML
        digests = b"".join(bytes.fromhex(part.etag.strip('"')) for part in parts)
        etag = f"{hashlib.md5(digests, usedforsecurity=False).hexdigest()}-{len(parts)}"
        content = _joined(files, [part._value_buffer.path for part in parts])
        return content, etag, _upload_checksum(self, parts, content)

    replace(models.FakeMultipart, "complete", complete)


def _joined(files: BodyFiles, paths: list[Path]) -> Any:
    """The content of several files as one."""
    body = Body(files)
    try:
        with body.path.open("wb") as whole:
            for path in paths:
                with path.open("rb") as part:
                    shutil.copyfileobj(part, whole, _BLOCK_BYTES)
    except OSError:
        body.path.unlink(missing_ok=True)
        raise
    return Content(body.path, body)


def _upload_checksum(upload: Any, parts: list[Any], content: Content) -> tuple[str, str, int] | None:
    """The checksum's type, value and number of parts, where the upload asked for one."""
    algorithm = upload.metadata.get("x-amz-checksum-algorithm")
    if algorithm is None:
        return None
    kind = upload.metadata.get("x-amz-checksum-type") or ("FULL_OBJECT" if algorithm == "CRC64NVME" else "COMPOSITE")
    if kind == "FULL_OBJECT":
        return kind, _checksum(content, algorithm).decode(), 1
    digests = b"".join(_checksum(part.value, algorithm, encode_base64=False) for part in parts)
    return kind, _checksum(digests, algorithm).decode(), len(parts)


def _checksum(content: Any, algorithm: str, encode_base64: bool = True) -> bytes:
    """moto's compute_checksum for contents of any size."""
    from moto.s3 import utils

    if not isinstance(content, Content):
        return bytes(utils.compute_checksum(content, algorithm, encode_base64))
    if algorithm in ("SHA1", "SHA256"):
        digest = hashlib.new(algorithm.lower(), usedforsecurity=False)
        for block in content:
            digest.update(block)
        found = digest.digest()
    else:
        found = _crc32(content)  # moto, too, has it stand for those of which no implementation is installed
    return binascii.b2a_base64(found, newline=False) if encode_base64 else found


def _crc32(content: Content) -> bytes:
    crc = 0
    for block in content:
        crc = binascii.crc32(block, crc)
    return crc.to_bytes(4, "big")
