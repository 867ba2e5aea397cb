"""demo: what `make demo` runs, from nothing to neighbours asked through an endpoint."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kindling.cli.cloud import runner_of
from kindling.cli.terminal import StateOption, notes, output, steps, table
from kindling.results import duration, metrics

if TYPE_CHECKING:
    from kindling.datasets import Corpus
    from kindling.endpoints import Neighbor
    from kindling.runs import Run
    from kindling.targets import EmbeddedTarget, Target

ALGORITHM = "blazingtext"
ENDPOINT = "kindling-demo"
HOSTS = 2
NEIGHBORS = 5
_THROUGHPUT = "train:throughput"  # in millions of words a second
_HYPERPARAMETERS = {"mode": "batch_skipgram", "vector_dim": "100", "evaluation": "True"}


def demo(
    corpus: Annotated[str, typer.Option(help="botocore, text8 or the path of a text file.")] = "botocore",
    state: StateOption = None,
    port: Annotated[int | None, typer.Option(envvar="KINDLING_PORT", help="Port of the embedded cloud.")] = None,
    runner: Annotated[str | None, typer.Option(envvar="KINDLING_RUNNER", help="process, or docker.")] = None,
) -> None:
    """Deploy to the embedded cloud, train word vectors, evaluate, serve and query them."""
    times = Times()
    with times.phase("cloud"):
        where = _cloud(state, port, runner)
    with times.phase("corpus"), steps(f"corpus {corpus}"):
        text = _corpus(corpus, where)
    with times.phase("deploy"):
        _deploy(where)
    with times.phase("upload"):
        run = _start(where, text)
    with times.phase("pipeline"):
        ended = _follow(where, run)
    with times.phase("report"), steps("asking the endpoint and writing the report"):
        page, words = _report(where, ended, text)
        found = _neighbors(where, ended, words)
    _print_summary(ended, found, page, times)


class Times:
    """Wall times of the phases, in seconds."""

    def __init__(self) -> None:
        self._begun, self.phases = time.monotonic(), dict[str, float]()

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        begun = time.monotonic()
        yield
        self.phases[name] = time.monotonic() - begun

    @property
    def total(self) -> float:
        return time.monotonic() - self._begun


def _cloud(state: Path | None, port: int | None, runner: str | None) -> EmbeddedTarget:
    from kindling.localcloud import lifecycle
    from kindling.targets import running_embedded_cloud, state_folder

    folder = state_folder(state)
    with steps("starting the embedded cloud"):
        lifecycle.up(folder, lifecycle.default_port() if port is None else port, runner_of(runner))
    target = running_embedded_cloud(folder)
    notes().print(f"target: {target.describe()}", style="dim", markup=False)
    return target


def _deploy(target: Target) -> None:
    from kindling import deployment

    with steps("deploying the stacks") as report:
        deployed = deployment.deploy_unless_unchanged(target, report)
    notes().print("stacks deployed" if deployed else "stacks in place, nothing has changed")


def _corpus(name: str, target: Target) -> Corpus:
    from kindling import datasets

    return datasets.find(name, target.state / "corpora")


def _start(target: Target, corpus: Corpus) -> Run:
    from containers.catalogue import algorithms
    from kindling import resources, runs, submission

    request = submission.Request(
        algorithm=algorithms()[ALGORITHM],
        channels={"train": str(corpus.path)},
        hyperparameters=_HYPERPARAMETERS,
        instances=HOSTS,
        name="demo",
        endpoint=ENDPOINT,
    )
    deployed = resources.find(target)
    with steps(f"uploading {corpus.path.name}"):
        started = submission.start(target, deployed, request, lambda _what, _done, _total: None)
    notes().print(f"execution {started.arn}", markup=False)
    return runs.find(target, deployed, started.run)


def _follow(target: Target, run: Run) -> Run:
    from kindling.cli.following import watch
    from kindling.runs import SUCCEEDED

    last = watch(target, run)
    if last is None:
        raise typer.Exit(0)
    if last.run.status != SUCCEEDED:
        print(last.run.cause or f"run {run.name} ended as {last.run.status}.", file=sys.stderr)
        raise typer.Exit(1)
    return last.run


def _report(target: Target, run: Run, corpus: Corpus) -> tuple[Path, Sequence[str]]:
    """The report's path and the words to ask the endpoint about."""
    from kindling.reports import write_report

    page = write_report(target, run, target.state / "reports" / f"{run.name}.html", corpus.telling_words)
    return page.path, page.words[:3]


def _neighbors(target: Target, run: Run, words: Sequence[str]) -> dict[str, list[Neighbor]]:
    from kindling import endpoints

    assert run.output is not None
    return endpoints.neighbors(target, run.output["endpoint"]["name"], words, NEIGHBORS)


def _print_summary(run: Run, found: dict[str, list[Neighbor]], page: Path, times: Times) -> None:
    from kindling.cli.run_page import facts

    rows = table("", "")
    rows.show_header = False
    for name, value in facts(run):
        rows.add_row(f"[dim]{name}[/dim]", value)
    rows.add_row("[dim]words/sec[/dim]", f"{dict(metrics(run.output))[_THROUGHPUT] * 1e6:,.0f}")
    for number, (word, near) in enumerate(found.items()):
        listed = ", ".join(f"{neighbor.word} [dim]{neighbor.similarity:.2f}[/dim]" for neighbor in near)
        rows.add_row("[dim]neighbours[/dim]" if number == 0 else "", f"[bold]{word}[/bold]: {listed}")
    rows.add_row("[dim]report[/dim]", str(page))
    phases = ", ".join(f"{name} {duration(seconds)}" for name, seconds in times.phases.items())
    rows.add_row("[dim]time[/dim]", f"{duration(times.total)} ({phases})")
    rows.add_row(
        "[dim]go on[/dim]",
        f".venv/bin/kindling neighbors {ENDPOINT} {next(iter(found), 'WORD')} [dim](the endpoint stays up)[/dim]",
    )
    rows.add_row("", ".venv/bin/kindling down [dim](ends the embedded cloud)[/dim]")
    console = output()
    console.print()
    console.print(rows)
