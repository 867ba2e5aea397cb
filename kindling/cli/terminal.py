"""What every command shares: the two streams, the options that choose a target, and how it is announced."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from kindling.targets import Target

_WIDE = 200  # columns where no terminal says how many, so that nothing is cut off in a file or a pipe


def output() -> Console:
    """What was asked for: standard output."""
    console = Console(highlight=False, soft_wrap=True)
    return console if console.is_terminal else Console(highlight=False, soft_wrap=True, width=_WIDE)


def notes() -> Console:
    """What is said along the way: standard error."""
    return Console(stderr=True, highlight=False, soft_wrap=True)


TargetOption = Annotated[
    str,
    typer.Option(
        "--target", envvar="KINDLING_TARGET", metavar="embedded|aws", help="The cloud to talk to.", show_default=True
    ),
]
StateOption = Annotated[
    Path | None,
    typer.Option("--state", envvar="KINDLING_STATE", metavar="DIR", help="State folder; .kindling in the repository."),
]
YesOption = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


def chosen(kind: str, state: Path | None) -> Target:
    """The target of a command, announced on stderr."""
    from kindling import targets

    target = targets.choose(kind, state)
    notes().print(f"target: {target.describe()}", style="dim", markup=False)
    return target


def pairs(values: list[str], option: str) -> dict[str, str]:
    """`name=value` options as a dictionary.

    Raises:
        UserError: one has no `=` or no name, or a name comes twice.
    """
    from kindling.errors import UserError

    found: dict[str, str] = {}
    for text in values:
        name, equals, value = text.partition("=")
        if not (name and equals):
            raise UserError(f"{option} {text} is not of the form NAME=VALUE.")
        if name in found:
            raise UserError(f"{option} {name} is given twice; give it once.")
        found[name] = value
    return found


def table(*columns: str, numbers: tuple[str, ...] = ()) -> Table:
    """An unframed table; columns named in `numbers` are right-aligned."""
    made = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for column in columns:
        made.add_column(column, justify="right" if column in numbers else "left", overflow="fold")
    return made


@contextmanager
def steps(doing: str) -> Iterator[Steps]:
    """A line that says what is being done; each step replaces the last on a terminal, or is printed where none is."""
    console = notes()
    if not console.is_terminal:
        console.print(doing, markup=False)
        yield Steps(lambda text: console.print(f"  {text}", markup=False))
        return
    with console.status(doing) as status:
        yield Steps(lambda text: status.update(f"{doing}: {text}"))


class Steps:
    """Says each step once."""

    def __init__(self, say: Callable[[str], object]) -> None:
        self._say, self._last = say, ""

    def __call__(self, text: str) -> None:
        if text != self._last:
            self._last = text
            self._say(text)
