"""Taking away what `kindling bootstrap` made: the account's stack, the CDK's toolkit, CloudFormation's policies.

In this order, for CloudFormation deletes the first with a role of the second, to which the third are attached.
"""

from __future__ import annotations

from typing import Any

from kindling import resources
from kindling.bootstrap import execution_policy, toolkit
from kindling.errors import UserError
from kindling.targets import Target
from kindling.teardown import data
from kindling.teardown.attempts import Attempts
from kindling.teardown.made import pages_of
from kindling.teardown.ownership import ACCOUNT_STACK, Ownership


def names(ours: Ownership) -> tuple[str, ...]:
    """The stacks' names, in the order of their deletion."""
    return (f"{ours.prefix}{ACCOUNT_STACK}", toolkit.STACK, execution_policy.stack_name(resources.settings()))


def require_alone(target: Target, ours: Ownership) -> None:
    """Refuses to take from others what they are deployed with.

    Raises:
        UserError: there are stacks that are not of this deployment.
    """
    known = names(ours)
    others = [
        found["StackName"]
        for found in pages_of(target.client("cloudformation"), "describe_stacks", "Stacks")
        if found["StackName"] not in known and not ours.stack(found["StackName"])
    ]
    if others:
        raise UserError(
            f"nothing was deleted: {', '.join(others)} may need {toolkit.STACK} and what the account has once; "
            "leave out --account, or delete them first."
        )


def remove(target: Target, ours: Ownership, attempts: Attempts) -> None:
    """Deletes the stacks that are there with the data that they hold; stops at what cannot be deleted."""
    client = target.client("cloudformation")
    for name in names(ours):
        if resources.outputs(target, name) is None:
            continue
        stack_id = client.describe_stacks(StackName=name)["Stacks"][0]["StackId"]
        holds = pages_of(client, "list_stack_resources", "StackResourceSummaries", StackName=stack_id)
        held = [(data.DATA[one["ResourceType"]], one) for one in holds if one["ResourceType"] in data.DATA]
        for kind, one in held:
            # A repository with images in it would keep its stack; a stack does not mind that it is gone.
            work = kind.delete if one["ResourceType"] == data.REPOSITORY else kind.empty
            called = one["PhysicalResourceId"]
            attempts.attempt(kind.title, called, lambda work=work, called=called: work(target, called))  # type: ignore[misc]
        client.update_termination_protection(StackName=stack_id, EnableTerminationProtection=False)
        if attempts.failures or not attempts.attempt("stack", name, lambda arn=stack_id: _delete(client, arn)):  # type: ignore[misc]
            return
        for kind, one in held:
            called = one["PhysicalResourceId"]
            if kind.look(target, called) is not None:
                attempts.attempt(kind.title, called, lambda kind=kind, called=called: kind.delete(target, called))  # type: ignore[misc]


def _delete(client: Any, stack_id: str) -> None:
    client.delete_stack(StackName=stack_id)
    client.get_waiter("stack_delete_complete").wait(StackName=stack_id)
