"""A CDK app of its own for the stack that an account has once; app.py deploys without it (docs/account.md)."""

from __future__ import annotations

import aws_cdk as cdk
from cdk_nag import AwsSolutionsChecks, NIST80053R5Checks

from stacks.account import AccountStack
from stacks.program import run
from stacks.settings import Settings


def wire(app: cdk.App, settings: Settings) -> None:
    """The account's stack."""
    AccountStack(app, f"{settings.prefix}Account", settings=settings)
    cdk.Validations.of(app).add_plugins(AwsSolutionsChecks(app), NIST80053R5Checks(app))


if __name__ == "__main__":
    run(wire)
