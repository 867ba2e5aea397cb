"""What all stacks of the app have in common."""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_kms as kms
from constructs import Construct

from stacks.acknowledgements import OF_EVERY_STACK, acknowledge
from stacks.settings import Settings


def removal_policy(settings: Settings) -> cdk.RemovalPolicy:
    """What becomes of a resource that holds something when its stack is deleted."""
    return cdk.RemovalPolicy.DESTROY if settings.removal == "destroy" else cdk.RemovalPolicy.RETAIN


def camel(algorithm: str) -> str:
    """An algorithm's name as logical ids and outputs have it: gluon_fasttext -> GluonFasttext."""
    return "".join(part.capitalize() for part in algorithm.split("_"))


class HouseStack(cdk.Stack):
    """A stack with the settings' environment, termination protection, tags and permissions boundary.

    Without `account` and `region` in the settings the template fits any account, and synthesis asks no one.
    Log groups of the stack are encrypted with `logs_key`; what makes some sets it first.
    """

    logs_key: kms.IKey | None = None

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        settings: Settings,
        description: str,
        synthesizer: cdk.IStackSynthesizer | None = None,
    ) -> None:
        super().__init__(
            scope,
            id,
            description=description,
            env=cdk.Environment(account=settings.account, region=settings.region),
            termination_protection=settings.termination_protection,
            permissions_boundary=_boundary(settings),
            synthesizer=synthesizer,
        )
        for key, value in settings.tags.items():
            cdk.Tags.of(self).add(key, value)
        acknowledge(self, OF_EVERY_STACK)


def _boundary(settings: Settings) -> cdk.PermissionsBoundary | None:
    if settings.permissions_boundary is None:
        return None
    if settings.permissions_boundary.startswith("arn:"):
        return cdk.PermissionsBoundary.from_arn(settings.permissions_boundary)
    return cdk.PermissionsBoundary.from_name(settings.permissions_boundary)
