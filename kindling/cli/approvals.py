"""approve and reject: deciding about a run that waits."""

from __future__ import annotations

from typing import Annotated

import typer

from kindling.cli.runs import RunArgument, found_run
from kindling.cli.terminal import StateOption, TargetOption, notes


def approve(
    run: RunArgument,
    comment: Annotated[str, typer.Option(help="Kept with the model in the registry.")] = "approved",
    target: TargetOption = "embedded",
    state: StateOption = None,
) -> None:
    """Let a run that waits for approval deploy its model."""
    from kindling import approvals

    where, found = found_run(run, target, state)
    approvals.approve(where, found, comment)
    notes().print(f"approved {found.name}", markup=False)


def reject(
    run: RunArgument,
    reason: Annotated[str, typer.Option(help="Kept with the model in the registry, and told in the run's cause.")],
    target: TargetOption = "embedded",
    state: StateOption = None,
) -> None:
    """End a run that waits for approval; its model is not deployed."""
    from kindling import approvals

    where, found = found_run(run, target, state)
    approvals.reject(where, found, reason)
    notes().print(f"rejected {found.name}", markup=False)
