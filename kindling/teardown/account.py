"""Taking away what `kindling bootstrap` made: the account's stack, the CDK's toolkit, CloudFormation's policies.

In this order, for CloudFormation deletes the first with a role of the second, to which the third are attached.
"""

from __future__ import annotations

from collections.abc import Iterator

from kindling import resources
from kindling.bootstrap import execution_policy, toolkit
from kindling.errors import UserError
from kindling.targets import Target
from kindling.teardown import data, stacks
from kindling.teardown.attempts import Attempts
from kindling.teardown.made import pages_of
from kindling.teardown.ownership import ACCOUNT_STACK, Ownership
from kindling.teardown.stacks import Holding


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
        held = list(_held(target, stack_id, name))
        for holding in held:
            kind = data.DATA[holding.type]
            # A repository with images in it would keep its stack; a stack does not mind that it is gone.
            work = kind.delete if holding.type == data.REPOSITORY else kind.empty
            attempts.attempt(kind.title, holding.name, lambda work=work, name=holding.name: work(target, name))  # type: ignore[misc]
        client.update_termination_protection(StackName=stack_id, EnableTerminationProtection=False)
        if attempts.failures or not attempts.attempt("stack", name, lambda arn=stack_id: _delete(client, arn)):  # type: ignore[misc]
            return
        for holding in held:
            kind = data.DATA[holding.type]
            if kind.look(target, holding.name) is not None:
                attempts.attempt(
                    kind.title,
                    holding.name,
                    lambda kind=kind, name=holding.name: kind.delete(target, name),  # type: ignore[misc]
                )


def _held(target: Target, stack_id: str, name: str) -> Iterator[Holding]:
    for holding in stacks.held(target.client("cloudformation"), stack_id, name, live=True):
        if holding.type in data.DATA:
            yield holding


def _delete(client: object, stack_id: str) -> None:
    client.delete_stack(StackName=stack_id)  # type: ignore[attr-defined]
    client.get_waiter("stack_delete_complete").wait(StackName=stack_id)  # type: ignore[attr-defined]
