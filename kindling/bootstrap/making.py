"""What makes an account and region ready, step by step, and what each step would change."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from kindling.bootstrap import cost_tags, execution_policy, toolkit
from kindling.bootstrap.credentials import Identity
from kindling.bootstrap.findings import missing_permission
from kindling.bootstrap.grants import Scope
from kindling.bootstrap.places import Place
from kindling.bootstrap.stack_changes import Change, Result, Stack, all_added
from kindling.deployment import Cdk
from kindling.environments import ROOT

Report = Callable[[str], None]

_TAGS: Final = ("cost tags", "what the bill is broken down by")
_ACCOUNT_APP: Final = "account.py"
# The parameter that says how the bucket of the CDK's assets is encrypted: empty for a key of its own.
_KEY: Final = "FileAssetsBucketKmsKeyId"
_POLICIES: Final = "CloudFormationExecutionPolicies"
_NO_KEY_OF_ITS_OWN: Final = ("", "AWS_MANAGED_KEY")


@dataclass(frozen=True)
class Step:
    """What was done, or what would change."""

    what: str
    purpose: str
    result: Result | None = None
    changes: tuple[Change, ...] = ()
    notes: tuple[str, ...] = ()  # sentences for a person


@dataclass(frozen=True)
class Making:
    """The steps of a place, in the order in which each needs the one before."""

    place: Place
    identity: Identity
    report: Report

    def make(self) -> Iterator[Step]:
        """Does each step; what is as it should be stays as it is.

        Raises:
            UserError: a step failed; those before it are done, and all can be run again.
        """
        for stack, purpose, make, _ in self._steps():
            self.report(f"{stack}: {purpose}")
            yield Step(stack, purpose, result=make())
        if self.place.is_home:
            yield self._activate_tags()

    def preview(self) -> Iterator[Step]:
        """What each step would change; nothing is changed.

        Raises:
            UserError: a stack cannot be changed now.
        """
        for stack, purpose, _, changes in self._steps():
            self.report(f"looking at {stack}")
            yield Step(stack, purpose, changes=tuple(changes()))
        if self.place.is_home:
            tags = [Change("Modify", key, "cost-allocation tag") for key in self._inactive_tags()]
            yield Step(*_TAGS, changes=tuple(tags))

    def _steps(self) -> Iterator[tuple[str, str, Callable[[], Result], Callable[[], list[Change]]]]:
        policies = execution_policy.stack_name(self.place.settings)
        yield policies, "what CloudFormation may do", self._make_policies, self._preview_policies
        yield toolkit.STACK, "what the CDK deploys with", self._make_toolkit, self._preview_toolkit
        if self.place.is_home:
            account = self.place.account_stack
            yield account, "what the account has once", self._make_account, self._preview_account

    @property
    def scope(self) -> Scope:
        """Where the execution policies hold."""
        return scope_of(self.place, self.identity)

    def _stack(self, name: str) -> Stack:
        return Stack(self.place.client("cloudformation"), name)

    def _cdk(self) -> Cdk:
        return Cdk(self.place.target, {"environment": self.place.environment}, self.report)

    def _policy_stack(self) -> Stack:
        return self._stack(execution_policy.stack_name(self.place.settings))

    def _make_policies(self) -> Result:
        return self._policy_stack().apply(execution_policy.template(self.scope), tags=self.place.settings.tags)

    def _preview_policies(self) -> list[Change]:
        return self._policy_stack().preview(execution_policy.template(self.scope))

    def _make_toolkit(self) -> Result:
        options = ["--cloudformation-execution-policies", ",".join(self._execution_policies())]
        if self._stack(toolkit.STACK).parameters().get(_KEY, "") in _NO_KEY_OF_ITS_OWN:
            options.append("--bootstrap-customer-key")
        return self._watched(toolkit.STACK, lambda: self._cdk().bootstrap(*options))

    def _preview_toolkit(self) -> list[Change]:
        stack = self._stack(toolkit.STACK)
        present, template = stack.parameters(), self._cdk().told("bootstrap", "--show-template")
        wanted = {**present, _POLICIES: ",".join(self._execution_policies())}
        if present.get(_KEY, "") in _NO_KEY_OF_ITS_OWN:
            wanted[_KEY] = ""
        known = stack.parameters_of(template)
        return stack.preview(template, {key: value for key, value in wanted.items() if key in known})

    def _execution_policies(self) -> list[str]:
        """Our policies, and those that other deployments have put there; not AdministratorAccess."""
        ours = execution_policy.policy_arns(self.scope)
        present = toolkit.execution_policies(self.place, self.identity.account)
        others = [arn for arn in present if arn not in ours and not arn.endswith(toolkit.ADMINISTRATOR)]
        return [*ours, *sorted(others)]

    def _make_account(self) -> Result:
        # What is asked about the account has been asked: see kindling/cli/bootstrap.py.
        how = ["--method", "direct"] if self.place.target.kind == "embedded" else []
        output = str(self.place.target.state / f"cdk.out.account.{self.place.target.kind}")
        options = ["--app", _account_app(), "--all", "--require-approval", "never", "--output", output, *how]
        return self._watched(self.place.account_stack, lambda: self._cdk().run("deploy", *options))

    def _preview_account(self) -> list[Change]:
        name = self.place.account_stack
        with TemporaryDirectory(prefix="kindling-account-") as folder:
            self._cdk().told("synth", "--app", _account_app(), "--quiet", "--output", folder)
            template: dict[str, Any] = json.loads((Path(folder) / f"{name}.template.json").read_text(encoding="utf-8"))
        stack = self._stack(name)
        if stack.content() is None:
            # Its parameter is the bootstrap's version, which need not be there yet for CloudFormation to read.
            stack.require_rest()
            return all_added(template["Resources"])
        return stack.preview(json.dumps(template, separators=(",", ":")))

    def _activate_tags(self) -> Step:
        keys = self._inactive_tags()
        if not keys:
            return Step(*_TAGS, result="unchanged")
        outcome = cost_tags.activate(self.place.client("ce"), keys)
        return Step(*_TAGS, result="changed" if outcome.active else "unchanged", notes=tuple(outcome.sentences()))

    def _inactive_tags(self) -> list[str]:
        """The tags that costs cannot be told apart by yet; all, where that may not be looked at."""
        from botocore.exceptions import ClientError

        keys = cost_tags.keys_of(self.place.settings)
        try:
            pages = self.place.client("ce").get_paginator("list_cost_allocation_tags").paginate(Status="Active")
            active = {tag["TagKey"] for page in pages for tag in page["CostAllocationTags"]}
        except ClientError as error:
            if missing_permission(error, ("ce:ListCostAllocationTags",)) is None:
                raise
            active = set()
        return [key for key in keys if key not in active]

    def _watched(self, name: str, make: Callable[[], None]) -> Result:
        """Whether a stack that the CDK deploys was made or changed: the CDK says so to people only."""
        stack = self._stack(name)
        stack.require_rest()
        before = stack.content()
        make()
        after = stack.content()
        return "unchanged" if before == after else "made" if before is None else "changed"


def scope_of(place: Place, identity: Identity) -> Scope:
    """Where the execution policies of a place hold."""
    return Scope(settings=place.settings, partition=identity.partition, account=identity.account, region=place.region)


def _account_app() -> str:
    return f"{sys.executable} {ROOT / _ACCOUNT_APP}"
