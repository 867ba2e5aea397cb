"""S3 objects that a job is given: those below a prefix, or those that a manifest names."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath

from kindling.localcloud.sagemaker.errors import DataError, InvalidRequestError
from kindling.localcloud.sagemaker.objects import Address, Objects
from kindling.localcloud.sagemaker.training.channels import Channel
from kindling.localcloud.sagemaker.training.contents import contents_of


@dataclass(frozen=True)
class Part:
    """One object, and its name below the folder or the prefix that it goes to."""

    address: Address
    name: PurePosixPath


def address_of(where: str, text: str) -> Address:
    """The address in a member of a request.

    Args:
        where: the member, for the message.
    Raises:
        InvalidRequestError: the text is no address.
    """
    try:
        return Address.parse(text)
    except DataError as error:
        raise InvalidRequestError(f"{where}: {error}") from None


def parts_of(source: Address, data_type: str, where: str, objects: Objects, role: str) -> list[Part]:
    """The objects of a source in the order of their keys, or of their manifest.

    Args:
        data_type: S3Prefix or ManifestFile.
        where: what asks for them, for messages.
    Raises:
        DataError: there are none, the manifest is not one, or a name leads out of where it goes.
    """
    channel = Channel(name=where, title=where, source=source, listed=data_type == "ManifestFile")
    return [Part(item.address, channel.path_of(item.name)) for item in contents_of(channel, objects, role)]
