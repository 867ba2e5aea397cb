"""CloudFormation: what a template asks for is made, changed and removed, or the deployment fails with its name.

moto reports a type that it does not know as complete, forgets a resource that it cannot update, does not follow a
changed reference, and leaves a half-made stack behind. The types come from `resources`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any
from urllib.parse import urlparse

from kindling.localcloud import stack_failures, stack_updates
from kindling.localcloud.cloud import LOOPBACK, Cloud
from kindling.localcloud.seams import replace

_log = logging.getLogger(__name__)


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
    stack_updates.install()
    _compare_parameters_as_given()
    stack_failures.install()


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
