"""CloudFormation by change sets: what a template would change, and changing it; again and again to the same end."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeVar

from kindling.errors import UserError

_T = TypeVar("_T")
Result = Literal["made", "changed", "unchanged"]

_CAPABILITIES = ["CAPABILITY_NAMED_IAM", "CAPABILITY_AUTO_EXPAND"]
# Nothing of these is left but the name, so the stack is deleted and made anew.
_NOTHING_MADE: Final = ("ROLLBACK_COMPLETE",)
# A change set was made for it that nobody has run; another may be made beside it.
_ONLY_PLANNED: Final = ("REVIEW_IN_PROGRESS",)
_STUCK: Final = ("CREATE_FAILED", "ROLLBACK_FAILED", "DELETE_FAILED", "UPDATE_ROLLBACK_FAILED", "UPDATE_FAILED")
_UNCHANGED = ("didn't contain changes", "No updates are to be performed")
_PATIENCE_S, _SHORTEST_S, _LONGEST_S = 1800.0, 0.05, 5.0


@dataclass(frozen=True)
class Change:
    """What would become of one resource."""

    action: str  # Add, Modify, Remove, Import or Dynamic
    resource: str
    type: str
    replaced: bool = False


@dataclass(frozen=True)
class Stack:
    """A stack in a region, there or not."""

    client: Any
    name: str

    def status(self) -> str | None:
        """The stack's status; None when there is none."""
        found = self._described()
        return None if found is None else str(found["StackStatus"])

    def content(self) -> tuple[str, dict[str, str]] | None:
        """Template and parameters, by which a change is told; None while nothing has been made."""
        found = self._described()
        if found is None or found["StackStatus"] in (*_NOTHING_MADE, *_ONLY_PLANNED):
            return None
        body = self.client.get_template(StackName=self.name)["TemplateBody"]
        return json.dumps(body, sort_keys=True, default=str), self.parameters()

    def parameters(self) -> dict[str, str]:
        """The parameters that it was made with."""
        found = self._described() or {}
        return {one["ParameterKey"]: one["ParameterValue"] for one in found.get("Parameters", [])}

    def parameters_of(self, template: str) -> set[str]:
        """The names of the parameters that a template takes."""
        summary = self.client.get_template_summary(TemplateBody=template)
        return {one["ParameterKey"] for one in summary.get("Parameters", [])}

    def require_rest(self) -> None:
        """Refuse a stack that cannot be changed now.

        Raises:
            UserError: it is being changed, or a change of it failed and could not be taken back.
        """
        status = self.status()
        if status in _STUCK:
            raise UserError(
                f"stack {self.name} is {status}: a change failed and was not taken back; "
                "delete it, or continue its rollback, in CloudFormation's console."
            )
        if status is not None and status.endswith("_IN_PROGRESS") and status not in _ONLY_PLANNED:
            raise UserError(f"stack {self.name} is {status}: wait until that change has ended, then run this again.")

    def preview(self, template: str, parameters: Mapping[str, str] | None = None) -> list[Change]:
        """What a template would change, by a change set that is deleted again.

        Raises:
            UserError: the stack cannot be changed now, or CloudFormation refuses the template.
        """
        self.require_rest()
        before = self.status()
        if before in _NOTHING_MADE:  # no change set can be made for it; it would be made anew
            types = self.client.get_template_summary(TemplateBody=template)["ResourceTypes"]
            return [Change("Add", "", kind) for kind in types]
        try:
            change_set = self._change_set(template, parameters or {}, {})
            if change_set is None:
                return []
            changes = self._changes(change_set)
            self.client.delete_change_set(ChangeSetName=change_set, StackName=self.name)
            return changes
        finally:
            if before is None:  # the change set has made a stack without anything in it
                self.delete()

    def apply(
        self, template: str, parameters: Mapping[str, str] | None = None, tags: Mapping[str, str] | None = None
    ) -> Result:
        """Bring the stack to a template.

        Raises:
            UserError: the stack cannot be changed now, or the change failed; the message has CloudFormation's reason.
        """
        self.require_rest()
        if self.status() in _NOTHING_MADE:
            self.delete()
        is_new = self.status() in (None, *_ONLY_PLANNED)
        change_set = self._change_set(template, parameters or {}, tags or {})
        if change_set is None:
            return "unchanged"
        self.client.execute_change_set(ChangeSetName=change_set, StackName=self.name)
        status = self._until_rest()
        if status not in ("CREATE_COMPLETE", "UPDATE_COMPLETE"):
            raise UserError(
                f"stack {self.name} could not be {'made' if is_new else 'changed'}: {self._reason(status)}."
            )
        return "made" if is_new else "changed"

    def delete(self) -> None:
        """Delete the stack, and wait until it is gone."""
        found = self._described()
        if found is None:
            return
        self.client.delete_stack(StackName=found["StackId"])
        status = self._until_rest()
        if status is not None:
            raise UserError(f"stack {self.name} could not be deleted: {self._reason(status)}.")

    def _described(self) -> dict[str, Any] | None:
        from botocore.exceptions import ClientError

        try:
            found: dict[str, Any] = self.client.describe_stacks(StackName=self.name)["Stacks"][0]
        except ClientError as error:
            if "does not exist" in str(error):
                return None
            raise
        return None if found["StackStatus"] == "DELETE_COMPLETE" else found

    def _change_set(self, template: str, parameters: Mapping[str, str], tags: Mapping[str, str]) -> str | None:
        """A change set that is ready to run; None when there is nothing to change."""
        kind = "CREATE" if self.status() in (None, *_ONLY_PLANNED) else "UPDATE"
        made = self.client.create_change_set(
            StackName=self.name,
            ChangeSetName=f"kindling-{time.time_ns()}",
            ChangeSetType=kind,
            TemplateBody=template,
            Parameters=[{"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()],
            Tags=[{"Key": key, "Value": value} for key, value in tags.items()],
            Capabilities=_CAPABILITIES,
        )["Id"]
        found = _until(
            lambda: self.client.describe_change_set(ChangeSetName=made, StackName=self.name),
            lambda described: not described["Status"].endswith(("_PENDING", "_IN_PROGRESS")),
        )
        if found["Status"] == "FAILED":
            self.client.delete_change_set(ChangeSetName=made, StackName=self.name)
            reason = str(found.get("StatusReason", ""))
            if any(words in reason for words in _UNCHANGED):
                return None
            raise UserError(f"CloudFormation refuses the template of stack {self.name}: {reason.rstrip('.')}.")
        return str(made)

    def _changes(self, change_set: str) -> list[Change]:
        pages = self.client.get_paginator("describe_change_set").paginate(ChangeSetName=change_set, StackName=self.name)
        return [
            Change(
                one["Action"],
                one["LogicalResourceId"],
                one["ResourceType"],
                replaced=one.get("Replacement") in ("True", "Conditional"),
            )
            for page in pages
            for one in (change["ResourceChange"] for change in page["Changes"])
        ]

    def _until_rest(self) -> str | None:
        return _until(self.status, lambda status: status is None or not status.endswith("_IN_PROGRESS"))

    def _reason(self, status: str | None) -> str:
        """The first failure among the stack's last events, which is what the rest follows from."""
        events = self.client.describe_stack_events(StackName=self.name)["StackEvents"] if status else []
        failures = [one for one in events if str(one.get("ResourceStatus", "")).endswith("_FAILED")]
        if not failures:
            return f"it is {status}"
        first = failures[-1]
        return f"{first.get('LogicalResourceId')}: {str(first.get('ResourceStatusReason', status)).rstrip('.')}"


def all_added(resources: Mapping[str, Any]) -> list[Change]:
    """The changes of a stack that is still to be made."""
    return [Change("Add", name, resource["Type"]) for name, resource in resources.items()]


def _until(look: Callable[[], _T], done: Callable[[_T], bool]) -> _T:
    """What there is once it is done, looked at more and more seldom.

    Raises:
        UserError: half an hour was not enough.
    """
    deadline, pause = time.monotonic() + _PATIENCE_S, _SHORTEST_S
    while not done(found := look()):
        if time.monotonic() > deadline:
            raise UserError("CloudFormation has not ended within half an hour; run this again when it has.")
        time.sleep(pause)
        pause = min(2 * pause, _LONGEST_S)
    return found
