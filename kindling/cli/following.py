"""Showing how a run goes: a live list of its states on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from typing import Protocol

import typer
from rich.console import Console, ConsoleOptions, RenderResult
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.spinner import Spinner
from rich.table import Table

from containers.catalogue import algorithms
from kindling.cli.run_page import print_run
from kindling.cli.terminal import notes, output
from kindling.following import Snapshot, follow
from kindling.results import duration
from kindling.runs import SUCCEEDED, Run
from kindling.targets import Target

APPROVE = "Approve"  # the state that waits for a person
_ROOMY = 105  # columns in which a long progress bar leaves room for the numbers


def follow_to_the_end(target: Target, run: Run) -> None:
    """Shows a run until it is over, then its page. Ctrl-C detaches; the run goes on.

    Raises:
        typer.Exit: with 1 when the run did not succeed.
    """
    ended = watch(target, run)
    if ended is None:
        raise typer.Exit(0)
    print_run(output(), ended.run, ended.history)
    if ended.run.status != SUCCEEDED:
        print(ended.run.cause or f"run {run.name} ended as {ended.run.status}.", file=sys.stderr)
        raise typer.Exit(1)


def watch(target: Target, run: Run) -> Snapshot | None:
    """Shows a run until it is over and returns its end, or None when the user detached."""
    console = notes()
    display: Display = LiveDisplay(console) if console.is_terminal else PlainDisplay(console)
    last = None
    try:
        with display:
            for last in follow(target, run, algorithms()[run.algorithm]):
                display.show(last)
    except KeyboardInterrupt:
        where = "" if target.kind == "embedded" else " --target aws"
        console.print(
            f"\ndetached; the run goes on. Come back with `kindling show {run.name}{where}` "
            f"or `kindling logs {run.name} --follow{where}`.",
            markup=False,
        )
        return None
    return last


class Display(Protocol):
    """Shows snapshots between `__enter__` and `__exit__`."""

    def __enter__(self) -> object: ...

    def __exit__(self, *exception: object) -> None: ...

    def show(self, snapshot: Snapshot) -> None: ...


class LiveDisplay:
    """Every state with its mark and its time; the training state with a bar and the algorithm's own numbers."""

    def __init__(self, console: Console) -> None:
        self._snapshot: Snapshot | None = None
        self._spinner = Spinner("dots", style="cyan")
        self._live = Live(self, console=console, refresh_per_second=8)

    def __enter__(self) -> LiveDisplay:
        self._live.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._live.stop()

    def show(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot
        self._live.refresh()

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        shown = visits(self._snapshot) if self._snapshot is not None else []
        widest = max((len(visit.name) for visit in shown), default=0)
        rows = Table.grid(padding=(0, 2, 0, 0))
        # A narrow terminal takes its toll from the detail, never from the names and times.
        for width in (1, widest, len("10 min 10 s"), None):
            rows.add_column(no_wrap=True, min_width=width, overflow="ellipsis")
        for visit in shown:
            mark = self._spinner if visit.running else "[red]✗[/red]" if visit.failed else "[green]✓[/green]"
            rows.add_row(mark, visit.name, f"[dim]{duration(visit.seconds)}[/dim]", self._detail(visit, options))
        yield rows

    def _detail(self, visit: Visits, options: ConsoleOptions) -> Table | str:
        snapshot = self._snapshot
        if snapshot is not None and visit.running and snapshot.history.token and visit.name == APPROVE:
            return waiting(snapshot)
        if snapshot is None or visit.name != snapshot.history.training:
            return ""
        detail = Table.grid(padding=(0, 2, 0, 0))
        percent = snapshot.percent
        if percent is not None:
            bar = 30 if options.max_width >= _ROOMY else 10
            detail.add_row(ProgressBar(total=100, completed=percent, width=bar), in_words(snapshot))
        elif snapshot.job_status and visit.running:
            detail.add_row(f"[dim]{snapshot.job_status}[/dim]")
        return detail


class PlainDisplay:
    """A line when a state begins, and every few seconds one of training's progress: for logs and pipes."""

    EVERY_S = 5.0

    def __init__(self, console: Console) -> None:
        self._console = console
        self._shown: set[str] = set()
        self._next = 0.0
        self._last = ""

    def __enter__(self) -> PlainDisplay:
        return self

    def __exit__(self, *exception: object) -> None:
        return

    def show(self, snapshot: Snapshot) -> None:
        for visit in visits(snapshot):
            if visit.name not in self._shown:
                self._shown.add(visit.name)
                self._console.print(f"  {visit.name}", markup=False)
            if visit.name == APPROVE and snapshot.history.token and self._last != waiting(snapshot):
                self._last = waiting(snapshot)
                self._console.print(f"    {self._last}", markup=False)
            if visit.name == snapshot.history.training and snapshot.percent is not None:
                self._progress(snapshot)

    def _progress(self, snapshot: Snapshot) -> None:
        text, now = in_words(snapshot), time.monotonic()
        if text != self._last and (now >= self._next or snapshot.percent == 100):
            self._last, self._next = text, now + self.EVERY_S
            self._console.print(f"    {text}", markup=False)


def waiting(snapshot: Snapshot) -> str:
    """What a person has to do before the run goes on."""
    return f"waits for `kindling approve {snapshot.run.name}` or `kindling reject`"


def in_words(snapshot: Snapshot) -> str:
    """`45 %  1.23 million words/sec  alpha 0.0275`: the numbers that the catalogue names, the first with its unit."""
    words = [f"{snapshot.percent or 0:.0f} %"]
    for number, (name, value) in enumerate(snapshot.values.items()):
        words.append(f"{value:g} {name}" if number == 0 else f"{name} {value:g}")
    return "  ".join(words)


class Visits:
    """All visits to one state: a waiting loop is one line, not twenty."""

    def __init__(self, name: str) -> None:
        self.name, self.seconds, self.running, self.failed = name, 0.0, False, False


def visits(snapshot: Snapshot) -> list[Visits]:
    """The states of a run, each once, in the order in which it came to them."""
    found: dict[str, Visits] = {}
    for state in snapshot.history.telling:
        visit = found.setdefault(state.name, Visits(state.name))
        visit.seconds += state.seconds
        visit.running = state.exited is None and not snapshot.run.is_over
        visit.failed = visit.failed or state.failed
    return list(found.values())
