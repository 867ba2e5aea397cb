"""Runs: executions of the pipelines."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from kindling.errors import UserError
from kindling.histories import History, history_of
from kindling.resources import Resources
from kindling.targets import Target

RUNNING, SUCCEEDED = "RUNNING", "SUCCEEDED"


@dataclass(frozen=True, kw_only=True)
class Run:
    """One execution. `output` is there when it succeeded, `error` and `cause` when it did not."""

    name: str
    algorithm: str
    arn: str
    status: str
    started: datetime
    stopped: datetime | None = None
    input: Mapping[str, Any] = field(default_factory=dict)
    output: Mapping[str, Any] | None = None
    error: str | None = None
    cause: str | None = None

    @property
    def is_over(self) -> bool:
        return self.status != RUNNING

    @property
    def seconds(self) -> float:
        """How long it took, or has taken until now."""
        return ((self.stopped or datetime.now(UTC)) - self.started).total_seconds()


def recent(target: Target, resources: Resources | None, limit: int = 20) -> list[Run]:
    """The latest runs of every algorithm, the newest first, without their input and output."""
    found: dict[str, Run] = {}
    for algorithm, machine in (resources.state_machines if resources else {}).items():
        found |= {run.name: run for run in _listed(target, algorithm, machine, limit)}
    return sorted(found.values(), key=lambda run: run.started, reverse=True)[:limit]


def find(target: Target, resources: Resources | None, name: str) -> Run:
    """The run of that name, or of the only name that begins so; `latest` is the one that started last.

    Raises:
        UserError: there is none, or several begin so.
    """
    known = recent(target, resources, limit=1000)
    matching = known[:1] if name == "latest" else [run for run in known if run.name == name]
    matching = matching or [run for run in known if run.name.startswith(name)]
    if not matching:
        raise UserError(f"no run {name} was found; `kindling runs` lists what there is.")
    if len(matching) > 1:
        raise UserError(
            f"{len(matching)} runs begin with {name}, {matching[0].name} among them; give more of the name."
        )
    return refresh(target, matching[0])


def refresh(target: Target, run: Run) -> Run:
    """The run as it stands now, with its input and output."""
    answer = target.client("stepfunctions").describe_execution(executionArn=run.arn)
    return Run(
        name=run.name,
        algorithm=run.algorithm,
        arn=run.arn,
        status=answer["status"],
        started=answer["startDate"],
        stopped=answer.get("stopDate"),
        input=json.loads(answer.get("input") or "{}"),
        output=json.loads(answer["output"]) if answer.get("output") else None,
        error=answer.get("error"),
        cause=answer.get("cause"),
    )


def history(target: Target, run: Run) -> History:
    """The states that a run visited, in order."""
    pages = (
        target.client("stepfunctions")
        .get_paginator("get_execution_history")
        .paginate(executionArn=run.arn, includeExecutionData=True)
    )
    return history_of(event for page in pages for event in page["events"])


def _listed(target: Target, algorithm: str, machine: str, limit: int) -> Iterator[Run]:
    pages = target.client("stepfunctions").get_paginator("list_executions")
    for page in pages.paginate(stateMachineArn=machine, PaginationConfig={"MaxItems": limit}):
        for item in page["executions"]:
            yield Run(
                name=item["name"],
                algorithm=algorithm,
                arn=item["executionArn"],
                status=item["status"],
                started=item["startDate"],
                stopped=item.get("stopDate"),
            )
