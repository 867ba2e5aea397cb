"""A stack that was deleted can be asked about: what it retained is DELETE_SKIPPED in ListStackResources.

moto looks each resource up in the stack's template, also those that the outputs refer to, and to look up one that was
deleted makes it anew: to describe a deleted stack would bring it back, in no stack.
"""

from __future__ import annotations

from typing import Any

from kindling.localcloud.cloud import Cloud
from kindling.localcloud.seams import replace


def install(_cloud: Cloud) -> None:
    """Answer ListStackResources from what was made, and let deleted stacks have no outputs."""
    from moto.cloudformation.models import Stack
    from moto.cloudformation.responses import CloudFormationResponse
    from moto.core.responses import ActionResult

    def list_stack_resources(self: Any) -> ActionResult:
        stack = self.cloudformation_backend.get_stack(self._get_param("StackName"))
        deleted, made = stack.status == "DELETE_COMPLETE", stack.resource_map._parsed_resources
        summaries = []
        for name, described in stack.resource_map._resource_json_map.items():
            resource = made.get(name)
            if resource is None and not deleted:
                continue  # its condition does not hold, or it could not be made
            retained = deleted and described.get("DeletionPolicy") == "Retain"
            summaries.append(
                {
                    "ResourceStatus": _status(deleted=deleted, retained=retained),
                    "LogicalResourceId": name,
                    "LastUpdatedTimestamp": stack.creation_time,
                    "PhysicalResourceId": getattr(resource, "physical_resource_id", ""),
                    "ResourceType": described["Type"],
                }
            )
        return ActionResult({"StackResourceSummaries": summaries})

    def of_what_is_there(property_: Any) -> property:
        return property(lambda self: [] if self.status == "DELETE_COMPLETE" else property_.fget(self))

    replace(CloudFormationResponse, "list_stack_resources", list_stack_resources)
    for name in ("outputs", "stack_resources"):
        setattr(Stack, name, of_what_is_there(replace(Stack, name, None)))


def _status(*, deleted: bool, retained: bool) -> str:
    if not deleted:
        return "CREATE_COMPLETE"
    return "DELETE_SKIPPED" if retained else "DELETE_COMPLETE"
