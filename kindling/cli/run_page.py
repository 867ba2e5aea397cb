"""A run as text: what it was, how it went, what came of it."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Console
from rich.markup import escape

from kindling.cli.terminal import table
from kindling.histories import History
from kindling.results import duration, metrics, pairs_covered, part
from kindling.runs import SUCCEEDED, Run


def print_run(console: Console, run: Run, history: History) -> None:
    """Everything that is known of a run."""
    rows = table("", "")
    rows.show_header = False
    for name, value in facts(run):
        rows.add_row(f"[dim]{name}[/dim]", value)
    console.print()
    console.print(rows)
    if history.states and run.status != SUCCEEDED:
        states = " → ".join(dict.fromkeys(state.name for state in history.telling))
        console.print(f"\n[dim]states[/dim]  {states}")


def facts(run: Run) -> Iterator[tuple[str, str]]:
    """The run's lines: a name and what there is to say."""
    style = {"SUCCEEDED": "green", "RUNNING": "cyan"}.get(run.status, "red")
    yield "run", run.name
    yield "execution", run.arn
    yield "status", f"[{style}]{run.status}[/{style}] after {duration(run.seconds)}"
    if run.cause:
        yield "cause", escape(run.cause)
    if not run.output:
        return
    if tuning := run.output.get("tuning"):
        chosen = ", ".join(f"{name}={value}" for name, value in tuning["hyperparameters"].items())
        yield "tuned", f"{chosen} (job {tuning['best_job']})"
    training, evaluation = part(run.output, "training"), part(run.output, "evaluation")
    yield "model", str(training.get("model_s3_uri", ""))
    yield "training", duration(float(training.get("training_seconds") or 0))
    for name, value in metrics(run.output):
        yield name, f"{value:.4g}"
    if covered := pairs_covered(run.output):
        yield "pairs covered", covered
    if gate := evaluation.get("gate"):
        yield "gate", f"{'passed' if gate['passed'] else 'not passed'}: {escape(gate['reason'])}"
    if package := run.output.get("model_package_arn"):
        yield "registered", str(package)
    if approval := run.output.get("approval"):
        yield "approved", escape(f"by {approval['by']}: {approval['comment']}")
    if batch := run.output.get("batch"):
        yield "answers", str(batch["output"])
    if endpoint := run.output.get("endpoint"):
        yield "endpoint", f"{endpoint['name']} {endpoint['status']} ({endpoint['action']})"
    if smoke_test := run.output.get("smoke_test"):
        yield "smoke test", f"passed in {smoke_test['latency_ms']:.1f} ms"
