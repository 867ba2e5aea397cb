"""deploy: bringing the app to a cloud."""

from __future__ import annotations

import time
from typing import Annotated

import typer

from kindling.cli.terminal import StateOption, TargetOption, chosen, notes, pairs, steps
from kindling.results import duration

ContextOption = Annotated[
    list[str] | None, typer.Option("--context", "-c", metavar="KEY=VALUE", help="A setting, for this time.")
]


def deploy(target: TargetOption = "embedded", state: StateOption = None, context: ContextOption = None) -> None:
    """Bootstrap the account and deploy every stack, with the CDK."""
    from kindling import deployment

    where = chosen(target, state)
    begun = time.monotonic()
    with steps("deploying") as report:
        deployment.deploy(where, pairs(context or [], "--context"), report)
    notes().print(f"deployed to the {where.describe()} in {duration(time.monotonic() - begun)}", markup=False)
