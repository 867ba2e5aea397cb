"""What the hosts of a training job leave, on its way to S3: packed, or as it is with CompressionType NONE."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from kindling.localcloud.sagemaker import archives
from kindling.localcloud.sagemaker.objects import Address, Objects


class Outputs:
    """The output of one job, below <S3OutputPath>/<job>/output.

    Args:
        config: the request's OutputDataConfig.
        folder: where an archive is made.
    """

    def __init__(self, job: str, config: Mapping[str, Any], objects: Objects, folder: Path) -> None:
        self._place = Address.parse(config["S3OutputPath"]).below(job, "output")
        self._packed = config["CompressionType"] == "GZIP"
        self._key = config.get("KmsKeyId")
        self._objects = objects
        self._folder = folder

    def upload_data(self, folders: Sequence[Path]) -> None:
        """Put what the hosts wrote beside the model at output.tar.gz or below data/; nothing where there is nothing."""
        if not archives.is_empty(folders):
            self._upload(folders, "output.tar.gz", "data")

    def upload_model(self, folders: Sequence[Path]) -> str:
        """Put the hosts' models at model.tar.gz or below model/; returns the address."""
        return self._upload(folders, "model.tar.gz", "model")

    def _upload(self, folders: Sequence[Path], packed: str, unpacked: str) -> str:
        if not self._packed:
            place = self._place.below(unpacked)
            for name, path in archives.merged(folders):
                if path.is_file():
                    self._objects.write(place.below(name), path, self._key, give_away=True)  # its host has ended
            return str(place)
        address = self._place.below(packed)
        archive = self._folder / packed
        archives.pack(folders, archive)
        self._objects.write(address, archive, self._key, give_away=True)
        archive.unlink()
        return str(address)
