"""Objects in the cloud's S3, read and written as the files that they are, so that no copy travels over HTTP."""

from __future__ import annotations

import errno
import os
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, cast

from moto.core.exceptions import ServiceException
from moto.s3.models import FakeBucket, FakeKey, S3Backend, s3_backends

from kindling.localcloud.bodies import Body, BodyFiles, Content
from kindling.localcloud.sagemaker.errors import DataError

_HTTPS = re.compile(r"https://s3[.-](?:[a-z0-9-]+\.)?amazonaws\.com/([^/]+)/?(.*)", re.DOTALL)
_S3 = re.compile(r"s3://([^/]+)/?(.*)", re.DOTALL)
_CHUNK_BYTES = 1 << 20
_RANGE_BYTES = 64 << 20


@dataclass(frozen=True)
class Address:
    """A bucket and a key, or the beginning of keys."""

    bucket: str
    key: str

    @classmethod
    def parse(cls, text: str) -> Address:
        """The address that s3://bucket/key or https://s3.<region>.amazonaws.com/bucket/key stands for.

        Raises:
            DataError: neither of the two.
        """
        found = _S3.fullmatch(text) or _HTTPS.fullmatch(text)
        if found is None:
            raise DataError(f"{text!r} is no S3 address; it must be like s3://bucket/prefix.")
        return cls(found[1], found[2])

    def below(self, *parts: str) -> Address:
        """The address of a key below this one."""
        return Address(self.bucket, "/".join([self.key.rstrip("/"), *parts] if self.key else parts))

    def __str__(self) -> str:
        return f"s3://{self.bucket}/{self.key}"


class Objects:
    """The objects of one account.

    Args:
        bodies: where their contents lie.
        commit: makes what was changed outlive this process.
    """

    def __init__(self, account_id: str, bodies: BodyFiles, commit: Callable[[], None]) -> None:
        self._account_id, self._bodies, self._commit = account_id, bodies, commit

    def has_bucket(self, name: str) -> bool:
        """Whether the bucket exists."""
        return self._bucket(name) is not None

    def keys(self, prefix: Address) -> list[str]:
        """The keys that begin with an address's key, sorted; what stands for a folder is left out."""
        bucket = self._bucket(prefix.bucket)
        if bucket is None:
            return []
        names = list(bucket.keys)  # at once, for other requests may be adding to it
        return sorted(
            name
            for name in names
            if name.startswith(prefix.key) and not name.endswith("/") and isinstance(bucket.keys.get(name), FakeKey)
        )

    def exists(self, address: Address) -> bool:
        """Whether there is an object at exactly this address."""
        return self._find(address) is not None

    def read_into(self, address: Address, file: IO[bytes]) -> None:
        """Copy an object's bytes to `file`.

        Raises:
            DataError: there is no such object.
        """
        with self._open(address) as content:
            _copy(content, file)

    def read_below(self, prefix: Address, folder: Path) -> None:
        """Copy every object below a prefix that ends with a slash to a file of its name in `folder`.

        Raises:
            DataError: there is none, one has gone meanwhile, or a name leads out of the folder.
        """
        keys = self.keys(prefix)
        if not keys:
            raise DataError(f"there is no object below {prefix}.")
        for key in keys:
            name = PurePosixPath(key.removeprefix(prefix.key))
            if name.is_absolute() or ".." in name.parts:
                raise DataError(f"key {key!r} leads out of the folder of what lies below {prefix}.")
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("xb") as file:
                self.read_into(Address(prefix.bucket, key), file)

    def blocks(self, address: Address) -> Iterator[bytes]:
        """An object's bytes, block by block.

        Raises:
            DataError: there is no such object.
        """
        with self._open(address) as content:
            yield from iter(lambda: content.read(_CHUNK_BYTES), b"")

    def write(self, address: Address, path: Path, kms_key: str | None = None, *, give_away: bool = False) -> None:
        """Put a file's content at an address; it outlives this process when the method returns.

        Args:
            give_away: the caller will not change the file any more, so that the object may share its bytes.
        """
        if give_away:
            self._put(address, path, kms_key)
            return
        copy = self._bodies.new()
        try:
            shutil.copyfile(path, copy)
            self._put(address, copy, kms_key)
        finally:
            copy.unlink(missing_ok=True)

    def _put(self, address: Address, path: Path, kms_key: str | None) -> None:
        content = cast(bytes, Content(path))
        encryption = "aws:kms" if kms_key else None
        self._backend.put_object(address.bucket, address.key, content, encryption=encryption, kms_key_id=kms_key)
        self._commit()

    def put(self, address: Address, content: bytes, kms_key: str | None = None) -> None:
        """Put bytes at an address."""
        encryption = "aws:kms" if kms_key else None
        self._backend.put_object(address.bucket, address.key, content, encryption=encryption, kms_key_id=kms_key)

    def remove(self, address: Address) -> None:
        """Remove the object at an address, where there is one."""
        self._backend.delete_object(address.bucket, address.key)
        self._commit()

    @property
    def _backend(self) -> S3Backend:
        return s3_backends[self._account_id]["aws"]

    def _bucket(self, name: str) -> FakeBucket | None:
        try:
            return self._backend.get_bucket(name)
        except ServiceException:
            return None

    def _open(self, address: Address) -> IO[bytes]:
        key = self._find(address)
        if key is None:
            raise DataError(f"there is no object at {address}.")
        try:
            body = cast(Body, key._value_buffer)
            return body.path.open("rb")
        except FileNotFoundError:  # it was deleted just now
            raise DataError(f"there is no object at {address}.") from None

    def _find(self, address: Address) -> FakeKey | None:
        bucket = self._bucket(address.bucket)
        key = bucket.keys.get(address.key) if bucket else None
        return key if isinstance(key, FakeKey) else None


def _copy(source: IO[bytes], file: IO[bytes]) -> None:
    """Append all of a file to another, within the kernel where it can."""
    file.flush()
    if hasattr(os, "copy_file_range"):
        try:
            while os.copy_file_range(source.fileno(), file.fileno(), _RANGE_BYTES):
                pass
        except OSError as error:
            if error.errno not in (errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP):
                raise
        else:
            file.seek(0, os.SEEK_END)
            return
    shutil.copyfileobj(source, file, _CHUNK_BYTES)
