"""A model's data on its way from S3 to the folders of the containers that serve it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from kindling.localcloud.sagemaker import archives
from kindling.localcloud.sagemaker.errors import DataError
from kindling.localcloud.sagemaker.hosting.models import Model
from kindling.localcloud.sagemaker.objects import Address, Objects


def bring(model: Model, objects: Objects, bases: Sequence[Path]) -> None:
    """Make the folder `model` in each of `bases`, filled with what the model's archive, or its prefix, holds.

    Raises:
        DataError: the archive is not there or cannot be unpacked.
    """
    for base in bases:
        (base / "model").mkdir(parents=True)
    if model.data is None:
        return
    first = bases[0] / "model"
    if model.packed:
        _unpack(model.data, objects, bases[0].parent / "model.tar.gz", first)
    else:
        objects.read_below(model.data, first)
    for base in bases[1:]:
        # The same bytes on disk and in memory serve all instances.
        shutil.copytree(first, base / "model", copy_function=os.link, dirs_exist_ok=True)


def _unpack(data: Address, objects: Objects, archive: Path, folder: Path) -> None:
    with archive.open("wb") as file:
        objects.read_into(data, file)
    try:
        archives.unpack(archive, folder)
    except DataError as error:
        raise DataError(f"{data}: {error}") from error
    finally:
        archive.unlink()
