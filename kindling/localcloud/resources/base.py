"""What a resource type is, and how moto sees it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import Any, ClassVar

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

from kindling.localcloud.cloud import Cloud

Properties = dict[str, Any]


@dataclass(frozen=True)
class Made:
    """A resource that exists: what Ref gives, and what Fn::GetAtt gives by attribute."""

    id: str
    attributes: Mapping[str, str] = field(default_factory=dict)


class Clients:
    """Clients of this cloud by service."""

    def __init__(self, cloud: Cloud) -> None:
        session = boto3.Session(aws_access_key_id="test", aws_secret_access_key="test", region_name=cloud.region)
        config = Config(retries={"total_max_attempts": 1}, s3={"addressing_style": "path"}, max_pool_connections=16)
        self._get = cache(lambda service: session.client(service, endpoint_url=cloud.endpoint_url, config=config))
        self.cloud = cloud

    def __call__(self, service: str) -> Any:
        """The client of a service."""
        return self._get(service)


class ResourceType:
    """One type of resource. `name` is the generated name, or the one that the property `name_property` gives.

    A change that the resource does not keep through (see `keeps`) replaces it: the new one is made, what refers to it
    follows, and the former one is deleted last.
    """

    type: ClassVar[str]
    name_property: ClassVar[str] = ""
    attributes: ClassVar[tuple[str, ...]] = ()
    in_place: ClassVar[bool] = True

    def __init__(self, aws: Clients) -> None:
        self.aws = aws

    def keeps(self, before: Properties, after: Properties) -> bool:  # noqa: ARG002
        """Whether a change of properties, which leaves a given name as it is, can be made to what is there."""
        return self.in_place

    def create(self, name: str, properties: Properties) -> Made:
        """Make it; what cannot be made whole is not left behind."""
        raise NotImplementedError

    def update(self, made: Made, properties: Properties) -> Made:
        """Bring what is there to `properties`; only called where `keeps` says so."""
        raise NotImplementedError

    def delete(self, made: Made, properties: Properties) -> None:
        """Remove it; that it is gone already is no error."""
        raise NotImplementedError


@contextmanager
def gone_is_fine(*sentences: str) -> Iterator[None]:
    """Let a deletion pass when there is nothing left to delete: by the error's code, or by parts of its message."""
    try:
        yield
    except ClientError as error:
        code = error.response["Error"]["Code"]
        by_code = any(word in code for word in ("NotFound", "NoSuch", "DoesNotExist", "404"))
        if not by_code and not any(sentence in error.response["Error"]["Message"] for sentence in sentences):
            raise


def text(document: Any) -> str:
    """A policy or another document as JSON text, which templates give as text or as an object."""
    return document if isinstance(document, str) else json.dumps(document)


def lower_first(value: Any) -> Any:
    """The same structure with member names as the APIs of older services have them: `scanOnPush`, not `ScanOnPush`."""
    if isinstance(value, dict):
        return {name[:1].lower() + name[1:]: lower_first(one) for name, one in value.items()}
    if isinstance(value, list):
        return [lower_first(one) for one in value]
    return value


def chosen(properties: Properties, *names: str) -> Properties:
    """Those of the properties that are set."""
    return {name: properties[name] for name in names if properties.get(name) is not None}


def tag_map(properties: Properties) -> dict[str, str]:
    """Tags as a mapping, from the list that CloudFormation has."""
    tags = properties.get("Tags") or []
    return dict(tags) if isinstance(tags, dict) else {tag["Key"]: str(tag["Value"]) for tag in tags}


def as_moto_model(kind: ResourceType) -> Any:
    """The class by which moto creates, updates and deletes resources of this type."""
    from moto.cloudformation.exceptions import UnformattedGetAttTemplateException
    from moto.core.common_models import CloudFormationModel

    class Model(CloudFormationModel):
        def __init__(self, made: Made, properties: Properties, given_name: str | None) -> None:
            self.made, self.properties, self.given_name = made, properties, given_name
            self.in_doubt = False  # whether a change was begun, which may have come half through
            self.former: Model | None = None  # what this one replaces, until the update has succeeded

        @property
        def physical_resource_id(self) -> str:
            return self.made.id

        @staticmethod
        def cloudformation_type() -> str:
            return kind.type

        @staticmethod
        def cloudformation_name_type() -> str:
            return kind.name_property

        @staticmethod
        def keeps(before: Properties, after: Properties) -> bool:
            """Whether a change of properties can be made to what is there."""
            return before.get(kind.name_property) == after.get(kind.name_property) and kind.keeps(before, after)

        @classmethod
        def has_cfn_attr(cls, attr: str) -> bool:
            return attr in kind.attributes

        def get_cfn_attribute(self, attribute_name: str) -> Any:
            try:
                return self.made.attributes[attribute_name]
            except KeyError:
                raise UnformattedGetAttTemplateException from None

        @classmethod
        def create_from_cloudformation_json(
            cls,
            resource_name: str,
            cloudformation_json: dict[str, Any],
            account_id: str,  # noqa: ARG003
            region_name: str,  # noqa: ARG003
            **_more: Any,
        ) -> Any:
            properties = cloudformation_json.get("Properties") or {}
            given_name = properties.get(kind.name_property)
            # moto knows only the name's property of the first class that it finds for a type, which may be its own.
            return cls(kind.create(given_name or resource_name, properties), properties, given_name)

        @classmethod
        def update_from_cloudformation_json(
            cls,
            original_resource: Any,
            new_resource_name: str,
            cloudformation_json: dict[str, Any],
            account_id: str,  # noqa: ARG003
            region_name: str,  # noqa: ARG003
        ) -> Any:
            properties = cloudformation_json.get("Properties") or {}
            given_name = properties.get(kind.name_property)
            if properties == original_resource.properties and not original_resource.in_doubt:
                return original_resource
            if given_name == original_resource.given_name and kind.keeps(original_resource.properties, properties):
                original_resource.in_doubt = True
                return cls(kind.update(original_resource.made, properties), properties, given_name)
            former = original_resource.former
            if former is not None and former.properties == properties:  # an update that failed is taken back
                original_resource.former, former.former = None, original_resource
                return former
            replacement = cls(kind.create(given_name or new_resource_name, properties), properties, given_name)
            if replacement.made.id != original_resource.made.id:
                replacement.former = original_resource
            return replacement

        @classmethod
        def delete_from_cloudformation_json(
            cls,
            resource_name: str,
            cloudformation_json: dict[str, Any],
            account_id: str,  # noqa: ARG003
            region_name: str,  # noqa: ARG003
        ) -> None:
            kind.delete(Made(resource_name), cloudformation_json.get("Properties") or {})

        def delete(self, account_id: str, region_name: str) -> None:  # noqa: ARG002
            kind.delete(self.made, self.properties)

        def is_created(self) -> bool:
            return True

    Model.__name__ = Model.__qualname__ = kind.type.replace("::", "")
    return Model
