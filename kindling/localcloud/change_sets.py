"""CloudFormation's change sets: found by their stack and name, with the properties that would change.

moto looks for a name among all stacks, though the CDK gives those of every stack the same one; and it tells only which
resources would change, of which `cdk diff` makes that nothing would.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from kindling.localcloud.cloud import Cloud
from kindling.localcloud.seams import replace
from kindling.localcloud.stack_updates import references


def install(_cloud: Cloud) -> None:
    """Mend what is asked of a change set by its name, and creating a second one for a stack still to be made."""
    from moto.cloudformation.models import ChangeSet, CloudFormationBackend
    from moto.cloudformation.responses import CloudFormationResponse
    from moto.core.responses import ActionResult, EmptyResult

    def describe_change_set(self: Any) -> ActionResult:
        return ActionResult(self.cloudformation_backend.describe_change_set(_named(self)))

    def execute_change_set(self: Any) -> ActionResult:
        self.cloudformation_backend.execute_change_set(change_set_name=_named(self))
        return EmptyResult()

    def delete_change_set(self: Any) -> ActionResult:
        self.cloudformation_backend.change_sets.pop(_id(self), None)
        return EmptyResult()

    def create_change_set(self: Any, stack_name: str, change_set_name: str, *rest: Any, **more: Any) -> Any:
        if more["change_set_type"] != "CREATE":
            return create(self, stack_name, change_set_name, *rest, **more)
        former = _former(self, stack_name, change_set_name)
        change_set_id, stack_id = create(self, stack_name, change_set_name, *rest, **more)
        if former is not None:
            _same_stack(self, former, stack_id)
            stack_id = former
        return change_set_id, stack_id

    for mended in (describe_change_set, execute_change_set, delete_change_set):
        replace(CloudFormationResponse, mended.__name__, mended)
    create = replace(CloudFormationBackend, "create_change_set", create_change_set)
    replace(ChangeSet, "diff", _changes)


def _id(response: Any) -> str | None:
    """The id of the change set that a request names: the last of that name of its stack, or the one of that id."""
    name, stack = response._get_param("ChangeSetName"), response._get_param("StackName")
    found = [
        one.change_set_id
        for one in response.cloudformation_backend.change_sets.values()
        if name == one.change_set_id or (name == one.change_set_name and stack in (one.stack_name, one.stack_id))
    ]
    return str(found[-1]) if found else None


def _named(response: Any) -> str:
    """The same, of a change set that there has to be: the CDK looks for this very error before it makes one."""
    from moto.cloudformation.exceptions import CloudFormationError

    if found := _id(response):
        return found
    name = response._get_param("ChangeSetName")
    raise CloudFormationError("ChangeSetNotFoundException", f"ChangeSet [{name}] does not exist")


def _former(backend: Any, stack_name: str, change_set_name: str) -> str | None:
    """The id of the stack of that name which only has change sets so far.

    Raises:
        ValidationError: there is a stack of that name already.
    """
    from moto.cloudformation.exceptions import ValidationError

    for stack in backend.stacks.values():
        if stack.name == stack_name and stack.status == "REVIEW_IN_PROGRESS":
            return str(stack.stack_id)
        if stack.name == stack_name:
            message = f"Stack [{stack_name}] already exists and cannot be created again with the changeSet"
            raise ValidationError(message=f"{message} [{change_set_name}].")
    return None


def _same_stack(backend: Any, former: str, doubled: str) -> None:
    """Puts the stack that moto made a second time in place of the first, whose change sets it now has."""
    stack = backend.stacks.pop(doubled)
    resources = stack.resource_map
    stack.stack_id = resources.stack_id = resources._parsed_resources["AWS::StackId"] = former
    backend.stacks[former] = stack
    for one in backend.change_sets.values():
        if one.stack_id in (former, doubled):
            one.stack, one.stack_id = stack, former


def _changes(change_set: Any) -> list[Any]:
    """What a change set would change, by property; what refers to a resource that is replaced follows it."""
    from moto.cloudformation.models import Change

    resources, after = change_set.stack.resource_map, change_set.template_dict["Resources"]
    before = resources._resource_json_map
    difference = resources.build_resource_diff(change_set.template_dict, change_set.parameters)
    changes = [
        Change(
            action=action, logical_resource_id=name, resource_type=(after if name in after else before)[name]["Type"]
        )
        for action in ("Add", "Remove")
        for name in difference[action]
    ]
    pending, replaced = list(difference["Modify"]), set[str]()
    modified: dict[str, Any] = {}
    while pending:
        name = pending.pop(0)
        change: Any = Change(action="Modify", logical_resource_id=name, resource_type=after[name]["Type"])
        change.scope, change.details = ["Properties"], list(_details(before[name], after[name], replaced))
        recreated = {detail["Target"]["RequiresRecreation"] for detail in change.details}
        change.replacement = "True" if "Always" in recreated else "False"
        made = resources._parsed_resources.get(name)
        change.physical_resource_id = getattr(made, "physical_resource_id", None)
        modified[name] = change
        if change.replacement == "True" and name not in replaced:
            replaced.add(name)
            pending += [other for other in after if other in before and name in references(after[other])]
    return [*changes, *modified.values()]


def _details(before: dict[str, Any], after: dict[str, Any], replaced: set[str]) -> Iterator[dict[str, Any]]:
    """Each property that would change, and whether the resource would be replaced for it."""
    from moto.cloudformation.parsing import get_model_map

    former, wanted = before.get("Properties") or {}, after.get("Properties") or {}
    keeps = getattr(get_model_map()[after["Type"]], "keeps", lambda _before, _after: True)
    for name in {**former, **wanted}:
        follows = not replaced.isdisjoint(references(wanted.get(name)))
        if former.get(name) == wanted.get(name) and not follows:
            continue
        kept = keeps(former, {**former, name: {"follows": wanted.get(name)} if follows else wanted.get(name)})
        target = {"Attribute": "Properties", "Name": name, "RequiresRecreation": "Never" if kept else "Always"}
        yield {
            "Target": target,
            "Evaluation": "Dynamic" if follows else "Static",
            "ChangeSource": "ResourceAttribute" if follows else "DirectModification",
        }
