"""The stacks of a deployment and what they hold; CloudFormation tells it for 90 days after a stack was deleted, too."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from kindling.targets import Target
from kindling.teardown.gone import unless_gone
from kindling.teardown.made import pages_of
from kindling.teardown.ownership import Ownership


@dataclass(frozen=True)
class Stack:
    """A stack that is there. `id` is its ARN."""

    name: str
    id: str
    protected: bool


@dataclass(frozen=True)
class Holding:
    """A resource of a stack by its physical name.

    `retained` is true where the stack's deletion leaves it, `live` where the stack is still there. A resource of no
    stack has an empty `stack`.
    """

    type: str
    name: str
    stack: str
    retained: bool
    live: bool


def present(target: Target, ours: Ownership) -> list[Stack]:
    """The deployment's stacks."""
    return [
        Stack(found["StackName"], found["StackId"], bool(found.get("EnableTerminationProtection")))
        for found in pages_of(target.client("cloudformation"), "describe_stacks", "Stacks")
        if ours.stack(found["StackName"])
    ]


def holdings(target: Target, ours: Ownership, types: frozenset[str]) -> list[Holding]:
    """What the deployment's stacks hold of these types, and what those that are gone have left, each once."""
    client = target.client("cloudformation")
    found: dict[tuple[str, str], Holding] = {}
    for stack in present(target, ours):
        for holding in _held(client, stack.id, stack.name, live=True):
            found[holding.type, holding.name] = holding
    deleted = pages_of(client, "list_stacks", "StackSummaries", StackStatusFilter=["DELETE_COMPLETE"])
    for summary in deleted:
        if ours.stack(summary["StackName"]):
            for holding in _held(client, summary["StackId"], summary["StackName"], live=False):
                if holding.retained:
                    found.setdefault((holding.type, holding.name), holding)
    return [holding for holding in found.values() if holding.type in types or holding.retained]


def _held(client: Any, stack_id: str, name: str, *, live: bool) -> Iterator[Holding]:
    """What a stack holds, or held when it was deleted; `live` says which."""
    with unless_gone():
        template = client.get_template(StackName=stack_id)["TemplateBody"]
        described: Mapping[str, Any] = json.loads(template) if isinstance(template, str) else template
        for resource in pages_of(client, "list_stack_resources", "StackResourceSummaries", StackName=stack_id):
            policy = described["Resources"].get(resource["LogicalResourceId"], {}).get("DeletionPolicy", "Delete")
            if resource.get("PhysicalResourceId"):
                retained = policy.startswith("Retain")
                yield Holding(resource["ResourceType"], resource["PhysicalResourceId"], name, retained, live)
