"""A model's data on its way from S3 to the folders of the containers that serve it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from kindling.localcloud.sagemaker import archives
from kindling.localcloud.sagemaker.errors import DataError
from kindling.localcloud.sagemaker.hosting.models import Model
from kindling.localcloud.sagemaker.objects import Address, Objects


def fill(model: Model, objects: Objects, folder: Path, go_on: Callable[[], None] = lambda: None) -> None:
    """Make `folder`, with what the model's archive or its prefix holds; empty when the image holds the model.

    Args:
        go_on: called now and then while an archive is downloaded; raises to give up.
    Raises:
        DataError: the data is not there or cannot be unpacked.
    """
    folder.mkdir(parents=True)
    if model.data is None or model.multi:  # the models of several are brought when they are asked for
        return
    if model.packed:
        _unpack(model.data, objects, folder, go_on)
    else:
        objects.read_below(model.data, folder)


def bring(model: Model, objects: Objects, bases: Sequence[Path]) -> None:
    """Make the folder `model` in each of `bases`, filled as `fill` does.

    Raises:
        DataError: as `fill`.
    """
    first, *others = [base / "model" for base in bases]
    fill(model, objects, first)
    for other in others:
        # The same bytes on disk and in memory serve all instances.
        shutil.copytree(first, other, copy_function=os.link)


def _unpack(data: Address, objects: Objects, folder: Path, go_on: Callable[[], None]) -> None:
    archive = folder.with_name("model.tar.gz")
    try:
        with archive.open("wb") as file:
            for block in objects.blocks(data):
                file.write(block)
                go_on()
        archives.unpack(archive, folder)
    except DataError as error:
        raise DataError(f"{data}: {error}") from error
    finally:
        archive.unlink(missing_ok=True)
