"""CloudFormation's updates: what refers to a changed resource is changed, what is replaced goes last."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from typing import Any

from kindling.localcloud.seams import replace

_log = logging.getLogger(__name__)

_SUBSTITUTED = re.compile(r"\$\{([A-Za-z0-9]+)[.}]")  # what Fn::Sub's text refers to


def install() -> None:
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
        remove(self, {name: before[name] for name in difference["Remove"]})
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


def remove(resources: Any, removed: dict[str, Any]) -> None:
    """Delete resources, by their names with their templates; what is in use by another that goes, after that one.

    Raises:
        Exception: the first that hinders it, when nothing more can be deleted.
    """
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
