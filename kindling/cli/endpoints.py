"""invoke and neighbors: asking an endpoint."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from kindling.cli.terminal import StateOption, TargetOption, chosen, output, table

EndpointArgument = Annotated[str, typer.Argument(metavar="ENDPOINT", help="Name of the endpoint.", show_default=False)]


def invoke(
    endpoint: EndpointArgument,
    body: Annotated[
        str, typer.Option("--json", metavar="BODY", help="The request's body; @FILE reads a file, - standard input.")
    ],
    content_type: Annotated[str, typer.Option(help="Its content type.")] = "application/json",
    target: TargetOption = "embedded",
    state: StateOption = None,
) -> None:
    """Send a request to an endpoint and print what it answers."""
    from kindling import endpoints

    request = _body(body)
    answer = endpoints.invoke(chosen(target, state), endpoint, request, content_type)
    sys.stdout.buffer.write(answer if answer.endswith(b"\n") else answer + b"\n")


def neighbors(
    endpoint: EndpointArgument,
    words: Annotated[list[str], typer.Argument(metavar="WORD...", help="Words to look near.", show_default=False)],
    k: Annotated[int, typer.Option("--k", "-k", min=1, help="How many for each word.")] = 5,
    target: TargetOption = "embedded",
    state: StateOption = None,
) -> None:
    """Print the words nearest to some words, as the model behind an endpoint sees them."""
    from kindling import endpoints

    found = endpoints.neighbors(chosen(target, state), endpoint, words, k)
    rows = table("word", "nearest", "similarity", numbers=("similarity",))
    for word, near in found.items():
        if not near:
            rows.add_row(word, "(not in the vocabulary)", "")
        for number, neighbor in enumerate(near):
            rows.add_row(word if number == 0 else "", neighbor.word, f"{neighbor.similarity:.3f}")
    output().print(rows)


def _body(given: str) -> bytes:
    from kindling.errors import UserError

    if given == "-":
        return sys.stdin.buffer.read()
    if given.startswith("@"):
        try:
            return Path(given[1:]).expanduser().read_bytes()
        except OSError as error:
            raise UserError(f"the body's file {given[1:]} could not be read: {error.strerror}.") from None
    return given.encode()
