"""Roles that AWS's services make for themselves on first use: where one is missing, so may be the right to make it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from kindling.bootstrap.findings import Finding
from kindling.bootstrap.places import Place
from stacks.settings import Settings

LISTING: Final = ("iam:GetRole",)
_CHECK = "service roles"


def roles(settings: Settings) -> Mapping[str, str]:
    """The service-linked roles that our parts come to need, and what for."""
    needed = {"AWSServiceRoleForApplicationAutoScaling_SageMakerEndpoint": "endpoints that scale"}
    if settings.access_analyzer:
        needed["AWSServiceRoleForAccessAnalyzer"] = "the account's access analyser"
    if settings.registry_scanning == "enhanced":
        needed["AWSServiceRoleForAmazonInspector2"] = "scanning images with Amazon Inspector"
    return needed


def look(place: Place) -> Iterator[Finding]:
    """Whether each role is there."""
    iam = place.client("iam")
    for role, purpose in roles(place.settings).items():
        try:
            iam.get_role(RoleName=role)
        except iam.exceptions.NoSuchEntityException:
            yield Finding(_CHECK, "warn", f"no {role}, for {purpose}", "nothing: AWS makes it on first use.")
        else:
            yield Finding(_CHECK, "pass", f"{role}, for {purpose}")
