"""up, down, status: the embedded cloud itself."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kindling.cli.terminal import StateOption, TargetOption, chosen, notes, output
from kindling.errors import UserError
from kindling.results import duration

if TYPE_CHECKING:
    from rich.console import Console

    from kindling.localcloud.cloud import RunnerName
    from kindling.targets import Target


def up(
    state: StateOption = None,
    port: Annotated[
        int | None, typer.Option(envvar="KINDLING_PORT", min=1, max=65535, help="Port on 127.0.0.1; 5770.")
    ] = None,
    runner: Annotated[
        str | None,
        typer.Option(envvar="KINDLING_RUNNER", help="How containers run: process, or docker (images built and run)."),
    ] = None,
    export: Annotated[bool, typer.Option("--export", help='For the shell: eval "$(kindling up --export)".')] = False,
) -> None:
    """Start the embedded cloud and print the environment with which any AWS client talks to it."""
    from kindling.localcloud import lifecycle
    from kindling.targets import state_folder

    folder = state_folder(state)
    interrupted = _interrupted(folder)
    info = lifecycle.up(folder, lifecycle.default_port() if port is None else port, runner_of(runner))
    notes().print(
        f"the embedded cloud runs at {info.endpoint_url} (pid {info.pid}, state {info.state})",
        style="dim",
        markup=False,
    )
    for record in _interrupted(folder):
        if record not in interrupted:
            notes().print(f"run {record['name']} is broken: {record['cause']}.", style="yellow", markup=False)
    for name, value in sorted(lifecycle.client_environment(info).items()):
        print(f"{'export ' if export else ''}{name}={shlex.quote(value)}")


def runner_of(name: str | None) -> RunnerName | None:
    """A runner by its name; None for no name.

    Raises:
        UserError: there is none of that name.
    """
    from kindling.localcloud.cloud import RUNNERS

    for runner in RUNNERS:
        if runner == name:
            return runner
    if not name:
        return None
    raise UserError(f"--runner {name} must be one of {', '.join(RUNNERS)}.")


def down(state: StateOption = None) -> None:
    """End the embedded cloud and everything it started. What it holds is there again after the next `up`."""
    from kindling.localcloud import lifecycle
    from kindling.targets import state_folder

    folder = state_folder(state)
    ended = lifecycle.down(folder)
    print("the embedded cloud has ended." if ended else "the embedded cloud was not running.")


def status(target: TargetOption = "embedded", state: StateOption = None) -> None:
    """Show what runs: the cloud, what is deployed, endpoints and the latest runs."""
    where = chosen(target, state)
    console = output()
    if where.kind == "embedded":
        _print_cloud(console, where)
    _print_stacks(console, where)
    _print_endpoints(console, where)
    _print_runs(console, where)


def _interrupted(folder: Path) -> list[dict[str, Any]]:
    from kindling.localcloud.executions import INTERRUPTED, records

    return [record for record in records(folder) if record["error"] == INTERRUPTED]


def _print_cloud(console: Console, target: Target) -> None:
    import time

    from kindling.localcloud import lifecycle

    info = lifecycle.info(target.state)
    if info is not None:
        uptime = duration(time.time() - info.started_at)
        console.print(f"cloud    pid {info.pid}, up {uptime}, state {info.state}", markup=False)


def _print_stacks(console: Console, target: Target) -> None:
    from kindling.resources import stack_prefix

    pages = target.client("cloudformation").get_paginator("describe_stacks").paginate()
    stacks = [stack for page in pages for stack in page["Stacks"] if stack["StackName"].startswith(stack_prefix())]
    if not stacks:
        console.print("stacks   none; `kindling deploy` makes them")
    for number, stack in enumerate(sorted(stacks, key=lambda stack: str(stack["StackName"]))):
        console.print(f"{'stacks' if number == 0 else '':8} {stack['StackName']}  {stack['StackStatus']}", markup=False)


def _print_endpoints(console: Console, target: Target) -> None:
    endpoints = target.client("sagemaker").list_endpoints(SortBy="CreationTime", SortOrder="Descending")["Endpoints"]
    if not endpoints:
        console.print("endpoints none")
    for endpoint in endpoints:
        console.print(f"endpoint {endpoint['EndpointName']}  {endpoint['EndpointStatus']}", markup=False)


def _print_runs(console: Console, target: Target) -> None:
    from kindling import resources, runs
    from kindling.cli.runs import runs_table

    found = runs.recent(target, resources.find_if_deployed(target), limit=5)
    if found:
        console.print()
        console.print(runs_table(target, found))
