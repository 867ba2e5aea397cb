"""Experiments: a pipeline run under several distributions of its data, and the arms compared."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from contract.specification import Algorithm
from kindling import submission
from kindling.errors import UserError
from kindling.resources import Resources
from kindling.submission import Progress
from kindling.targets import Target

_INTERVAL_S = {"embedded": 0.5, "aws": 5.0}
_TEST = "test-records"


@dataclass(frozen=True, kw_only=True)
class Request:
    """What `kindling experiment data-distribution` was asked for. Empty and None leave a choice to the plan.

    `channels` and `test` are local paths or s3:// addresses.
    """

    algorithm: Algorithm
    channels: Mapping[str, str]
    hyperparameters: Mapping[str, str]
    test: str | None = None
    metric: str | None = None
    distributions: Sequence[str] = ()
    instances: Sequence[int] = ()
    seeds: Sequence[int] = ()
    instance_type: str | None = None
    name: str | None = None
    parallel: int = 1


@dataclass(frozen=True)
class Ended:
    """An experiment that is over: its result, or why there is none."""

    run: str
    result: Mapping[str, Any] | None
    cause: str | None


def start(target: Target, resources: Resources, request: Request, progress: Progress) -> tuple[str, str]:
    """Check the request, upload what is local, start the execution; its name and ARN.

    Raises:
        UserError, InvalidJobError: the request cannot be meant; nothing was uploaded.
    """
    check(request)
    if resources.experiments is None:
        raise UserError("experiments are not deployed to this target; run `kindling deploy` again.")
    name = request.name or request.algorithm.name.replace("_", "-")
    run = submission.unique_name(name)
    sources = {**request.channels, **({_TEST: request.test} if request.test else {})}
    addresses = submission.upload(target, resources, f"{request.algorithm.name}/{run}", sources, progress)
    test = addresses.pop(_TEST, None)
    given = {**_input(request, addresses), "name": name, **({"test": test} if test else {})}
    execution = target.client("stepfunctions").start_execution(
        stateMachineArn=resources.experiments, name=run, input=json.dumps(given)
    )
    return run, str(execution["executionArn"])


def check(request: Request) -> None:
    """Refuses what every arm's pipeline would refuse later and what only this machine can know.

    Raises:
        UserError, InvalidJobError: one sentence that says what is wrong.
    """
    for hosts in request.instances or (None,):
        submission.check(
            submission.Request(
                algorithm=request.algorithm,
                channels=request.channels,
                hyperparameters=request.hyperparameters,
                instances=hosts,
                name=request.name,
            )
        )
    if request.test:
        submission.check_source("test", request.test)


def _input(request: Request, inputs: Mapping[str, str]) -> dict[str, Any]:
    arms = {"distributions": request.distributions, "instance_counts": request.instances, "seeds": request.seeds}
    return {
        "algorithm": request.algorithm.name,
        "inputs": dict(inputs),
        "hyperparameters": dict(request.hyperparameters),
        "resources": {"instance_type": request.instance_type} if request.instance_type else {},
        "arms": {name: list(values) for name, values in arms.items() if values},
        "parallel": request.parallel,
        **({"metric": request.metric} if request.metric else {}),
    }


def follow(target: Target, arn: str) -> Iterator[str | Ended]:
    """What happens in an experiment, a few words each, and at last its end."""
    client, told = target.client("stepfunctions"), 0
    while True:
        execution = client.describe_execution(executionArn=arn)
        events = _events(client, arn)
        yield from _told(events[told:])
        told = len(events)
        if execution["status"] != "RUNNING":
            output = execution.get("output")
            cause = execution.get("cause") or f"it ended as {execution['status']}."
            yield Ended(execution["name"], json.loads(output) if output else None, None if output else cause)
            return
        time.sleep(_INTERVAL_S[target.kind])


def _events(client: Any, arn: str) -> list[dict[str, Any]]:
    pages = client.get_paginator("get_execution_history").paginate(executionArn=arn, includeExecutionData=True)
    return [event for page in pages for event in page["events"]]


def _told(events: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    for event in events:
        entered = event.get("stateEnteredEventDetails")
        if entered is None:
            continue
        if entered["name"] == "Run":
            arm = json.loads(entered["input"])["arm"]
            hosts, seed = arm["instance_count"], arm["seed"]
            yield (
                f"{arm['run']}: {arm['distribution']} on {hosts} host{'s' * (hosts > 1)}"
                f"{'' if seed is None else f', seed {seed}'}"
            )
        elif entered["name"] in _STEPS:
            yield _STEPS[entered["name"]]


_STEPS = {
    "Transform": "  batch transform of the test records",
    "AskEndpoint": "  asking the endpoint for the test records",
    "Compare": "comparing the arms",
}
