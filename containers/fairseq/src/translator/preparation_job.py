"""Raw parallel text to binarised data as a SageMaker Processing job, sharded over its hosts.

`python -m translator prepare --train DIR --validation DIR --output DIR [NAME=VALUE ...]`, where NAME is one of the
preparation's hyperparameters. Of several hosts each prepares its own part of the training text, and writes a folder
`shard-N` with the dictionaries and codes of all; the channel `training` takes them together. Inputs are to be
FullyReplicated: sharding by S3 keys would part a text from its translation.
"""

from __future__ import annotations

import argparse
import json
import logging
import shutil
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from contract.channels import InputChannel
from contract.cores import available_cpus
from contract.environment import TrainingEnvironment
from contract.paths import Paths
from contract.processing import run_processing
from contract.rendezvous import rendezvous
from contract.specification import InvalidJobError, Value
from contract.training import installed_algorithm
from translator.compatibility import silence
from translator.preparation import SETTINGS, prepare

logger = logging.getLogger(__name__)


def main(words: Sequence[str]) -> int:
    """Prepare as the arguments say; the exit code."""
    silence()
    return run_processing(lambda paths: _prepare(_parsed(words), paths))


def _parsed(words: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="translator prepare", description=__doc__)
    for name in ("train", "validation", "output"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("settings", nargs="*", metavar="NAME=VALUE", help=", ".join(SETTINGS))
    return parser.parse_args(words)


def _settings(given: Sequence[str]) -> dict[str, Value | None]:
    described = installed_algorithm("translator").hyperparameters
    values = {name: described[name].default for name in SETTINGS}
    for text in given:
        name, _, value = text.partition("=")
        if name not in values:
            raise InvalidJobError(f"hyperparameter {name} is none of the preparation; known are {', '.join(SETTINGS)}.")
        values[name] = described[name].parse(name, value)
    return values


def _prepare(arguments: argparse.Namespace, paths: Paths) -> None:
    given = _settings(arguments.settings)
    train, validation = (InputChannel(name, getattr(arguments, name)) for name in ("train", "validation"))
    resources = _resources(paths)
    environment = TrainingEnvironment(
        algorithm=installed_algorithm("translator"),
        paths=paths,
        hyperparameters=given,
        channels={"train": train, "validation": validation},
        hosts=tuple(resources.get("hosts", ["algo-1"])),
        current_host=resources.get("current_host", "algo-1"),
        network_interface=resources.get("network_interface_name"),
        cpus=available_cpus(),
    )
    with rendezvous(environment) as hosts, TemporaryDirectory(prefix="prepare-") as scratch:
        data = prepare(train, validation, given, Path(scratch), environment.cpus, hosts)
        target = arguments.output if hosts.size == 1 else arguments.output / f"shard-{hosts.rank}"
        shutil.copytree(data.folder, target, dirs_exist_ok=True)
        hosts.exchange(None)  # a host that fails now is still told to the others
    logger.info("%s holds the data.", target)


def _resources(paths: Paths) -> dict[str, Any]:
    """The hosts of the job; one where there is no such file, as by hand."""
    path = paths.base / "config" / "resourceconfig.json"
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    return found
