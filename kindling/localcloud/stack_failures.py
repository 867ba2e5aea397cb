"""CloudFormation's failures: what becomes of a stack that cannot be created, changed or deleted."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

from kindling.localcloud.seams import replace
from kindling.localcloud.stack_updates import remove

_log = logging.getLogger(__name__)


def install() -> None:
    """A stack that cannot be created is removed with what it had made; one that cannot be deleted or changed stays.

    Outputs and exports follow every change, also when it comes as a change set.
    """
    from moto.cloudformation.exceptions import ValidationError
    from moto.cloudformation.models import CloudFormationBackend
    from moto.cloudformation.parsing import OutputMap

    def create_stack(self: Any, name: str, *rest: Any, **more: Any) -> Any:
        before = set(self.stacks)
        try:
            return create(self, name, *rest, **more)
        except Exception as error:
            for stack_id in set(self.stacks) - before:
                stack = self.stacks[stack_id]
                if stack.name == name:
                    _take_back(self, stack)
            raise _worded(error) from error

    def update_stack(
        self: Any,
        name: str,
        template: str,
        role_arn: str | None,
        parameters: list[dict[str, Any]],
        tags: dict[str, str] | None,
    ) -> Any:
        stack = self.get_stack(name)
        former, present = [export.name for export in stack.exports], stack.template
        stack.parameters = stack.stack_parameters  # what UsePreviousValue refers to
        resolved = self._resolve_update_parameters(instance=stack, incoming_params=parameters)
        if stack.has_template(template) and stack.has_parameters(resolved) and tags in (None, stack.tags):
            raise ValidationError(message="No updates are to be performed.")
        try:
            updated = update(self, name, template, role_arn, parameters, tags)
        except Exception as error:
            _take_back_update(stack, present)
            raise _worded(error) from error
        for export_name in former:
            self.exports.pop(export_name, None)
        self.exports.update({export.name: export for export in updated.exports})
        return updated

    def execute_change_set(self: Any, change_set_name: str, stack_name: str | None = None) -> None:
        change_set = _change_set(self, change_set_name)
        stack = self.stacks[change_set.stack_id]
        stack.cross_stack_resources = stack.resource_map.cross_stack_resources = self.exports
        present = stack.template
        try:
            execute(self, change_set_name, stack_name)
        except Exception as error:
            if change_set.change_set_type == "CREATE":
                _take_back(self, stack)
            else:
                _take_back_update(stack, present)
            raise _worded(error) from error
        stack.template, stack.parameters = change_set.template, change_set.parameters
        stack._parse_template()
        stack.output_map = OutputMap(stack.resource_map, stack.template_dict, stack.stack_id)
        self.exports.update({export.name: export for export in stack.exports})

    def delete_stack(self: Any, name_or_stack_id: str) -> None:
        found = [one for one in self.stacks.values() if name_or_stack_id in (one.name, one.stack_id)]
        for stack in found:
            if used := _used_by_others(self, stack):
                raise ValidationError(message=used)
        try:
            delete(self, name_or_stack_id)
        except Exception as error:
            for stack in found:
                stack.status = "DELETE_FAILED"
                stack._add_stack_event("DELETE_FAILED", resource_status_reason=str(error))
                self.stacks[stack.stack_id] = stack
            raise ValidationError(message=f"{name_or_stack_id} cannot be deleted: {error}") from error

    create = replace(CloudFormationBackend, "create_stack", create_stack)
    update = replace(CloudFormationBackend, "update_stack", update_stack)
    execute = replace(CloudFormationBackend, "execute_change_set", execute_change_set)
    delete = replace(CloudFormationBackend, "delete_stack", delete_stack)


def _worded(error: Exception) -> Exception:
    """An error that the caller is told in words; whatever is not the service's own would come as a page of HTML."""
    from moto.cloudformation.exceptions import ValidationError
    from moto.core.exceptions import ServiceException

    if isinstance(error, ServiceException):
        return error
    _log.error("a stack could not be changed", exc_info=error)
    return ValidationError(message=f"{type(error).__name__}: {error}")


def _take_back_update(stack: Any, template: Any) -> None:
    stack.template = template
    stack._parse_template()
    try:
        stack.resource_map.update(stack.template_dict, stack.parameters)
    except Exception:  # noqa: BLE001  the deployment's own error is the one to be told
        _log.exception("%s could not be put back to what it was", stack.name)
    stack.status = "UPDATE_ROLLBACK_COMPLETE"
    stack._add_stack_event("UPDATE_ROLLBACK_COMPLETE")


def _change_set(backend: Any, name: str) -> Any:
    found = [one for one in backend.change_sets.values() if name in (one.change_set_id, one.change_set_name)]
    return found[-1]


def _take_back(backend: Any, stack: Any) -> None:
    # Only what was made: looking a resource up would make it.
    made = {
        name: resource
        for name, resource in stack.resource_map._resource_json_map.items()
        if name in stack.resource_map._parsed_resources
    }
    try:
        remove(stack.resource_map, made)
    except Exception:  # noqa: BLE001  the deployment's own error is the one to be told
        _log.exception("what was made of %s could not all be removed", stack.name)
    backend.stacks.pop(stack.stack_id, None)
    for name in [name for name, export in backend.exports.items() if export.exporting_stack_id == stack.stack_id]:
        del backend.exports[name]


def _used_by_others(backend: Any, stack: Any) -> str | None:
    exported = {export.name for export in stack.exports}
    for other in backend.stacks.values():
        if other.stack_id != stack.stack_id:
            for name in exported.intersection(_imports(other.template_dict)):
                return f"Export {name} cannot be deleted as it is in use by {other.name}"
    return None


def _imports(value: Any) -> Iterator[str]:
    if isinstance(value, list):
        for one in value:
            yield from _imports(one)
    elif isinstance(value, dict):
        for name, one in value.items():
            if name == "Fn::ImportValue" and isinstance(one, str):
                yield one
            else:
                yield from _imports(one)
