"""experiment: a pipeline under several conditions, compared."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kindling.cli.algorithm import SetOption
from kindling.cli.terminal import StateOption, TargetOption, chosen, notes, output, pairs, steps, table

if TYPE_CHECKING:
    from kindling.experiments import Ended

app = typer.Typer(help="Run a pipeline under several conditions and compare what comes of it.", no_args_is_help=True)


@app.callback()
def experiment() -> None:
    """Run a pipeline under several conditions and compare what comes of it."""


@app.command("data-distribution")
def data_distribution(
    channel: Annotated[
        list[str] | None,
        typer.Option("--channel", metavar="NAME=SOURCE", help="A file, a folder or s3://bucket/prefix. Repeatable."),
    ] = None,
    test: Annotated[
        str | None,
        typer.Option(metavar="SOURCE", help="CSV records, the label first, that endpoints and transforms are asked."),
    ] = None,
    algorithm: Annotated[str, typer.Option(help="As `kindling algorithms` lists.")] = "linear_learner",
    set_: SetOption = None,
    instances: Annotated[
        list[int] | None, typer.Option("--instances", help="Hosts that train together. Repeat for arms of each.")
    ] = None,
    seed: Annotated[list[int] | None, typer.Option("--seed", help="Repeat for arms of each.")] = None,
    distribution: Annotated[
        list[str] | None,
        typer.Option("--distribution", help="FullyReplicated or ShardedByS3Key; without it, all that there are."),
    ] = None,
    metric: Annotated[str | None, typer.Option(help="What is compared without --test; the algorithm's first.")] = None,
    instance_type: Annotated[str | None, typer.Option(metavar="TYPE", help="Such as ml.c5.2xlarge.")] = None,
    name: Annotated[str | None, typer.Option(help="What the experiment's name begins with; the algorithm's.")] = None,
    parallel: Annotated[
        int, typer.Option(min=1, max=40, help="Arms at a time; on one machine they slow each other.")
    ] = 1,
    to: Annotated[Path | None, typer.Option("--output", "-o", metavar="FILE", help="Where to write the page.")] = None,
    target: TargetOption = "embedded",
    state: StateOption = None,
) -> None:
    """Train with one object a host and with all objects on every host; compare time, cost and quality."""
    from kindling import experiments, resources
    from kindling.cli.algorithm import named
    from kindling.cli.train import local_or_s3, share
    from kindling.reports.experiment import write_experiment

    request = experiments.Request(
        algorithm=named(algorithm),
        test=local_or_s3({"test": test})["test"] if test else None,
        channels=local_or_s3(pairs(channel or [], "--channel")),
        hyperparameters=pairs(set_ or [], "--set"),
        metric=metric,
        distributions=distribution or (),
        instances=instances or (),
        seeds=seed or (),
        instance_type=instance_type,
        name=name,
        parallel=parallel,
    )
    experiments.check(request)
    where = chosen(target, state)
    deployed = resources.find(where)
    with steps("starting") as report:
        run, arn = experiments.start(
            where, deployed, request, lambda what, done, total: report(share(what, done, total))
        )
    notes().print(f"experiment {run}", markup=False)
    try:
        ended: Ended | None = None
        for told in experiments.follow(where, arn):
            if isinstance(told, str):
                notes().print(told, markup=False)
            else:
                ended = told
    except KeyboardInterrupt:
        notes().print("\ndetached; the experiment goes on, and its arms are among `kindling runs`.", markup=False)
        raise typer.Exit(0) from None
    assert ended is not None
    if ended.result is None:
        print(ended.cause, file=sys.stderr)
        raise typer.Exit(1)
    _show(ended.result)
    print(write_experiment(ended.result, to or where.state / "reports" / f"{run}.html"))


def _show(result: Mapping[str, Any]) -> None:
    numbers = ("download", "training", "upload", "instance-s", str(result["measure"]))
    rows = table("arms", *numbers, numbers=numbers)
    for group in result["groups"]:
        quality, seconds = group["quality"], group["seconds"]
        width = quality["half_width"] if quality else None
        rows.add_row(
            group["name"],
            *(f"{seconds[phase]:.1f} s" for phase in ("download", "training", "upload")),
            f"{group['instance_seconds']:.0f}",
            "" if quality is None else f"{quality['mean']:.6g}{'' if width is None else f' ± {width:.2g}'}",
        )
    output().print(rows)
    for sentence in result["verdict"]:
        output().print(sentence, markup=False, highlight=False)
