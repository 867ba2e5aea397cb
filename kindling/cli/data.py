"""data: public data sets, downloaded and prepared for the algorithms' channels."""

from __future__ import annotations

from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kindling.cli.terminal import notes, output, steps, table
from kindling.errors import UserError

if TYPE_CHECKING:
    from kindling.datasets.published import DataSet

app = typer.Typer(help="Get public data sets, laid out for the algorithms' channels.", no_args_is_help=True)


@app.command("list")
def list_() -> None:
    """List the data sets."""
    rows = table("data set", "what it is")
    for found in data_sets().values():
        rows.add_row(found.name, found.doc)
    output().print(rows)


@app.command()
def get(
    name: Annotated[str, typer.Argument(metavar="NAME", help="As `kindling data list` lists.")],
    folder: Annotated[
        Path | None, typer.Argument(metavar="[FOLDER]", help="Where to; a folder of that name.", show_default=False)
    ] = None,
    years: Annotated[
        str | None, typer.Option(metavar="FROM-TO", help="Of a data set of years, such as 1979-1985.")
    ] = None,
    base: Annotated[str | None, typer.Option(metavar="URL", help="Another address that has the same files.")] = None,
) -> None:
    """Download a data set into a folder for each of its parts; needs the network."""
    known = data_sets()
    if name not in known:
        raise UserError(f"{name} is no data set; known are {', '.join(known)}.")
    target = (folder or Path(name)).expanduser()
    wanted = known[name] if years is None else _of_years(known[name], years)
    with steps(f"downloading {name}"):
        counts = wanted.get(target, base)
    for part, count in counts.items():
        notes().print(f"{target / part}: {count:,} {wanted.units}", markup=False)
    print(target)


def _of_years(found: DataSet, years: str) -> DataSet:
    if found.of_years is None:
        raise UserError(f"{found.name} is no data set of years; leave out --years.")
    parts = years.split("-")
    if not 1 <= len(parts) <= 2 or not all(part.isdecimal() for part in parts):
        raise UserError(f"--years {years} is not valid; it must be such as 1979-1985.")
    return found.of_years(range(int(parts[0]), int(parts[-1]) + 1))


def data_sets() -> dict[str, DataSet]:
    """All that can be got, by name."""
    from kindling.datasets import labelled_text, parallel_text, tables

    every = (*labelled_text.DATA_SETS, *parallel_text.DATA_SETS, *tables.DATA_SETS)
    return {found.name: found for found in sorted(every, key=attrgetter("name"))}
