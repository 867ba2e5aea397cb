"""state export, state import: what the embedded cloud keeps, as one file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kindling.cli.terminal import StateOption

app = typer.Typer(help="Export and import what the embedded cloud keeps.", no_args_is_help=True)


@app.command("export")
def export(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The .tar.gz to write.", show_default=False)],
    state: StateOption = None,
) -> None:
    """Write buckets, jobs, models, stacks, executions and logs to a file; the cloud may go on running."""
    from kindling.localcloud.state_archive import export_state
    from kindling.targets import state_folder

    size = export_state(state_folder(state), file)
    print(f"{file} holds the state ({size / 1e6:.1f} MB).")


@app.command("import")
def bring_back(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="What `export` wrote.", show_default=False)],
    replace: Annotated[bool, typer.Option("--replace", help="Lose what the folder holds.")] = False,
    state: StateOption = None,
) -> None:
    """Have the state folder hold what was exported; the next `kindling up` goes on with it."""
    from kindling.localcloud.state_archive import import_state
    from kindling.targets import state_folder

    folder = state_folder(state)
    import_state(folder, file, replace=replace)
    print(f"{folder} holds the state of {file}; `kindling up` goes on with it.")
