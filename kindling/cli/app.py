"""The commands, in the order in which a person meets them."""

from __future__ import annotations

import typer

from kindling.cli import (
    algorithm,
    approvals,
    bootstrap,
    chaos,
    cloud,
    data,
    demo,
    deployment,
    endpoints,
    experiment,
    runs,
    state,
    teardown,
    train,
    verify,
)

app = typer.Typer(
    help="Trains and serves word vectors, classifiers, translators and linear models on Amazon SageMaker, or on an"
    " embedded cloud with the same templates.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)

_CLOUD, _RUNS, _LOCAL = "The cloud", "Training and serving", "Without a cloud"

for panel, commands in (
    (_CLOUD, (cloud.up, cloud.down, cloud.status, bootstrap.doctor, bootstrap.bootstrap)),
    (_CLOUD, (deployment.deploy, teardown.teardown, teardown.orphans)),
    (_RUNS, (train.train, runs.runs, runs.show, runs.logs, runs.report, approvals.approve, approvals.reject)),
    (_RUNS, (endpoints.invoke, endpoints.neighbors)),
    (_LOCAL, (algorithm.algorithms, verify.verify)),
):
    for command in commands:
        app.command(rich_help_panel=panel)(command)
app.add_typer(state.app, name="state", rich_help_panel=_CLOUD)
app.add_typer(algorithm.app, name="algorithm", rich_help_panel=_LOCAL)
app.add_typer(data.app, name="data", rich_help_panel=_LOCAL)
app.add_typer(experiment.app, name="experiment", rich_help_panel=_RUNS)
app.add_typer(chaos.app, name="chaos", rich_help_panel=_CLOUD)
app.command(hidden=True)(demo.demo)
