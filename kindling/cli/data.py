"""data: public data sets, downloaded and prepared for the algorithms' channels."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kindling.cli.terminal import notes, output, steps, table

app = typer.Typer(help="Get public data sets, laid out for the algorithms' channels.", no_args_is_help=True)


@app.command("list")
def list_() -> None:
    """List the data sets."""
    from kindling.datasets.parallel_text import DATA_SETS

    rows = table("data set", "what it is")
    for found in DATA_SETS.values():
        rows.add_row(found.name, found.doc)
    output().print(rows)


@app.command()
def get(
    name: Annotated[str, typer.Argument(metavar="NAME", help="As `kindling data list` lists.")],
    folder: Annotated[
        Path | None, typer.Argument(metavar="[FOLDER]", help="Where to; a folder of that name.", show_default=False)
    ] = None,
    base: Annotated[str | None, typer.Option(metavar="URL", help="Another address that has the same files.")] = None,
) -> None:
    """Download a data set into folders train, dev and test; needs the network."""
    from kindling.datasets import parallel_text

    target = (folder or Path(name)).expanduser()
    with steps(f"downloading {name}"):
        counts = parallel_text.get(name, target, base)
    for part, count in counts.items():
        notes().print(f"{target / part}: {count:,} sentence pairs", markup=False)
    print(target)
