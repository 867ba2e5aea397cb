"""Where to look and what to make: an environment's settings, and an account and region of a cloud."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kindling import resources, targets
from kindling.errors import UserError
from kindling.targets import AwsTarget, Target
from stacks.settings import Settings


@dataclass(frozen=True)
class Place:
    """An environment in a region. `is_home` tells whether the account's own stack belongs there."""

    environment: str
    settings: Settings
    target: Target
    region: str
    is_home: bool

    def client(self, service: str) -> Any:
        """A boto3 client."""
        return self.target.client(service)

    @property
    def account_stack(self) -> str:
        """The stack of what the account has once."""
        return f"{self.settings.prefix}Account"

    def __str__(self) -> str:
        return f"{self.environment} in {self.region}"


def places(
    kind: str,
    state: Path | None = None,
    *,
    environments: Sequence[str] = (),
    regions: Sequence[str] = (),
    profile: str | None = None,
) -> list[Place]:
    """Every environment in every region, one after another.

    Args:
        environments, regions, profile: as chosen on the command line; without them what KINDLING_ENVIRONMENT, the
            settings and the credentials say.
    Raises:
        UserError: one is given twice, there is no such environment or profile, no region is chosen, or the embedded
            cloud does not run or is asked for a region or profile that it does not have.
    """
    for option, values in (("--environment", environments), ("--region", regions)):
        if twice := {value for value in values if values.count(value) > 1}:
            raise UserError(f"{option} {min(twice)} is given twice; give it once.")
    # All settings are read before any cloud is asked.
    chosen = {name: resources.settings_of(name) for name in environments or [resources.environment_name()]}
    found: list[Place] = []
    for environment, settings in chosen.items():
        base = targets.choose(kind, state)
        asked = regions or ([settings.region] if settings.region else [])
        at = list(_at(base, profile or (settings.profile if kind == "aws" else None), asked))
        home = settings.region or at[0][0]
        found += [Place(environment, settings, target, region, region == home) for region, target in at]
    return found


def _at(base: Target, profile: str | None, regions: Sequence[str]) -> Iterator[tuple[str, Target]]:
    if base.kind == "embedded":
        has = str(base.client("sts").meta.region_name)
        if profile:
            raise UserError(f"--profile {profile} is for AWS; leave it out, or choose --target aws.")
        for region in regions or [has]:
            if region != has:
                raise UserError(f"the embedded cloud is in {has} and has no region {region}.")
            yield region, base
        return
    for target in [AwsTarget(base.state, profile=profile, region=region) for region in regions or (None,)]:
        yield target.region_name(), target
