"""The addresses of AWS's own images of algorithms: what `sagemaker.image_uris.retrieve("blazingtext", region)` gives.

An algorithm answers for the repository that its `aws_image` names; aws_registries.toml knows the accounts.
"""

from __future__ import annotations

import tomllib
from functools import cache
from pathlib import Path
from typing import Any

from botocore.session import get_session

from containers.catalogue import algorithms

_TAGS = ("", ":1", ":latest")  # no tag means latest, as for docker
_EXAMPLE_REGION = "us-east-1"


def algorithm_of_aws(uri: str) -> str | None:
    """The algorithm of this house that runs for an image of AWS's own, or None."""
    return _table().get(uri)


def examples() -> list[str]:
    """An address for each of AWS's images that can be run."""
    return [
        f"{address(algorithm.aws_image, _EXAMPLE_REGION)}:1"
        for algorithm in algorithms().values()
        if algorithm.aws_image is not None
    ]


def address(repository: str, region: str) -> str:
    """Where a repository of AWS's own lies in a region; every partition has a domain of its own.

    Raises:
        KeyError: AWS has no such repository there.
    """
    resolver = _resolver()
    domain = resolver.get_partition_dns_suffix(resolver.get_partition_for_region(region))
    return f"{registries()[repository][region]}.dkr.ecr.{region}.{domain}/{repository}"


@cache
def registries() -> dict[str, dict[str, str]]:
    """AWS's accounts by repository and region."""
    return tomllib.loads(Path(__file__).with_name("aws_registries.toml").read_text(encoding="utf-8"))


@cache
def _table() -> dict[str, str]:
    return {
        f"{address(algorithm.aws_image, region)}{tag}": name
        for name, algorithm in algorithms().items()
        if algorithm.aws_image is not None
        for region in registries()[algorithm.aws_image]
        for tag in _TAGS
    }


@cache
def _resolver() -> Any:
    return get_session().get_component("endpoint_resolver")
