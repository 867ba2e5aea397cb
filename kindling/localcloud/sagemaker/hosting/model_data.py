"""A model's data on its way from S3 to the folders of the containers that serve it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from kindling.localcloud.sagemaker import archives
from kindling.localcloud.sagemaker.errors import DataError
from kindling.localcloud.sagemaker.hosting.models import Model
from kindling.localcloud.sagemaker.objects import Objects


def bring(model: Model, objects: Objects, bases: Sequence[Path]) -> None:
    """Make the folder `model` in each of `bases`, filled with what the model's archive holds.

    Raises:
        DataError: the archive is not there or cannot be unpacked.
    """
    for base in bases:
        (base / "model").mkdir(parents=True)
    if model.data is None:
        return
    first = bases[0] / "model"
    archive = bases[0].parent / "model.tar.gz"
    with archive.open("wb") as file:
        objects.read_into(model.data, file)
    try:
        archives.unpack(archive, first)
    except DataError as error:
        raise DataError(f"{model.data}: {error}") from error
    finally:
        archive.unlink()
    for base in bases[1:]:
        # The same bytes on disk and in memory serve all instances.
        shutil.copytree(first, base / "model", copy_function=os.link, dirs_exist_ok=True)
