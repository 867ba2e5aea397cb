"""Every check of a place, changing nothing: who asks, what the region has, what the account allows, what is here."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from kindling.bootstrap import credentials, execution_policy, quotas, service_roles, toolkit, tools
from kindling.bootstrap.credentials import Identity
from kindling.bootstrap.findings import Check, Finding
from kindling.bootstrap.making import scope_of
from kindling.bootstrap.needs import needs_of
from kindling.bootstrap.places import Place
from kindling.bootstrap.stack_changes import Stack
from kindling.errors import UserError

_BOUNDARY: Final = "permissions boundary"


@dataclass(frozen=True)
class Preflight:
    """What was found of a place. `identity` is None where AWS believes no one."""

    place: Place
    identity: Identity | None
    findings: tuple[Finding, ...]

    @property
    def passed(self) -> bool:
        """Whether nothing failed; a warning is no failure."""
        return all(finding.status != "fail" for finding in self.findings)


def preflight(place: Place, *, asking: bool = False) -> Preflight:
    """Look at a place.

    Args:
        asking: whether increases of quotas are going to be asked for.
    """
    found = list(quotas.region(place))
    if any(one.status == "fail" for one in found):
        return Preflight(place, None, (*found, *_of_this_machine(place)))
    answer = credentials.ask(place)
    asked = [*credentials.credentials(place, answer), *credentials.clock(answer, datetime.now(UTC))]
    findings = [*asked, *found]
    if answer.identity is not None and all(one.status != "fail" for one in asked):
        for check in _of_the_account(place, answer.identity, asking=asking):
            findings += check.findings()
    findings += _of_this_machine(place)
    return Preflight(place, answer.identity, tuple(findings))


def require_apart(looked: Sequence[Preflight]) -> None:
    """Refuse to make one deployment twice, with settings that would undo one another.

    Raises:
        UserError: two environments are the same deployment of the same account and region.
    """
    taken: dict[tuple[str, str, str], str] = {}
    for one in looked:
        assert one.identity is not None
        where = (one.identity.account, one.place.region, one.place.settings.name)
        other = taken.setdefault(where, one.place.environment)
        if other != one.place.environment:
            raise UserError(
                f"environments {other} and {one.place.environment} are both {where[2]} in account {where[0]} and "
                f"{where[1]}; give one of them another account, region or name in settings/."
            )


def _of_the_account(place: Place, identity: Identity, *, asking: bool) -> Iterator[Check]:
    ours, needs = execution_policy.policy_arns(scope_of(place, identity)), needs_of(place.settings)
    yield Check(name="quota", needs=quotas.LISTING, look=lambda: quotas.look(place, needs, asking=asking))
    yield Check(name="service roles", needs=service_roles.LISTING, look=lambda: service_roles.look(place))
    yield Check(name="CDK bootstrap", needs=toolkit.LISTING, look=lambda: toolkit.look(place, identity, ours))
    yield Check(name=_BOUNDARY, needs=("iam:GetPolicy",), look=lambda: _boundary(place, identity))
    yield Check(name="stacks", needs=("cloudformation:DescribeStacks",), look=lambda: _stacks(place))


def _of_this_machine(place: Place) -> Iterator[Finding]:
    yield from tools.cdk()
    if place.target.kind == "aws":  # the embedded cloud starts algorithms without images
        yield from tools.docker()
        yield from tools.disk(place.target.state)


def _boundary(place: Place, identity: Identity) -> Iterator[Finding]:
    """Whether the policy is there that the settings bound every role with; nothing where they bound none."""
    arn = scope_of(place, identity).boundary
    if arn is None:
        return
    iam, name = place.client("iam"), arn.rpartition("/")[2]
    try:
        iam.get_policy(PolicyArn=arn)
    except iam.exceptions.NoSuchEntityException:
        if name == f"{place.settings.name}-boundary":
            yield Finding(_BOUNDARY, "warn", f"there is no policy {name}", "`kindling bootstrap` makes it.")
        else:
            yield Finding(
                _BOUNDARY, "fail", f"there is no policy {arn}", "make it, or change the setting permissions_boundary."
            )
    else:
        yield Finding(_BOUNDARY, "pass", f"every role is bounded by {name}")


def _stacks(place: Place) -> Iterator[Finding]:
    """Whether the stacks that are made here can be changed."""
    names = (execution_policy.stack_name(place.settings), toolkit.STACK, place.account_stack)
    refused = []
    for name in names:
        try:
            Stack(place.client("cloudformation"), name).require_rest()
        except UserError as error:
            found, _, mend = str(error).rstrip(".").rpartition(": ")
            refused.append(Finding("stacks", "fail", found, f"{mend}."))
    yield from refused or [Finding("stacks", "pass", "none is being changed or stuck")]
