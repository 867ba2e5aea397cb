"""Which instances are meant to run at once: what the settings say, or what each algorithm takes by default."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from stacks.settings import Settings

# The names of SageMaker's quotas, after the instance type, by purpose as the settings' `needs` have them.
PURPOSES: Final[Mapping[str, str]] = {
    "training": "training job usage",
    "spot": "spot training job usage",
    "processing": "processing job usage",
    "hosting": "endpoint usage",
}


@dataclass(frozen=True, order=True)
class InstanceNeed:
    """How many instances of a type have to run at once for a purpose."""

    instance_type: str
    purpose: str
    count: int

    @property
    def quota(self) -> str:
        """The name of the quota that limits it."""
        return f"{self.instance_type} for {PURPOSES[self.purpose]}"


def needs_of(settings: Settings) -> list[InstanceNeed]:
    """What an account must allow, each type and purpose once.

    Without `needs` in the settings it is one run at a time: an algorithm's instances for training, one of the same type
    to prepare and to evaluate with, and one endpoint.
    """
    if settings.needs:
        return sorted(
            InstanceNeed(instance_type, purpose, getattr(need, purpose))
            for instance_type, need in settings.needs.items()
            for purpose in PURPOSES
            if getattr(need, purpose)
        )
    from containers.catalogue import algorithms

    most: dict[tuple[str, str], int] = {}
    for algorithm in algorithms().values():
        training, serving = algorithm.resources, algorithm.serving
        for instance_type, purpose, count in (
            (training.instance_type, "training", training.instance_count),
            (training.instance_type, "processing", 1),
            (serving.instance_type, "hosting", 1),
        ):
            most[instance_type, purpose] = max(count, most.get((instance_type, purpose), 0))
    return sorted(InstanceNeed(*where, count) for where, count in most.items())
