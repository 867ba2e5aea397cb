"""A Docker engine, the images built on it, and embedded clouds that run them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from containers.catalogue import algorithms
from kindling import image_builds
from kindling.errors import UserError
from kindling.localcloud import lifecycle
from kindling.ports import free_port
from kindling.targets import EmbeddedTarget, running_embedded_cloud


@pytest.fixture(scope="session")
def engine() -> Iterator[Any]:
    """The engine's client."""
    try:
        client = image_builds.connect()
    except UserError as error:
        pytest.skip(str(error))
    yield client
    client.close()


@pytest.fixture(scope="session", params=sorted(algorithms()))
def algorithm(request: pytest.FixtureRequest) -> str:
    """Each algorithm's name."""
    return str(request.param)


@pytest.fixture(scope="session")
def image(algorithm: str, engine: Any) -> str:
    """The algorithm's image, as its Dockerfile builds it."""
    return str(image_builds.build(engine, algorithm, print).id)


@pytest.fixture(scope="session")
def blazingtext(engine: Any) -> str:
    """The image of the algorithm that most of the jobs of these tests run, for it is the quickest."""
    return str(image_builds.build(engine, "blazingtext", print).id)


@pytest.fixture(scope="module")
def cloud(blazingtext: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedTarget]:
    """An embedded cloud with the docker runner, and the image."""
    with cloud_in(tmp_path_factory.mktemp("cloud")) as found:
        yield found


@contextmanager
def cloud_in(state: Path) -> Iterator[EmbeddedTarget]:
    """An embedded cloud with the docker runner, in a state folder."""
    lifecycle.up(state, free_port(), "docker")
    try:
        yield running_embedded_cloud(state)
    finally:
        lifecycle.down(state)
