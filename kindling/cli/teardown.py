"""teardown and orphans: leaving nothing behind that costs money."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from kindling.cli.deployment import ContextOption
from kindling.cli.terminal import StateOption, TargetOption, YesOption, chosen, notes, output, pairs, steps, table
from kindling.results import duration

if TYPE_CHECKING:
    from kindling.teardown.attempts import Failure
    from kindling.teardown.plan import Plan


def teardown(
    target: TargetOption = "embedded",
    state: StateOption = None,
    context: ContextOption = None,
    include_data: Annotated[
        bool, typer.Option("--include-data", help="Delete data, too: buckets, images, logs, keys, model versions.")
    ] = False,
    unprotect: Annotated[
        bool, typer.Option("--unprotect", help="Take the termination protection off the stacks first.")
    ] = False,
    account: Annotated[
        bool,
        typer.Option("--account", help="Delete what `kindling bootstrap` made, too: no app can be deployed after it."),
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only list what would go and what would stay.")] = False,
    yes: YesOption = False,
) -> None:
    """Stop and delete all that costs money, and every stack. What is kept is listed with the reason and its price."""
    from kindling.errors import UserError
    from kindling.teardown import account as account_stacks
    from kindling.teardown import ownership, plan, removal

    given = pairs(context or [], "--context")
    where, ours = chosen(target, state), ownership.ownership()
    begun = time.monotonic()
    if account:
        account_stacks.require_alone(where, ours)
    found = plan.plan(where, ours, include_data=include_data, account=account)
    _print(found)
    if dry_run:
        return
    if found.is_empty:
        notes().print(f"nothing of {ours.name} is left to delete in the {where.describe()}", markup=False)
        return
    if found.protected and not unprotect:
        are = "are" if len(found.protected) > 1 else "is"
        raise UserError(
            f"nothing was deleted: {', '.join(found.protected)} {are} protected from deletion; add --unprotect to take "
            "the protection off."
        )
    if not yes:
        typer.confirm(_question(found, f"the {where.describe()}"), abort=True, err=True)
    with steps("tearing down") as report:
        failures = removal.remove(where, found, given, report)
    _raise(failures)
    notes().print(
        f"{ours.name} is gone from the {where.describe()}, after {duration(time.monotonic() - begun)}", markup=False
    )


def orphans(
    target: TargetOption = "embedded",
    state: StateOption = None,
    delete: Annotated[bool, typer.Option("--delete", help="Stop and delete them.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="List them as JSON.")] = False,
    yes: YesOption = False,
) -> None:
    """List what runs have left and nothing uses: endpoints, configurations, models, jobs that run, alarms."""
    from kindling.teardown import orphans as known
    from kindling.teardown import ownership

    where, ours = chosen(target, state), ownership.ownership()
    found = known.find(where, ours)
    if as_json:
        print(
            json.dumps(
                [
                    {
                        "kind": one.thing.kind,
                        "name": one.thing.name,
                        "run": one.run,
                        "reason": one.reason,
                        "costs": one.costs,
                    }
                    for one in found
                ],
                indent=1,
            )
        )
    elif found:
        rows = table("kind", "orphan", "why", "costs")
        for orphan in found:
            rows.add_row(orphan.thing.kind, orphan.thing.name, orphan.reason, orphan.costs)
        output().print(rows)
    else:
        print("no orphans.")
    if not (delete and found):
        return
    if not yes:
        typer.confirm(f"Stop and delete these {len(found)} in the {where.describe()}?", abort=True, err=True)
    with steps("deleting orphans") as report:
        failures = known.delete(where, ours, found, report)
    _raise(failures)


def _print(plan: Plan) -> None:
    for title, found in (("to go", list(plan.rows())), ("kept", plan.kept)):
        rows = table("", title, "")
        for row in found:
            rows.add_row(row.kind, row.name, row.note)
        if found:
            output().print(rows)
            output().print()


def _question(plan: Plan, where: str) -> str:
    """What is about to happen, with the names of what runs and of what serves."""
    running = [execution.name for execution in plan.executions]
    serving = [thing.name for thing in plan.things if thing.kind == "endpoint"]
    parts = [f"stop {', '.join(running)}"] if running else []
    parts += [f"delete {'endpoint' if len(serving) == 1 else 'endpoints'} {', '.join(serving)}"] if serving else []
    rest = f"delete all {'else ' if parts else ''}listed above{', DATA INCLUDED,' if plan.include_data else ''}"
    words = ", ".join([*parts, f"and {rest}"]) if parts else rest
    return f"{words[0].upper()}{words[1:]} in {where}?"


def _raise(failures: Sequence[Failure]) -> None:
    """Say what could not be deleted, and end with exit code 1.

    Raises:
        UserError: there are failures.
    """
    from kindling.errors import UserError

    if failures:
        named = "; ".join(f"{failure.kind} {failure.name}: {failure.reason}" for failure in failures)
        raise UserError(f"not all could be deleted: {named}. What comes after it is still there; run it again.")
