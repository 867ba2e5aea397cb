"""What a teardown will stop, delete and keep, looked up before anything is touched."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from kindling import resources
from kindling.errors import UserError
from kindling.targets import Target
from kindling.teardown import account as account_stacks
from kindling.teardown import data, logs, made, stacks
from kindling.teardown.executions import Execution, Machines
from kindling.teardown.made import Thing
from kindling.teardown.ownership import ALGORITHM, Ownership
from kindling.teardown.stacks import Holding, Stack


@dataclass(frozen=True)
class Row:
    """A line of the list. `note` says why something stays and what it costs, or what becomes of it."""

    kind: str
    name: str
    note: str


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What there is of a deployment, and what becomes of it.

    `doomed` is the data that goes, with its stack or after it; `kept` is what stays. `endpoint_logs` are log groups,
    `job_logs` streams by the group that they share with others' jobs. `account` are stacks of `kindling bootstrap`.
    """

    ours: Ownership
    include_data: bool
    account: tuple[str, ...]
    executions: tuple[Execution, ...]
    things: tuple[Thing, ...]
    stacks: tuple[Stack, ...]
    doomed: tuple[Holding, ...]
    kept: tuple[Row, ...]
    endpoint_logs: tuple[str, ...]
    job_logs: dict[str, list[str]]

    @property
    def protected(self) -> list[str]:
        """The names of the stacks that CloudFormation refuses to delete."""
        return [stack.name for stack in self.stacks if stack.protected]

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to do."""
        logs_left = self.endpoint_logs or self.job_logs
        return not (self.executions or self.things or self.stacks or self.doomed or logs_left or self.account)

    def rows(self) -> Iterator[Row]:
        """What is stopped and deleted, in that order."""
        for execution in self.executions:
            yield Row("execution", execution.name, "is stopped")
        for thing in self.things:
            what = "is stopped" if thing.kind.endswith("job") else "is deleted"
            yield Row(thing.kind, thing.name, f"{what}; costs {made.BY_TITLE[thing.kind].cost}")
        for stack in self.stacks:
            yield Row("stack", stack.name, "is deleted with all that it holds")
        for holding in self.doomed:
            what = "is deleted with all that is in it"
            if holding.type == data.KEY:
                what = f"AWS deletes it in {data.KEY_DAYS} days; until then it costs nothing and can be taken back"
            yield Row(data.DATA[holding.type].title, holding.name, what)
        for group in self.endpoint_logs:
            yield Row("log group", group, "is deleted")
        for group, streams in self.job_logs.items():
            yield Row("log streams", group, f"{len(streams)} of this deployment's jobs are deleted")
        for name in self.account:
            yield Row("stack", name, "is deleted with all that it holds, staged assets and images included")


def plan(target: Target, ours: Ownership, *, include_data: bool, account: bool = False) -> Plan:
    """Look at all there is of a deployment.

    Args:
        account: whether what `kindling bootstrap` made is to go, too.
    Raises:
        UserError: a bucket with objects would go with its stack, and nobody said that data may.
    """
    executions = tuple(Machines.of(target, ours).running(target))
    things = tuple(made.find(target, ours))
    held = [
        holding
        for holding in _held(target, ours)
        if holding.type not in data.DATA or data.DATA[holding.type].look(target, holding.name) is not None
    ]
    gone = {holding for holding in held if holding.type in data.DATA and (include_data or not holding.retained)}
    _refuse_to_lose(target, gone, include_data=include_data)
    endpoints = frozenset(thing.name for thing in things if thing.kind == made.ENDPOINT.title)
    endpoint_logs = logs.endpoint_groups(target, ours, endpoints)
    job_logs = {group: found for group in logs.SHARED if (found := logs.streams(target, ours, group))}
    going = tuple(
        name for name in account_stacks.names(ours) if account and resources.outputs(target, name) is not None
    )
    kept = [*_kept_holdings(target, [one for one in held if one not in gone]), *_kept_for_all(target, ours, going)]
    if not include_data:
        kept += [Row("log group", name, "a log of an endpoint; 0.03 USD a GB and month") for name in endpoint_logs]
        kept += [
            Row("log streams", name, f"{len(found)} of this deployment's jobs; 0.03 USD a GB and month")
            for name, found in job_logs.items()
        ]
    order = list(data.DATA)
    return Plan(
        ours=ours,
        include_data=include_data,
        account=going,
        executions=executions,
        things=things,
        stacks=tuple(stacks.present(target, ours)),
        doomed=tuple(sorted(gone, key=lambda one: (order.index(one.type), one.name))),
        kept=tuple(kept),
        endpoint_logs=tuple(endpoint_logs) if include_data else (),
        job_logs=job_logs if include_data else {},
    )


def _held(target: Target, ours: Ownership) -> Iterator[Holding]:
    """The data of the stacks, and groups of the registry that have the name of one and are in none."""
    found = stacks.holdings(target, ours, frozenset(data.DATA))
    yield from found
    known = {holding.name.rpartition("/")[2] for holding in found if holding.type == data.MODEL_GROUP}
    listed = made.pages_of(
        target.client("sagemaker"),
        "list_model_package_groups",
        "ModelPackageGroupSummaryList",
        NameContains=f"{ours.name}-",
    )
    for group in listed:
        name = group["ModelPackageGroupName"]
        if name in ours.pipelines and name not in known:
            yield Holding(data.MODEL_GROUP, name, "", retained=True, live=False)


def _refuse_to_lose(target: Target, gone: set[Holding], *, include_data: bool) -> None:
    # What the embedded cloud holds is made again at will.
    if include_data or target.kind == "embedded":
        return
    buckets = sorted(one.name for one in gone if one.type == data.BUCKET and data.holds_objects(target, one.name))
    if buckets:
        raise UserError(
            f"nothing was deleted: {', '.join(buckets)} would go with {'their' if len(buckets) > 1 else 'its'} stack "
            "(removal=destroy) and is not empty; add --include-data to delete what is in it, or empty it yourself."
        )


def _kept_holdings(target: Target, kept: list[Holding]) -> Iterator[Row]:
    for holding in kept:
        if holding.type in data.DATA:
            kind = data.DATA[holding.type]
            cost = kind.look(target, holding.name)
            whose = f"{holding.stack} retains it (removal=retain)" if holding.stack else "no stack has it"
            yield Row(kind.title, holding.name, f"{whose}; {cost}")
        else:
            yield Row(holding.type, holding.name, f"{holding.stack} retains it; delete it by hand")


def _kept_for_all(target: Target, ours: Ownership, going: tuple[str, ...]) -> Iterator[Row]:
    """What other deployments use, too, and what AWS cannot delete."""
    watches, toolkit_, policies = account_stacks.names(ours)
    notes = {
        toolkit_: "every CDK app of the account uses it; its bucket and repository cost by the GB",
        policies: "what CloudFormation may do in the account, by `kindling bootstrap`; costs nothing",
        watches: "it watches the account's money and access; its key costs 1 USD, each alarm 0.10 USD a month",
    }
    for name, note in notes.items():
        if name not in going and resources.outputs(target, name) is not None:
            yield Row("stack", name, note)
    for endpoint in made.endpoints(target, whose=lambda config: not ours.named(config)):
        if ALGORITHM not in made.tags_of(target, endpoint.arn):
            continue
        why = f"a pipeline made it, but it serves {endpoint.of[0]}, which is none of ours; it costs by the hour"
        yield Row("endpoint", endpoint.name, why)
    client = target.client("sagemaker")
    if any(
        ours.named(one["TrainingJobName"])
        for one in made.pages_of(client, "list_training_jobs", "TrainingJobSummaries", NameContains=f"{ours.name}-")
    ):
        yield Row("records of jobs", f"{ours.name}-...", "AWS deletes no job's record; they cost nothing")
