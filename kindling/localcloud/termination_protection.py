"""CloudFormation's termination protection: it can be changed, and a stack that has it is not deleted.

moto takes it when a stack is created, and makes nothing of it.
"""

from __future__ import annotations

from typing import Any

from kindling.localcloud.cloud import Cloud
from kindling.localcloud.seams import replace


def install(_cloud: Cloud) -> None:
    """Answer UpdateTerminationProtection, and refuse DeleteStack where the protection is on."""
    from moto.cloudformation.exceptions import ValidationError
    from moto.cloudformation.responses import CloudFormationResponse
    from moto.core.responses import ActionResult

    def update_termination_protection(self: Any) -> ActionResult:
        stack = self.cloudformation_backend.get_stack(self._get_param("StackName"))
        stack.enable_termination_protection = self._get_bool_param("EnableTerminationProtection")
        return ActionResult({"StackId": stack.stack_id})

    def delete_stack(self: Any) -> ActionResult:
        named = self._get_param("StackName")
        for stack in self.cloudformation_backend.stacks.values():
            if named in (stack.name, stack.stack_id) and stack.enable_termination_protection:
                raise ValidationError(
                    message=f"Stack [{stack.name}] cannot be deleted while TerminationProtection is enabled"
                )
        deleted: ActionResult = delete(self)
        return deleted

    delete = replace(CloudFormationResponse, "delete_stack", delete_stack)
    responses: Any = CloudFormationResponse
    responses.update_termination_protection = update_termination_protection
