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
    """One type of resource. `name` is the generated name, or the one that the property `name_property` gives."""

    type: ClassVar[str]
    name_property: ClassVar[str] = ""
    attributes: ClassVar[tuple[str, ...]] = ()
    in_place: ClassVar[bool] = True

    def __init__(self, aws: Clients) -> None:
        self.aws = aws

    def create(self, name: str, properties: Properties) -> Made:
        """Make it."""
        raise NotImplementedError

    def update(self, made: Made, properties: Properties) -> Made:
        """Bring what is there to `properties`; only called where `in_place` says so."""
        raise NotImplementedError

    def delete(self, made: Made, properties: Properties) -> None:
        """Remove it; that it is gone already is no error."""
        raise NotImplementedError


@contextmanager
def gone_is_fine() -> Iterator[None]:
    """Let a deletion pass when there is nothing left to delete."""
    try:
        yield
    except ClientError as error:
        code = error.response["Error"]["Code"]
        if not any(word in code for word in ("NotFound", "NoSuch", "DoesNotExist", "404")):
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

        @property
        def physical_resource_id(self) -> str:
            return self.made.id

        @staticmethod
        def cloudformation_type() -> str:
            return kind.type

        @staticmethod
        def cloudformation_name_type() -> str:
            return kind.name_property

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
            return cls(kind.create(resource_name, properties), properties, properties.get(kind.name_property))

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
            if kind.in_place and given_name == original_resource.given_name:
                return cls(kind.update(original_resource.made, properties), properties, given_name)
            made = kind.create(new_resource_name, properties)
            if made.id != original_resource.made.id:
                kind.delete(original_resource.made, original_resource.properties)
            return cls(made, properties, given_name)

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
