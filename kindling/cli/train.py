"""train: starting a run, and following it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kindling.cli.algorithm import SetOption
from kindling.cli.terminal import StateOption, TargetOption, chosen, notes, pairs, steps


def train(
    algorithm: Annotated[str, typer.Argument(metavar="ALGORITHM", help="As `kindling algorithms` lists.")],
    channel: Annotated[
        list[str] | None,
        typer.Option("--channel", metavar="NAME=SOURCE", help="A file, a folder or s3://bucket/prefix. Repeatable."),
    ] = None,
    set_: SetOption = None,
    instances: Annotated[int | None, typer.Option(help="Hosts that train together.")] = None,
    instance_type: Annotated[str | None, typer.Option(metavar="TYPE", help="Such as ml.c5.2xlarge.")] = None,
    name: Annotated[str | None, typer.Option(help="What the run's name begins with; the algorithm's name.")] = None,
    endpoint: Annotated[str | None, typer.Option(metavar="NAME", help="The endpoint to make or update.")] = None,
    no_endpoint: Annotated[bool, typer.Option("--no-endpoint", help="Only train and evaluate.")] = False,
    gate: Annotated[
        str | None,
        typer.Option(metavar="METRIC>=X", help="Deploy only then, such as train:mean_rho>=0.6, or validation:mse<=20."),
    ] = None,
    beat_champion: Annotated[
        bool, typer.Option("--beat-champion", help="Deploy only what is better than what the endpoint serves.")
    ] = False,
    spot: Annotated[bool, typer.Option("--spot", help="Train on spot capacity.")] = False,
    tune: Annotated[
        list[str] | None,
        typer.Option("--tune", metavar="NAME=RANGE", help="Search for it: LOW..HIGH, or A,B,C. Repeatable."),
    ] = None,
    tune_jobs: Annotated[int | None, typer.Option(min=1, max=500, help="Trainings of the search; 10.")] = None,
    register: Annotated[bool, typer.Option("--register", help="Put the model into the registry.")] = False,
    approve: Annotated[
        bool, typer.Option("--approve", help="Wait for `kindling approve` before the model is deployed.")
    ] = False,
    input_: Annotated[
        Path | None,
        typer.Option("--input", metavar="FILE", help="An execution's input in JSON (docs/pipeline.md) for the rest."),
    ] = None,
    follow: Annotated[bool, typer.Option(help="Show how the run goes until it ends.")] = True,
    target: TargetOption = "embedded",
    state: StateOption = None,
) -> None:
    """Upload what is local, and run an algorithm's pipeline: train, evaluate, deploy, check."""
    from kindling import resources, runs, submission
    from kindling.cli.algorithm import named
    from kindling.cli.following import follow_to_the_end
    from kindling.errors import UserError

    if tune_jobs is not None and not tune:
        raise UserError("--tune-jobs needs --tune; say what is to be searched for.")
    if endpoint is not None and no_endpoint:
        raise UserError("--endpoint and --no-endpoint exclude each other; give one of them.")
    request = submission.Request(
        algorithm=named(algorithm),
        channels=local_or_s3(pairs(channel or [], "--channel")),
        hyperparameters=pairs(set_ or [], "--set"),
        instances=instances,
        instance_type=instance_type,
        name=name,
        gate=gate,
        beat_champion=beat_champion,
        spot=spot,
        endpoint=False if no_endpoint else endpoint,
        tuning=pairs(tune or [], "--tune"),
        tuning_jobs=tune_jobs,
        register=register,
        approve=approve,
        further=submission.read_input(input_) if input_ else {},
    )
    submission.check(request)
    where = chosen(target, state)
    deployed = resources.find(where)
    with steps("starting") as report:
        started = submission.start(where, deployed, request, lambda what, done, total: report(share(what, done, total)))
    notes().print(f"run {started.run}", markup=False)
    if not follow:
        print(started.run)
        return
    follow_to_the_end(where, runs.find(where, deployed, started.run))


def local_or_s3(channels: dict[str, str]) -> dict[str, str]:
    """Sources by name, with local paths as the shell would have them."""
    return {
        name: source if source.startswith("s3://") else str(Path(source).expanduser())
        for name, source in channels.items()
    }


def share(what: str, done: int, total: int) -> str:
    """How far an upload is, in tenths."""
    return f"{what} {done * 10 // max(total, 1) * 10} %"
