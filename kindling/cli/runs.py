"""runs, show, logs, report: looking at what ran."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kindling.cli.terminal import StateOption, TargetOption, chosen, output, table
from kindling.results import duration

if TYPE_CHECKING:
    from rich.table import Table

    from kindling.runs import Run
    from kindling.targets import Target

RunArgument = Annotated[
    str, typer.Argument(metavar="RUN", help="A run's name, how it begins, or latest.", show_default=False)
]


def runs(
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="How many.")] = 20,
    target: TargetOption = "embedded",
    state: StateOption = None,
) -> None:
    """List the latest runs, the newest first."""
    from kindling import resources
    from kindling.runs import recent

    where = chosen(target, state)
    found = recent(where, resources.find_if_deployed(where), limit)
    if found:
        output().print(runs_table(where, found))
    else:
        print("no runs yet; `kindling train` starts one.")


def show(run: RunArgument, target: TargetOption = "embedded", state: StateOption = None) -> None:
    """Show a run; one that still goes on is followed until it ends."""
    from kindling import runs
    from kindling.cli.following import follow_to_the_end
    from kindling.cli.run_page import print_run

    where, found = found_run(run, target, state)
    if found.status == runs.RUNNING:
        follow_to_the_end(where, found)
    else:
        print_run(output(), found, runs.history(where, found))


def logs(
    run: RunArgument,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Until the run ends.")] = False,
    target: TargetOption = "embedded",
    state: StateOption = None,
) -> None:
    """Print what a run's training job printed."""
    from kindling import runs as known
    from kindling.errors import UserError
    from kindling.joblogs import JobLog

    where, found = found_run(run, target, state)
    log: JobLog | None = None
    try:
        while True:
            found = known.refresh(where, found)
            job = known.history(where, found).job
            log = log or (JobLog(where, job) if job else None)
            for line in log.new_lines() if log else []:
                print(f"{line.host} | {line.text}", flush=True)
            if found.is_over or not follow:
                break
            time.sleep(0.5 if where.kind == "embedded" else 3)
    except KeyboardInterrupt:
        return
    if log is None:
        raise UserError(f"run {found.name} has started no training job" + (f": {found.cause}" if found.cause else "."))


def report(
    run: RunArgument,
    to: Annotated[Path | None, typer.Option("--output", "-o", metavar="FILE", help="Where to write it.")] = None,
    target: TargetOption = "embedded",
    state: StateOption = None,
) -> None:
    """Write a self-contained HTML page about a run and print its path."""
    from kindling.reports import write_report

    where, found = found_run(run, target, state)
    print(write_report(where, found, to or where.state / "reports" / f"{found.name}.html").path)


def runs_table(target: Target, found: Sequence[Run]) -> Table:
    """Runs as a table; one that broke with its cause."""
    from rich.markup import escape

    from kindling.runs import refresh

    rows = table("run", "algorithm", "status", "started", "took", "", numbers=("took",))
    for run in found:
        style = {"SUCCEEDED": "green", "RUNNING": "cyan"}.get(run.status, "red")
        # A listing has no causes: only the few that broke are asked for theirs.
        broken = refresh(target, run) if style == "red" else run
        rows.add_row(
            run.name,
            run.algorithm,
            f"[{style}]{run.status}[/{style}]",
            run.started.astimezone().strftime("%Y-%m-%d %H:%M:%S"),
            duration(run.seconds),
            escape(broken.cause or ""),
        )
    return rows


def found_run(name: str, target: str, state: Path | None) -> tuple[Target, Run]:
    """The target, and the run of that name in it."""
    from kindling import resources
    from kindling.runs import find

    where = chosen(target, state)
    return where, find(where, resources.find_if_deployed(where), name)
