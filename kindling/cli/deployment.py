"""deploy and teardown."""

from __future__ import annotations

import time
from typing import Annotated

import typer

from kindling.cli.terminal import StateOption, TargetOption, YesOption, chosen, notes, pairs, steps
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


def teardown(
    target: TargetOption = "embedded", state: StateOption = None, context: ContextOption = None, yes: YesOption = False
) -> None:
    """Delete the endpoints that pipelines made, and every stack. What the settings retain (data, keys) stays."""
    from kindling import deployment, endpoints

    where = chosen(target, state)
    serving = endpoints.made_by_pipelines(where)
    if not yes:
        named = f" and {'endpoint' if len(serving) == 1 else 'endpoints'} {', '.join(serving)}" if serving else ""
        typer.confirm(f"Delete every Kindling stack{named} in the {where.describe()}?", abort=True, err=True)
    with steps("tearing down") as report:
        for name in serving:
            report(f"deleting endpoint {name}")
            endpoints.delete(where, name)
        deployment.destroy(where, pairs(context or [], "--context"), report)
    notes().print(f"nothing of Kindling's stacks is left in the {where.describe()}", markup=False)
