"""A Docker engine, and the images built on it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import docker
import pytest

from containers.catalogue import CONTAINERS, algorithms

# Where no registry can be reached, the name of an image with Python 3.11 and pip that lies in the engine.
BASE_IMAGE = os.environ.get("KINDLING_BASE_IMAGE", "python:3.11-slim-bookworm")


@pytest.fixture(scope="session")
def engine() -> Iterator[Any]:
    """The engine's client."""
    try:
        client = docker.from_env()
        client.ping()
    except docker.errors.DockerException as error:
        pytest.skip(f"no Docker engine answers: {error}")
    yield client
    client.close()


@pytest.fixture(scope="session")
def base_image(engine: Any) -> str:
    """The image that every Dockerfile starts from."""
    try:
        engine.images.get(BASE_IMAGE)
    except docker.errors.ImageNotFound:
        try:
            engine.images.pull(BASE_IMAGE)
        except docker.errors.APIError as error:
            pytest.skip(f"the base image {BASE_IMAGE} cannot be pulled; name one in KINDLING_BASE_IMAGE: {error}")
    return BASE_IMAGE


@pytest.fixture(scope="session", params=sorted(algorithms()))
def image(request: pytest.FixtureRequest, engine: Any, base_image: str) -> str:
    """The image of each algorithm, as its Dockerfile builds it."""
    tag = f"kindling-test/{request.param}"
    engine.images.build(
        path=str(CONTAINERS),
        dockerfile=f"{request.param}/Dockerfile",
        tag=tag,
        buildargs={"BASE_IMAGE": base_image},
        rm=True,
    )
    return tag
