"""algorithms, and `algorithm NAME train|serve|TOOL`: the catalogue, and one algorithm alone on local files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from kindling.cli.terminal import output, pairs, table

if TYPE_CHECKING:
    from collections.abc import Callable

    from contract.specification import Algorithm, Tool

ChannelOption = Annotated[
    list[str] | None,
    typer.Option("--channel", metavar="NAME=PATH", help="An input channel: a file or a folder. Repeatable."),
]
SetOption = Annotated[
    list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="A hyperparameter. Repeatable.")
]


class _Algorithms(TyperGroup):
    """One command group per algorithm of the catalogue, which is read only when it is asked for."""

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002
        return list(_catalogue())

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ARG002
        algorithm = _catalogue().get(cmd_name)
        return None if algorithm is None else typer.main.get_group(_group(algorithm))


app = typer.Typer(cls=_Algorithms, help="Run one algorithm alone on local files: no cloud.", no_args_is_help=True)


@app.callback()
def _algorithm() -> None:
    """Run one algorithm alone on local files: no cloud."""


def _catalogue() -> dict[str, Algorithm]:
    from containers.catalogue import algorithms

    return algorithms()


def _group(algorithm: Algorithm) -> typer.Typer:
    group = typer.Typer(help=algorithm.title, no_args_is_help=True)

    @group.command("train")
    def train(
        model_dir: Annotated[Path, typer.Option(metavar="DIR", help="Where the model is written.")],
        channel: ChannelOption = None,
        set_: SetOption = None,
        hosts: Annotated[int, typer.Option(min=1, help="Processes that train together, one for each host.")] = 1,
        checkpoint_dir: Annotated[
            Path | None,
            typer.Option(metavar="DIR", help="Keeps checkpoints there, and goes on from the newest that it finds."),
        ] = None,
    ) -> None:
        """Train on local files."""
        from kindling import local_algorithm

        channels = {name: Path(path).expanduser() for name, path in pairs(channel or [], "--channel").items()}
        hyperparameters = pairs(set_ or [], "--set")
        checkpoints = checkpoint_dir.expanduser() if checkpoint_dir else None
        raise typer.Exit(
            local_algorithm.train(algorithm, channels, hyperparameters, model_dir.expanduser(), hosts, checkpoints)
        )

    @group.command("serve")
    def serve(
        model_dir: Annotated[Path, typer.Option(metavar="DIR", help="Where the model is.")],
        port: Annotated[int, typer.Option(min=1, max=65535, help="Port on 127.0.0.1.")] = 8080,
    ) -> None:
        """Serve a model: GET /ping, POST /invocations."""
        from kindling import local_algorithm

        raise typer.Exit(local_algorithm.serve(algorithm, model_dir.expanduser(), port))

    for name, tool in algorithm.tools.items():
        group.command(name, help=tool.doc, epilog=_options(tool))(_using(algorithm, name))
    return group


def _using(algorithm: Algorithm, tool: str) -> Callable[..., None]:
    def use(
        source: Annotated[Path, typer.Argument(metavar="INPUT", help="What is read.", show_default=False)],
        target: Annotated[Path, typer.Argument(metavar="OUTPUT", help="The file that is made.", show_default=False)],
        set_: Annotated[list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="An option.")] = None,
    ) -> None:
        from kindling import local_algorithm

        options = pairs(set_ or [], "--set")
        raise typer.Exit(local_algorithm.use_tool(algorithm, tool, source.expanduser(), target.expanduser(), options))

    return use


def _options(tool: Tool) -> str:
    """The options of a tool, a paragraph each."""
    return "\n\n".join(
        f"{name}: {option.doc} ({option.expectation()}; {option.default})" for name, option in tool.options.items()
    )


def algorithms(
    name: Annotated[
        str | None, typer.Argument(metavar="[ALGORITHM]", help="Only this one.", show_default=False)
    ] = None,
) -> None:
    """List the algorithms with their channels, hyperparameters and metrics."""
    for algorithm in _catalogue().values() if name is None else [named(name)]:
        _print(algorithm)


def named(name: str) -> Algorithm:
    """The algorithm of that name.

    Raises:
        UserError: the catalogue has none.
    """
    from kindling.errors import UserError

    try:
        return _catalogue()[name]
    except KeyError:
        raise UserError(f"{name} is no algorithm; known are {', '.join(_catalogue())}.") from None


def _print(algorithm: Algorithm) -> None:
    console = output()
    console.print(f"[bold]{algorithm.name}[/bold]  {algorithm.title}\n")
    channels = table("channel", "required", "what it holds")
    for name, channel in algorithm.channels.items():
        channels.add_row(name, "yes" if channel.required else "no", channel.doc)
    hyperparameters = table("hyperparameter", "must be", "default", "what it does")
    for name, hyperparameter in algorithm.hyperparameters.items():
        default = "(required)" if hyperparameter.required else str(hyperparameter.default)
        hyperparameters.add_row(name, hyperparameter.expectation(), default, hyperparameter.doc)
    metrics = table("metric", "goal", "what it is")
    for metric in algorithm.metrics:
        metrics.add_row(metric.name, metric.goal, metric.doc)
    for rows in (channels, hyperparameters, metrics):
        console.print(rows)
        console.print()
