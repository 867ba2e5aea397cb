"""A small algorithm and the base directory of a job that trains it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from contract.paths import Paths
from contract.specification import Algorithm

DESCRIPTION = """
name = "averager"
title = "Means of numbers"
package = "averager"
distributed = true
metrics = []

[resources]
instance_type = "ml.c5.large"

[serving]
instance_type = "ml.m5.large"
content_types = ["application/json"]
smoke_test = { content_type = "application/json", body = "{}", expect = "@" }

[channels.train]
required = true
content_types = ["text/plain"]
doc = "Numbers."

[channels.validation]
content_types = ["text/plain"]
input_modes = ["File", "FastFile"]
doc = "More numbers."

[hyperparameters.epochs]
type = "int"
default = 5
range = [1, 10]
doc = "Passes."
"""

WriteJob = Callable[..., Paths]


@pytest.fixture
def algorithm(tmp_path: Path) -> Algorithm:
    path = tmp_path / "algorithm.toml"
    path.write_text(DESCRIPTION)
    return Algorithm.read(path)


@pytest.fixture
def write_job(tmp_path: Path) -> WriteJob:
    """Writes the three configuration files as the service does."""

    def write(
        *,
        hyperparameters: dict[str, str] | None = None,
        channels: dict[str, dict[str, Any]] | None = None,
        hosts: tuple[str, ...] = ("algo-1",),
        current_host: str = "algo-1",
    ) -> Paths:
        paths = Paths(tmp_path / current_host)
        paths.hyperparameters.parent.mkdir(parents=True)
        paths.hyperparameters.write_text(json.dumps(hyperparameters or {}))
        paths.input_data_config.write_text(json.dumps({"train": {}} if channels is None else channels))
        resources = {"current_host": current_host, "hosts": list(hosts), "network_interface_name": "lo"}
        paths.resource_config.write_text(json.dumps(resources))
        return paths

    return write
