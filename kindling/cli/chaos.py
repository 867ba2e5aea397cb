"""chaos: provoking, on the embedded cloud, what AWS does to one now and then."""

from __future__ import annotations

from typing import Annotated

import typer

from kindling.cli.terminal import StateOption

app = typer.Typer(help="Provoke what AWS does now and then: the embedded cloud only.", no_args_is_help=True)


@app.callback()
def chaos() -> None:
    """Provoke what AWS does now and then: the embedded cloud only."""


@app.command()
def interrupt(
    job: Annotated[str, typer.Argument(metavar="JOB", help="Name of a training job that runs on spot instances.")],
    state: StateOption = None,
) -> None:
    """Take a training job's spot instances back, with two minutes' notice; it then starts again by itself."""
    from kindling import chaos, targets

    chaos.interrupt(targets.running_embedded_cloud(targets.state_folder(state)), job)
    print(f"{job} loses its instances: its hosts have SIGTERM now, and two minutes to save their checkpoints.")
