"""A model package as DescribeModelPackage shows it, and as the store keeps it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

APPROVED, PENDING = "Approved", "PendingManualApproval"

# What CreateModelPackage and UpdateModelPackage may give, to be described as it came.
_DESCRIBED = (
    "ModelPackageDescription",
    "ModelPackageRegistrationType",
    "InferenceSpecification",
    "AdditionalInferenceSpecifications",
    "MetadataProperties",
    "ModelMetrics",
    "DriftCheckBaselines",
    "Domain",
    "Task",
    "SamplePayloadUrl",
    "CustomerMetadataProperties",
    "SkipModelValidation",
    "SourceUri",
    "ModelCard",
    "ModelLifeCycle",
    "SecurityConfig",
    "ApprovalDescription",
)
_KEPT = ("name", "arn", "group", "version", "tags", "approval", "told", "token", "creation_time", "last_modified_time")


class ModelPackage:
    """A model that can be deployed: one version of a group, or a package of its own name.

    Args:
        name: unique among packages; "group/version" for a version.
        group, version: of a version; None for a package of its own name, which has no approval status either.
        told: the members of the request that are described as they came.
        token: the request's ClientToken.
    """

    status = "Completed"  # what a package is checked for is checked before it is made

    def __init__(
        self,
        name: str,
        arn: str,
        *,
        group: str | None,
        version: int | None,
        request: Mapping[str, Any],
        tags: dict[str, str],
    ) -> None:
        self.name, self.arn, self.group, self.version, self.tags = name, arn, group, version, tags
        self.approval: str | None = request.get("ModelApprovalStatus", PENDING) if group else None
        self.told = {member: request[member] for member in _DESCRIBED if request.get(member) is not None}
        self.token: str | None = request.get("ClientToken")
        self.creation_time = datetime.now(UTC)
        self.last_modified_time = self.creation_time

    @classmethod
    def restored(cls, record: Mapping[str, Any]) -> ModelPackage:
        """What `record` described."""
        package = cls(
            record["name"],
            record["arn"],
            group=record["group"],
            version=record["version"],
            request={},
            tags=record["tags"],
        )
        for name in _KEPT:
            setattr(package, name, record[name])
        return package

    def record(self) -> dict[str, Any]:
        """What the store keeps."""
        return {name: getattr(self, name) for name in _KEPT}

    @property
    def deployable(self) -> bool:
        """Whether models may be made of it."""
        return self.approval in (None, APPROVED)

    def change(self, request: Mapping[str, Any]) -> list[str]:
        """Take up what UpdateModelPackage changes; the names of the members that are other than they were."""
        before = {**self.told, "ModelApprovalStatus": self.approval}
        self.approval = request.get("ModelApprovalStatus", self.approval)
        self.told = {**self.told, **{member: request[member] for member in _DESCRIBED if member in request}}
        properties = {
            **before.get("CustomerMetadataProperties", {}),
            **request.get("CustomerMetadataProperties", {}),
        }
        removed = request.get("CustomerMetadataPropertiesToRemove", [])
        self.told["CustomerMetadataProperties"] = {
            key: value for key, value in properties.items() if key not in removed
        }
        added = request.get("AdditionalInferenceSpecificationsToAdd", [])
        self.told["AdditionalInferenceSpecifications"] = [*before.get("AdditionalInferenceSpecifications", []), *added]
        for member in ("CustomerMetadataProperties", "AdditionalInferenceSpecifications"):
            if not self.told[member]:
                del self.told[member]
        self.last_modified_time = datetime.now(UTC)
        after = {**self.told, "ModelApprovalStatus": self.approval}
        return [name for name in {**before, **after} if before.get(name) != after.get(name)]

    def specification(self, name: str | None) -> Mapping[str, Any] | None:
        """The additional inference specification of a name, or the package's own; None when there is none."""
        if name is None:
            own: Mapping[str, Any] | None = self.told.get("InferenceSpecification")
            return own
        additional = self.told.get("AdditionalInferenceSpecifications", [])
        return next((one for one in additional if one["Name"] == name), None)

    def describe(self) -> dict[str, Any]:
        """What DescribeModelPackage answers."""
        return {
            **self._identity(),
            **self.told,
            "ModelPackageStatusDetails": {"ValidationStatuses": [], "ImageScanStatuses": []},
            "CertifyForMarketplace": False,
            "LastModifiedTime": self.last_modified_time,
            "CreatedBy": {},
        }

    def summary(self) -> dict[str, Any]:
        """The package's element of ListModelPackages."""
        return {**self._identity(), **self._some_told("ModelLifeCycle")}

    def batch_summary(self) -> dict[str, Any]:
        """The package's element of BatchDescribeModelPackage."""
        identity = {name: value for name, value in self._identity().items() if name != "ModelPackageName"}
        # The service's model demands both, also of a package that has none.
        missing = {"ModelPackageGroupName": "", "InferenceSpecification": {"Containers": []}}
        return {**missing, **identity, **self._some_told("InferenceSpecification")}

    def _identity(self) -> dict[str, Any]:
        identity = {
            "ModelPackageName": self.group or self.name,
            "ModelPackageGroupName": self.group,
            "ModelPackageVersion": self.version,
            "ModelPackageArn": self.arn,
            "CreationTime": self.creation_time,
            "ModelPackageStatus": self.status,
            "ModelApprovalStatus": self.approval,
            **self._some_told("ModelPackageDescription", "ModelPackageRegistrationType"),
        }
        return {name: value for name, value in identity.items() if value is not None}

    def _some_told(self, *names: str) -> dict[str, Any]:
        return {name: self.told[name] for name in names if name in self.told}
