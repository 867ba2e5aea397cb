"""bootstrap and doctor: making an account ready, and telling whether it is."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kindling.cli.terminal import StateOption, TargetOption, YesOption, notes, output, steps, table

if TYPE_CHECKING:
    from kindling.bootstrap.findings import Finding
    from kindling.bootstrap.making import Step
    from kindling.bootstrap.places import Place
    from kindling.bootstrap.preflight import Preflight

EnvironmentsOption = Annotated[
    list[str] | None,
    typer.Option("--environment", "-e", metavar="NAME", help="Whose settings, settings/NAME.toml; may be repeated."),
]
RegionsOption = Annotated[
    list[str] | None, typer.Option("--region", metavar="REGION", help="Instead of the settings'; may be repeated.")
]
ProfileOption = Annotated[str | None, typer.Option("--profile", metavar="NAME", help="Instead of the settings'.")]
EmbeddedOption = Annotated[bool, typer.Option("--embedded", help="The same as --target embedded.")]
JsonOption = Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")]

_COLOURS = {"pass": "green", "warn": "yellow", "fail": "red"}


def doctor(
    target: TargetOption = "embedded",
    state: StateOption = None,
    environment: EnvironmentsOption = None,
    region: RegionsOption = None,
    profile: ProfileOption = None,
    embedded: EmbeddedOption = False,
    as_json: JsonOption = False,
) -> None:
    """Tell whether an account and this machine are ready to deploy and to run; change nothing."""
    from kindling.bootstrap.places import places

    target = "embedded" if embedded else target
    chosen = places(target, state, environments=environment or (), regions=region or (), profile=profile)
    looked = _look(chosen, as_json=as_json)
    _end(looked, {}, as_json=as_json)


def bootstrap(
    target: TargetOption = "embedded",
    state: StateOption = None,
    environment: EnvironmentsOption = None,
    region: RegionsOption = None,
    profile: ProfileOption = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Tell what would change; change nothing.")] = False,
    request_quotas: Annotated[
        bool, typer.Option("--request-quotas", help="Ask AWS for the quotas that the needs exceed.")
    ] = False,
    embedded: EmbeddedOption = False,
    as_json: JsonOption = False,
    yes: YesOption = False,
) -> None:
    """Make accounts ready: look, as doctor does; then policies, cdk bootstrap and the account's own stack."""
    from kindling.bootstrap import quotas
    from kindling.bootstrap.making import Making
    from kindling.bootstrap.needs import needs_of
    from kindling.bootstrap.places import places
    from kindling.bootstrap.preflight import require_apart

    target = "embedded" if embedded else target
    chosen = places(target, state, environments=environment or (), regions=region or (), profile=profile)
    looked = _look(chosen, as_json=as_json, asking=request_quotas)
    done: dict[str, list[dict[str, Any]]] = {}
    if not all(one.passed for one in looked):
        if not as_json:
            notes().print("nothing was changed, for checks failed", style="red")
        _end(looked, done, as_json=as_json)
        return
    require_apart(looked)
    if not (dry_run or yes or target == "embedded"):
        _ask(looked)
    for one in looked:
        assert one.identity is not None
        place, made = one.place, []
        done[str(place)] = []
        with steps(f"{'looking at' if dry_run else 'bootstrapping'} {place}") as report:
            making = Making(place, one.identity, report)
            if request_quotas:
                needs = needs_of(place.settings)
                asked = quotas.wanted(place, needs) if dry_run else quotas.request(place, needs)
                done[str(place)] += [{"quota": words} for words in asked]
            for step in making.preview() if dry_run else making.make():
                made.append(step)
                done[str(place)].append(asdict(step))
        if not as_json:
            _print_steps(place, made, [entry["quota"] for entry in done[str(place)] if "quota" in entry], dry_run)
    _end(looked, done, as_json=as_json)


def _look(chosen: Sequence[Place], *, as_json: bool, asking: bool = False) -> list[Preflight]:
    from kindling.bootstrap.preflight import preflight

    looked = []
    for place in chosen:
        with steps("looking") as report:
            report(str(place))
            found = preflight(place, asking=asking)
        looked.append(found)
        if not as_json:
            _print_findings(found)
    return looked


def _ask(looked: Sequence[Preflight]) -> None:
    """The one question, which names every account and region that is going to be changed."""
    where = "; ".join(f"{one.place.environment}: AWS account {one.identity} in {one.place.region}" for one in looked)
    typer.confirm(f"Bootstrap {where}?", abort=True, err=True)


def _end(looked: Sequence[Preflight], done: dict[str, list[dict[str, Any]]], *, as_json: bool) -> None:
    """The document or the summary, and the exit code: 1 when a check failed."""
    passed = all(one.passed for one in looked)
    if as_json:
        print(json.dumps({"passed": passed, "places": [_as_json(one, done) for one in looked]}, indent=2))
    elif len(looked) > 1:
        summary = table("environment", "region", "account", "result")
        for one in looked:
            failed = sum(finding.status == "fail" for finding in one.findings)
            warned = sum(finding.status == "warn" for finding in one.findings)
            summary.add_row(
                one.place.environment,
                one.place.region,
                str(one.identity or ""),
                f"{failed} failed, {warned} to look at" if failed else f"ready, {warned} to look at",
            )
        output().print(summary)
    if not passed:
        raise typer.Exit(1)


def _as_json(one: Preflight, done: dict[str, list[dict[str, Any]]]) -> dict[str, Any]:
    return {
        "environment": one.place.environment,
        "region": one.place.region,
        "account": one.identity.account if one.identity else None,
        "alias": one.identity.alias if one.identity else None,
        "passed": one.passed,
        "checks": [asdict(finding) for finding in one.findings],
        "steps": done.get(str(one.place), []),
    }


def _print_findings(one: Preflight) -> None:
    console = output()
    who = f"account {one.identity}" if one.identity else one.place.target.kind
    console.print(f"{one.place.environment}: {who} in {one.place.region}", style="bold", markup=False)
    shown = table("", "check", "found", "what to do")
    for finding in one.findings:
        shown.add_row(*_cells(finding))
    console.print(shown)
    console.print()


def _cells(finding: Finding) -> tuple[Any, ...]:
    from rich.text import Text

    status = Text(finding.status, style=_COLOURS[finding.status])
    return status, finding.check, Text(finding.found), Text(finding.remedy)


def _print_steps(place: Place, made: Sequence[Step], asked: Sequence[str], dry_run: bool) -> None:
    console = output()
    for words in asked:
        console.print(f"{'would ask' if dry_run else 'asked'} for {words}", markup=False)
    shown = table("what", "what for", "change" if dry_run else "result")
    for step in made:
        shown.add_row(step.what, step.purpose, step.result or _counted(step))
    console.print(shown)
    for step in made:
        for change in step.changes:
            what = f"{change.action.lower()}{' (replaced)' if change.replaced else ''}"
            console.print(f"  {step.what}: {what} {change.resource} ({change.type})", markup=False)
    for step in made:
        for sentence in step.notes:
            console.print(sentence, markup=False)
    unchanged = all(step.result == "unchanged" if step.result else not step.changes for step in made)
    if unchanged and not asked:
        notes().print(f"{place}: nothing {'would change' if dry_run else 'has changed'}", markup=False)
    elif dry_run:
        notes().print(f"{place}: nothing was changed; this was a dry run", markup=False)


def _counted(step: Step) -> str:
    if not step.changes:
        return "none"
    counts = {action: sum(one.action == action for one in step.changes) for action in ("Add", "Modify", "Remove")}
    words = {"Add": "added", "Modify": "changed", "Remove": "removed"}
    return ", ".join(f"{count} {words[action]}" for action, count in counts.items() if count)
