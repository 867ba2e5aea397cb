"""Objects in the cloud's S3, read and written in its own process, so that no copy travels over HTTP."""

from __future__ import annotations

import mmap
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast

from moto.core.exceptions import ServiceException
from moto.s3.models import FakeBucket, FakeKey, S3Backend, s3_backends

from kindling.localcloud.sagemaker.errors import DataError

_HTTPS = re.compile(r"https://s3[.-](?:[a-z0-9-]+\.)?amazonaws\.com/([^/]+)/?(.*)", re.DOTALL)
_S3 = re.compile(r"s3://([^/]+)/?(.*)", re.DOTALL)
_CHUNK_BYTES = 1 << 20


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


def data_of(container: Mapping[str, Any]) -> Address | None:
    """Where the model.tar.gz of a container of a model is; None when the image holds the model.

    Raises:
        DataError: what is given is no S3 address.
    """
    source = container.get("ModelDataSource", {}).get("S3DataSource", {})
    url = container.get("ModelDataUrl") or source.get("S3Uri")
    return Address.parse(url) if url else None


def _mapped(file: IO[bytes]) -> AbstractContextManager[mmap.mmap | bytes]:
    """A file's content without a copy; an empty file cannot be mapped."""
    if os.fstat(file.fileno()).st_size == 0:
        return nullcontext(b"")
    return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)


class Objects:
    """The objects of one account."""

    def __init__(self, account_id: str) -> None:
        self._account_id = account_id

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
        key = self._find(address)
        if key is None:
            raise DataError(f"there is no object at {address}.")
        with key.lock:
            key._value_buffer.seek(0)
            shutil.copyfileobj(key._value_buffer, file, _CHUNK_BYTES)

    def blocks(self, address: Address) -> Iterator[bytes]:
        """An object's bytes, block by block; nobody else is kept from the object between two of them.

        Raises:
            DataError: there is no such object.
        """
        key = self._find(address)
        if key is None:
            raise DataError(f"there is no object at {address}.")
        at = 0
        while True:
            with key.lock:
                key._value_buffer.seek(at)
                block = key._value_buffer.read(_CHUNK_BYTES)
            if not block:
                return
            yield block
            at += len(block)

    def write(self, address: Address, path: Path, kms_key: str | None = None) -> None:
        """Put a file's content at an address."""
        encryption = "aws:kms" if kms_key else None
        with path.open("rb") as file, _mapped(file) as content:
            self._backend.put_object(
                address.bucket, address.key, cast(bytes, content), encryption=encryption, kms_key_id=kms_key
            )

    def remove(self, address: Address) -> None:
        """Remove the object at an address, where there is one."""
        self._backend.delete_object(address.bucket, address.key)

    @property
    def _backend(self) -> S3Backend:
        return s3_backends[self._account_id]["aws"]

    def _bucket(self, name: str) -> FakeBucket | None:
        try:
            return self._backend.get_bucket(name)
        except ServiceException:
            return None

    def _find(self, address: Address) -> FakeKey | None:
        bucket = self._bucket(address.bucket)
        key = bucket.keys.get(address.key) if bucket else None
        return key if isinstance(key, FakeKey) else None
