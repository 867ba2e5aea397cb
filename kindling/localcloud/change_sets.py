"""CloudFormation's change sets: found by their stack and name, and removed without an error when there is none.

moto looks for a name among all stacks, though the CDK gives those of every stack the same one.
"""

from __future__ import annotations

from typing import Any

from kindling.localcloud.cloud import Cloud
from kindling.localcloud.seams import replace


def install(_cloud: Cloud) -> None:
    """Mend DescribeChangeSet, ExecuteChangeSet and DeleteChangeSet."""
    from moto.cloudformation.responses import CloudFormationResponse
    from moto.core.responses import ActionResult, EmptyResult

    def describe_change_set(self: Any) -> ActionResult:
        return ActionResult(self.cloudformation_backend.describe_change_set(_id(self)))

    def execute_change_set(self: Any) -> ActionResult:
        self.cloudformation_backend.execute_change_set(change_set_name=_id(self))
        return EmptyResult()

    def delete_change_set(self: Any) -> ActionResult:
        self.cloudformation_backend.change_sets.pop(_id(self), None)
        return EmptyResult()

    for mended in (describe_change_set, execute_change_set, delete_change_set):
        replace(CloudFormationResponse, mended.__name__, mended)


def _id(response: Any) -> str:
    """The id of the change set that a request names: the last of that name of its stack, or else what was given."""
    name, stack = response._get_param("ChangeSetName"), response._get_param("StackName")
    found = [
        one.change_set_id
        for one in response.cloudformation_backend.change_sets.values()
        if one.change_set_name == name and stack in (one.stack_name, one.stack_id)
    ]
    return str(found[-1] if found else name)
