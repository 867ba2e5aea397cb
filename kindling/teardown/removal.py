"""Carrying out a plan: what costs money first, then the stacks, then the data; each step may be done again.

The stacks are only touched when all that stands upon their roles is gone, so that it can still be deleted next time.
"""

from __future__ import annotations

from collections.abc import Mapping

from kindling import deployment
from kindling.targets import Target
from kindling.teardown import account, data, logs, made, stacks
from kindling.teardown.attempts import Attempts, Failure, Report
from kindling.teardown.executions import Machines
from kindling.teardown.plan import Plan

_RULE = "AWS::Events::Rule"
_ERROR, _CAUSE = "Kindling.TornDown", "the deployment was taken away while the execution ran"


def remove(target: Target, plan: Plan, context: Mapping[str, str], report: Report) -> list[Failure]:
    """Do what a plan says; what could not be done.

    Args:
        context: of the CDK app.
    Raises:
        UserError: the CDK could not delete the stacks.
    """
    attempts = Attempts(target, report)
    _stop_triggers(target, plan, attempts)
    _stop_executions(target, plan, attempts)
    # Looked up again: an execution may have made more until it was stopped.
    for made_kind in made.KINDS:
        attempts.end(plan.ours, list(made_kind.find(target, plan.ours)))
    if attempts.failures:
        return attempts.failures
    _delete_logs(target, plan, attempts)
    _empty(target, plan, attempts)
    if attempts.failures:
        return attempts.failures
    if plan.stacks:
        _unprotect(target, plan, attempts)
        deployment.destroy(target, context, report)
    for holding in plan.doomed:
        kind = data.DATA[holding.type]
        if kind.look(target, holding.name) is not None:
            doing = "scheduling the deletion of" if holding.type == data.KEY else "deleting"
            attempts.attempt(
                kind.title,
                holding.name,
                lambda kind=kind, name=holding.name: kind.delete(target, name),  # type: ignore[misc]
                doing,
            )
    if plan.account and not attempts.failures:
        account.remove(target, plan.ours, attempts)
    return attempts.failures


def _stop_triggers(target: Target, plan: Plan, attempts: Attempts) -> None:
    """The stacks' rules start executions until the stacks are gone."""
    client = target.client("events")
    for holding in stacks.holdings(target, plan.ours, frozenset({_RULE})):
        if holding.type == _RULE and holding.live:
            bus, _, name = holding.name.rpartition("|")
            on = {"EventBusName": bus} if bus else {}
            attempts.attempt("rule", name, lambda name=name, on=on: client.disable_rule(Name=name, **on), "disabling")  # type: ignore[misc]


def _stop_executions(target: Target, plan: Plan, attempts: Attempts) -> None:
    client = target.client("stepfunctions")
    for execution in Machines.of(target, plan.ours).running(target):
        attempts.attempt(
            "execution",
            execution.name,
            lambda arn=execution.arn: client.stop_execution(executionArn=arn, error=_ERROR, cause=_CAUSE),  # type: ignore[misc]
            "stopping",
        )


def _delete_logs(target: Target, plan: Plan, attempts: Attempts) -> None:
    """While the executions still tell which endpoints there were."""
    client = target.client("logs")
    for group in plan.endpoint_logs:
        attempts.attempt("log group", group, lambda group=group: client.delete_log_group(logGroupName=group))  # type: ignore[misc]
    for group in plan.job_logs:
        # Jobs that were stopped just now have written more since.
        attempts.attempt(
            "log streams of",
            group,
            lambda group=group: logs.delete_streams(target, group, logs.streams(target, plan.ours, group)),  # type: ignore[misc]
        )


def _empty(target: Target, plan: Plan, attempts: Attempts) -> None:
    """A bucket or a group that holds something would keep its stack from being deleted."""
    for holding in plan.doomed:
        if holding.live and not holding.retained:
            kind = data.DATA[holding.type]
            attempts.attempt(
                kind.title,
                holding.name,
                lambda kind=kind, name=holding.name: kind.empty(target, name),  # type: ignore[misc]
                "emptying",
            )


def _unprotect(target: Target, plan: Plan, attempts: Attempts) -> None:
    client = target.client("cloudformation")
    for name in plan.protected:
        attempts.report(f"taking the protection off stack {name}")
        client.update_termination_protection(StackName=name, EnableTerminationProtection=False)
