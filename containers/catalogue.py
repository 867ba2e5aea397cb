"""The algorithms of this house: every containers/*/algorithm.toml, read once.

Adding an algorithm is adding a folder; nothing else names one.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

from contract.specification import Algorithm

CONTAINERS = Path(__file__).resolve().parent


@cache
def algorithms() -> dict[str, Algorithm]:
    """Every algorithm by name, in alphabetical order.

    Raises:
        ValueError: a folder whose algorithm.toml gives another name.
    """
    found: dict[str, Algorithm] = {}
    for path in sorted(CONTAINERS.glob("*/algorithm.toml")):
        algorithm = Algorithm.read(path)
        if algorithm.name != path.parent.name:
            raise ValueError(
                f"{path} names the algorithm {algorithm.name!r}; it must be its folder, {path.parent.name!r}."
            )
        found[algorithm.name] = algorithm
    return found


def folder(name: str) -> Path:
    """The folder of an algorithm: its Dockerfile, lock file and package."""
    return CONTAINERS / algorithms()[name].name
