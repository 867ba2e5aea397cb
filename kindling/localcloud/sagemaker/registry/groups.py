"""Model package groups: CreateModelPackageGroup and its like, and their resource policies."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from kindling.localcloud.cloud import Cloud
from kindling.localcloud.sagemaker.errors import ConflictError, InvalidRequestError
from kindling.localcloud.sagemaker.listing import answer, page
from kindling.localcloud.sagemaker.resources import Operation, Resources, tags_of
from kindling.localcloud.sagemaker.validation import members_of, refuse_unsupported, require

_CREATE = members_of(
    "CreateModelPackageGroup", {"ModelPackageGroupName": None, "ModelPackageGroupDescription": None, "Tags": None}
)
_KEPT = ("name", "arn", "tags", "description", "creation_time", "last_version", "policy")


class ModelPackageGroup:
    """A group. `last_version` only goes up, so that no two packages ever have the same version."""

    status = "Completed"

    def __init__(self, name: str, arn: str, tags: dict[str, str], description: str | None) -> None:
        self.name, self.arn, self.tags, self.description = name, arn, tags, description
        self.creation_time = datetime.now(UTC)
        self.last_version = 0
        self.policy: str | None = None

    @property
    def last_modified_time(self) -> datetime:
        """A group's own description never changes."""
        return self.creation_time

    @classmethod
    def restored(cls, record: Mapping[str, Any]) -> ModelPackageGroup:
        """What `record` described."""
        group = cls(record["name"], record["arn"], record["tags"], record["description"])
        for name in _KEPT:
            setattr(group, name, record[name])
        return group

    def record(self) -> dict[str, Any]:
        """What the store keeps."""
        return {name: getattr(self, name) for name in _KEPT}

    def summary(self) -> dict[str, Any]:
        """The group's element of ListModelPackageGroups."""
        description = {"ModelPackageGroupDescription": self.description} if self.description else {}
        return {
            "ModelPackageGroupName": self.name,
            "ModelPackageGroupArn": self.arn,
            **description,
            "CreationTime": self.creation_time,
            "ModelPackageGroupStatus": self.status,
        }

    def describe(self) -> dict[str, Any]:
        """What DescribeModelPackageGroup answers; who made it is known only for users of a domain."""
        return {**self.summary(), "CreatedBy": {}}


class ModelPackageGroups:
    """The groups of one cloud. `holds_packages` tells whether a group has any, by its name."""

    def __init__(self, cloud: Cloud, holds_packages: Callable[[str], bool]) -> None:
        self.resources: Resources[ModelPackageGroup] = Resources(cloud, "model-package-group", "model package group")
        self.resources.restore(ModelPackageGroup.restored)
        self._holds_packages = holds_packages

    def operations(self) -> Mapping[str, Operation]:
        """The operations by name."""
        return {
            "CreateModelPackageGroup": self.create,
            "DescribeModelPackageGroup": lambda request: self.get(request["ModelPackageGroupName"]).describe(),
            "ListModelPackageGroups": self.list,
            "DeleteModelPackageGroup": self.delete,
            "PutModelPackageGroupPolicy": self.put_policy,
            "GetModelPackageGroupPolicy": self.get_policy,
            "DeleteModelPackageGroupPolicy": self.delete_policy,
        }

    def get(self, name_or_arn: str) -> ModelPackageGroup:
        """The group of a name or an ARN.

        Raises:
            InvalidRequestError: there is none.
        """
        name = name_or_arn.rpartition("/")[2]
        arn = name_or_arn if name_or_arn.startswith("arn:") else self.resources.arn(name)
        found = self.resources.with_arn(arn)
        if found is None:
            raise InvalidRequestError(f"ModelPackageGroup {arn} does not exist.")
        return found

    def create(self, request: dict[str, Any]) -> dict[str, Any]:
        """Make a group without packages."""
        refuse_unsupported(request, _CREATE)
        name = request["ModelPackageGroupName"]
        group = ModelPackageGroup(
            name, self.resources.arn(name), tags_of(request), request.get("ModelPackageGroupDescription")
        )
        with self.resources.lock:
            if self.resources.with_arn(group.arn) is not None:
                raise InvalidRequestError(f"Model Package Group already exists: {group.arn}")
            self.resources.add(group)
        return {"ModelPackageGroupArn": group.arn}

    def list(self, request: dict[str, Any]) -> dict[str, Any]:
        """A page of groups."""
        require("CrossAccountFilterOption", request.get("CrossAccountFilterOption"), "SameAccount")
        groups, token = page(self.resources.all(), request, "Ascending")
        return answer("ModelPackageGroupSummaryList", [group.summary() for group in groups], token)

    def delete(self, request: dict[str, Any]) -> dict[str, Any]:
        """Forget a group that has no packages."""
        with self.resources.lock:
            group = self.get(request["ModelPackageGroupName"])
            if self._holds_packages(group.name):
                raise ConflictError(
                    f"Cannot delete ModelPackageGroup {group.arn} while it has model packages; delete them first."
                )
            self.resources.remove(group.name)
        return {}

    def put_policy(self, request: dict[str, Any]) -> dict[str, Any]:
        """Keep a group's policy. Like every policy of this cloud, it is shown and not enforced."""
        group = self.get(request["ModelPackageGroupName"])
        try:
            document = json.loads(request["ResourcePolicy"])
        except json.JSONDecodeError as error:
            raise InvalidRequestError(f"ResourcePolicy is not JSON: {error}.") from None
        if not isinstance(document, dict) or "Statement" not in document:
            raise InvalidRequestError("ResourcePolicy must be a policy document with a Statement.")
        self._set_policy(group, request["ResourcePolicy"])
        return {"ModelPackageGroupArn": group.arn}

    def get_policy(self, request: dict[str, Any]) -> dict[str, Any]:
        """A group's policy as it was put."""
        return {"ResourcePolicy": self._with_policy(request).policy}

    def delete_policy(self, request: dict[str, Any]) -> dict[str, Any]:
        """Remove a group's policy."""
        self._set_policy(self._with_policy(request), None)
        return {}

    def _set_policy(self, group: ModelPackageGroup, policy: str | None) -> None:
        with self.resources.lock:
            group.policy = policy
            self.resources.changed(group)

    def _with_policy(self, request: dict[str, Any]) -> ModelPackageGroup:
        group = self.get(request["ModelPackageGroupName"])
        if group.policy is None:
            raise InvalidRequestError(f"Cannot find resource policy for: {group.arn}")
        return group
