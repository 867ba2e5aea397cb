"""The data of a container of a model: one model.tar.gz, or the files below a prefix as they are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kindling.localcloud.sagemaker.errors import DataError, InvalidRequestError
from kindling.localcloud.sagemaker.objects import Address, Objects

Container = Mapping[str, Any]


def data_of(container: Container) -> Address | None:
    """Where model.tar.gz is, or the prefix of the files; None when the image holds the model.

    Raises:
        DataError: what is given is no S3 address.
    """
    url = container.get("ModelDataUrl") or _source(container).get("S3Uri")
    return Address.parse(url) if url else None


def is_packed(container: Container) -> bool:
    """Whether the data is one model.tar.gz; otherwise it is the model's files as they are."""
    return _source(container).get("CompressionType", "Gzip") == "Gzip"


def is_multi(container: Container) -> bool:
    """Whether the data is the beginning of the addresses of many models, which invocations name."""
    return bool(container.get("Mode") == "MultiModel")


def check_source(where: str, container: Container) -> None:
    """Refuse a ModelDataSource that is neither a model.tar.gz nor the files below a prefix.

    Raises:
        InvalidRequestError: names the member below `where`, which names the container.
    """
    source, where = _source(container), f"{where}.ModelDataSource.S3DataSource"
    if not source:
        return
    kind, compression = source["S3DataType"], source["CompressionType"]
    if (kind, compression) not in (("S3Object", "Gzip"), ("S3Prefix", "None")):
        raise InvalidRequestError(
            f"{where}: S3DataType={kind} with CompressionType={compression} is not implemented by the embedded cloud; "
            "use S3Object with Gzip, or S3Prefix with None."
        )
    if kind == "S3Prefix" and not source["S3Uri"].endswith("/"):
        raise InvalidRequestError(f"{where}.S3Uri={source['S3Uri']} must end with a slash when S3DataType is S3Prefix.")


def check_exists(where: str, container: Container, objects: Objects) -> None:
    """Refuse data that is not there.

    Raises:
        InvalidRequestError: there is no such data, or its address is none.
    """
    try:
        address = data_of(container)
    except DataError as error:
        raise InvalidRequestError(f"{where}.ModelDataUrl: {error}") from None
    if is_multi(container):
        if address is None or not objects.has_bucket(address.bucket):
            raise InvalidRequestError(f"Could not find model data at {address}.")
        return
    if address is None:
        return
    if not (objects.exists(address) if is_packed(container) else objects.keys(address)):
        raise InvalidRequestError(f"Could not find model data at {address}.")


def _source(container: Container) -> Mapping[str, str]:
    found: Mapping[str, str] = container.get("ModelDataSource", {}).get("S3DataSource", {})
    return found
