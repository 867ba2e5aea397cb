"""CloudFormation: what a template asks for is made, changed and removed, or the deployment fails with its name.

moto reports a type that it does not know as complete, forgets a resource that it cannot update, does not follow a
changed reference, and leaves a half-made stack behind. The types come from `resources`.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlparse

from kindling.localcloud.cloud import LOOPBACK, Cloud
from kindling.localcloud.seams import replace

_log = logging.getLogger(__name__)

_SUBSTITUTED = re.compile(r"\$\{([A-Za-z0-9]+)[.}]")  # what Fn::Sub's text refers to


def install(cloud: Cloud) -> None:
    """Give moto the resource types, and mend how it reads, creates, updates and deletes stacks."""
    from moto.cloudformation import parsing

    from kindling.localcloud.resources import TYPES
    from kindling.localcloud.resources.base import Clients, as_moto_model

    aws = Clients(cloud)
    # moto finds its types by asking for subclasses; the last of a name counts, and these come last.
    models = [as_moto_model(kind(aws)) for kind in TYPES]
    for cached in (parsing.get_model_list, parsing.get_model_map, parsing.get_name_type_map):
        cached.cache_clear()
    assert all(parsing.get_model_map()[model.cloudformation_type()] is model for model in models)
    _understand_template_url()
    _leave_out_no_values()
    _refuse_unknown_types()
    _name_what_failed()
    _update_dependents()
    _compare_parameters_as_given()
    _leave_nothing_half_made()


def _understand_template_url() -> None:
    """A template's address on this cloud has the bucket in its path; moto looks for it in the host's name."""
    from moto.cloudformation import models, responses

    def get_stack_from_s3_url(template_url: str, account_id: str, partition: str) -> Any:
        address = urlparse(template_url)
        if address.hostname in (LOOPBACK, "localhost"):
            template_url = f"https://s3.amazonaws.com{address.path}"
        return read(template_url, account_id, partition)

    read = replace(responses, "get_stack_from_s3_url", get_stack_from_s3_url)
    replace(models, "get_stack_from_s3_url", get_stack_from_s3_url)


def _leave_out_no_values() -> None:
    """An element of a list that comes to AWS::NoValue is not there; moto has a None in its place."""
    from moto.cloudformation import parsing

    def clean_json(value: Any, resources: Any) -> Any:
        cleaned = clean(value, resources)
        return [one for one in cleaned if one is not None] if isinstance(value, list) else cleaned

    clean = replace(parsing, "clean_json", clean_json)


def _refuse_unknown_types() -> None:
    from moto.cloudformation.exceptions import ValidationError
    from moto.cloudformation.parsing import NULL_MODELS, ResourceMap, get_model_map

    from kindling.localcloud.resources import TYPES

    ours = {kind.type for kind in TYPES}

    def check(template: dict[str, Any]) -> None:
        types = {resource["Type"] for resource in (template.get("Resources") or {}).values()}
        # moto's own types of SageMaker would only pretend.
        known = {name for name in get_model_map() if not name.startswith("AWS::SageMaker::")} | ours | set(NULL_MODELS)
        unknown = sorted(name for name in types - known if not name.startswith("Custom::"))
        if unknown:
            raise ValidationError(message=f"Template format error: Unrecognized resource types: [{', '.join(unknown)}]")

    def load(self: Any) -> None:
        check(self._template)
        load_map(self)

    load_map = replace(ResourceMap, "load", load)


def _name_what_failed() -> None:
    """An error while a resource is made or changed names the resource, as a stack's events would."""
    from moto.cloudformation import parsing
    from moto.cloudformation.exceptions import ValidationError

    def naming(work: Callable[..., Any]) -> Callable[..., Any]:
        def named(logical_id: str, resource_json: dict[str, Any], *rest: Any, **more: Any) -> Any:
            try:
                return work(logical_id, resource_json, *rest, **more)
            except ValidationError:
                raise
            except Exception as error:
                _log.exception("%s (%s)", logical_id, resource_json["Type"])
                words = f"{logical_id} ({resource_json['Type']}): {error}"
                raise ValidationError(message=words) from error

        return named

    replace(parsing, "parse_and_create_resource", naming(parsing.parse_and_create_resource))
    replace(parsing, "parse_and_update_resource", naming(parsing.parse_and_update_resource))


def _update_dependents() -> None:
    """After a change, what refers to a resource whose identity changed is changed too, until nothing changes more.

    What is replaced stays until all of the update has succeeded, so that a failed one can go back to it.
    """
    from moto.cloudformation import parsing

    def update(self: Any, template: dict[str, Any], parameters: dict[str, Any] | None = None) -> None:
        difference = self.build_resource_diff(template, parameters)
        before = self._resource_json_map
        self._template = template
        if parameters:
            self.input_parameters = parameters
        self._resource_json_map = template["Resources"]
        self.load()
        for name in difference["Add"]:
            self[name]
        replaced = _change(self, difference["Modify"])
        _remove(self, {name: before[name] for name in difference["Remove"]})
        _clean_up(self, replaced, before)

    replace(parsing.ResourceMap, "update", update)
    # Which resources a parameter's change concerns: moto does not look into Fn::Sub.
    replace(parsing, "get_references_from_template", lambda template: list(references(template)))


def _change(resources: Any, names: list[str]) -> list[str]:
    """Change resources, what they refer to first, and then what refers to one whose identity changed.

    Returns:
        The names of those that were replaced; the former ones are still there.
    """
    from moto.cloudformation import parsing

    templates, pending, replaced = resources._resource_json_map, list(names), []
    while pending:
        name = pending.pop(0)
        if _all_references(name, templates) & set(pending):
            pending.append(name)
            continue
        before = _identity(resources._parsed_resources.get(name))
        changed = resources._parsed_resources[name] = parsing.parse_and_update_resource(
            name, templates[name], resources, account_id=resources._account_id, region_name=resources._region_name
        )
        if getattr(changed, "former", None) is not None:
            replaced.append(name)
        if _identity(changed) != before:
            pending += [
                other for other, template in templates.items() if name in references(template) and other not in pending
            ]
    return replaced


def _clean_up(resources: Any, replaced: list[str], templates: dict[str, Any]) -> None:
    """Delete what was replaced, now that nothing refers to it. As at AWS, the update has succeeded by then."""
    for name in reversed(replaced):
        resource = resources._parsed_resources[name]
        former, resource.former = resource.former, None
        if templates.get(name, {}).get("UpdateReplacePolicy") == "Retain":
            continue
        try:
            resources._delete_resource(former, {})
        except Exception:  # noqa: BLE001
            _log.exception("what %s replaced could not be deleted", name)


def _remove(resources: Any, removed: dict[str, Any]) -> None:
    left = dict(removed)
    while left:
        errors: dict[str, Exception] = {}
        for name, resource in left.items():
            made = resources._parsed_resources.get(name)
            if made is None or resource.get("DeletionPolicy") == "Retain":
                continue
            try:
                resources._delete_resource(made, resource)
            except Exception as error:  # noqa: BLE001  it may be in use by another that goes in this round
                errors[name] = error
        for name in left.keys() - errors.keys():
            resources._parsed_resources.pop(name, None)
        if len(errors) == len(left):
            raise next(iter(errors.values()))
        left = {name: left[name] for name in errors}


def _identity(resource: Any) -> Any:
    made = getattr(resource, "made", None)
    return made if made is not None else getattr(resource, "physical_resource_id", None)


def _all_references(name: str, templates: dict[str, Any]) -> set[str]:
    """The logical ids that a resource refers to, and that those refer to in turn."""
    found: set[str] = set()
    pending = [name]
    while pending:
        new = set(references(templates.get(pending.pop(), {}))) - found
        found |= new
        pending += new
    return found


def references(value: Any) -> Iterator[str]:
    """The logical ids that a part of a template refers to."""
    if isinstance(value, list):
        for one in value:
            yield from references(one)
    elif isinstance(value, dict):
        for name, one in value.items():
            if name == "Ref" and isinstance(one, str):
                yield one
            elif name == "Fn::GetAtt":
                yield one.split(".")[0] if isinstance(one, str) else one[0]
            elif name == "Fn::Sub":
                yield from _SUBSTITUTED.findall(one if isinstance(one, str) else one[0])
                yield from references(one)
            elif name == "DependsOn":
                yield from [one] if isinstance(one, str) else one
            else:
                yield from references(one)


def _compare_parameters_as_given() -> None:
    """A stack's parameters are those that it was given, and defaults: moto has the values of SSM that they name.

    So they are told, and so they are compared: moto tells a list as Python writes it, which the CDK reads back.
    """
    from moto.cloudformation.models import Stack
    from moto.cloudformation.parsing import ResourceMap
    from moto.cloudformation.responses import CloudFormationResponse

    def defaults(template: dict[str, Any]) -> dict[str, str]:
        declared = (template.get("Parameters") or {}).items()
        return {name: parameter["Default"] for name, parameter in declared if "Default" in parameter}

    def has_parameters(self: Any, others: dict[str, str]) -> bool:
        return bool(self.stack_parameters == {**defaults(self.template_dict), **others})

    def parameter_list(self: Any) -> list[dict[str, Any]]:
        hidden = self.resource_map.no_echo_parameter_keys
        return [
            {"ParameterKey": name, "ParameterValue": "****" if name in hidden else value}
            for name, value in self.stack_parameters.items()
        ]

    def build_resource_diff(self: Any, other_template: dict[str, Any], parameters: Any = None) -> dict[str, Any]:
        given = self.input_parameters
        self.input_parameters = {**defaults(self._template), **given}
        try:
            wanted = None if parameters is None else {**defaults(other_template), **parameters}
            difference: dict[str, Any] = compare(self, other_template, wanted)
        finally:
            self.input_parameters = given
        return difference

    # An update says itself that there is nothing to do, and a change set fails for it, which is how it is told there.
    replace(CloudFormationResponse, "_validate_different_update", lambda *_: None)
    replace(Stack, "stack_parameters", property(lambda self: {**defaults(self.template_dict), **self.parameters}))
    replace(Stack, "parameter_list", property(parameter_list))
    replace(Stack, "has_parameters", has_parameters)
    compare = replace(ResourceMap, "build_resource_diff", build_resource_diff)


def _leave_nothing_half_made() -> None:
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
        _remove(stack.resource_map, made)
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
