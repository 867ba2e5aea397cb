"""The operations on model packages, and the containers that a model made of one has."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from kindling.localcloud.sagemaker.errors import InvalidRequestError
from kindling.localcloud.sagemaker.listing import answer, page
from kindling.localcloud.sagemaker.model_data import check_exists, check_source
from kindling.localcloud.sagemaker.registry.groups import ModelPackageGroups
from kindling.localcloud.sagemaker.registry.package import ModelPackage
from kindling.localcloud.sagemaker.resources import Operation, Resources, tags_of
from kindling.localcloud.sagemaker.surroundings import Surroundings
from kindling.localcloud.sagemaker.validation import IGNORED, Supported, members_of, refuse_unsupported

_CONTAINER: Supported = {
    "ContainerHostname": None,
    "Image": None,
    "ImageDigest": None,
    "ModelDataUrl": None,
    "ModelDataSource": {"S3DataSource": {"S3Uri": None, "S3DataType": None, "CompressionType": None}},
    "ModelDataETag": None,
    "Environment": None,
    "ModelInput": None,
    "Framework": None,
    "FrameworkVersion": None,
    "NearestModelName": None,
}
_SPECIFICATION: Supported = {
    "Name": None,
    "Description": None,
    "Containers": _CONTAINER,
    "SupportedTransformInstanceTypes": None,
    "SupportedRealtimeInferenceInstanceTypes": None,
    "SupportedContentTypes": None,
    "SupportedResponseMIMETypes": None,
}
_CREATE = members_of(
    "CreateModelPackage",
    {
        "ModelPackageName": None,
        "ModelPackageGroupName": None,
        "ModelPackageDescription": None,
        "ModelPackageRegistrationType": None,
        "InferenceSpecification": _SPECIFICATION,
        "AdditionalInferenceSpecifications": _SPECIFICATION,
        "Tags": None,
        "ModelApprovalStatus": None,
        "MetadataProperties": None,
        "ModelMetrics": None,
        "DriftCheckBaselines": None,
        "ClientToken": None,
        "Domain": None,
        "Task": None,
        "SamplePayloadUrl": None,
        "CustomerMetadataProperties": None,
        "SkipModelValidation": None,
        "SourceUri": None,
        "ModelCard": None,
        "ModelLifeCycle": None,
        "SecurityConfig": IGNORED,
    },
)
_UPDATE = members_of(
    "UpdateModelPackage",
    {
        "ModelPackageArn": None,
        "ModelApprovalStatus": None,
        "ModelPackageRegistrationType": None,
        "ApprovalDescription": None,
        "CustomerMetadataProperties": None,
        "CustomerMetadataPropertiesToRemove": None,
        "AdditionalInferenceSpecificationsToAdd": _SPECIFICATION,
        "InferenceSpecification": _SPECIFICATION,
        "SourceUri": None,
        "ModelCard": None,
        "ModelLifeCycle": None,
        "ClientToken": None,
    },
)


class ModelPackages:
    """The model packages of one cloud, and with them their groups."""

    def __init__(self, around: Surroundings) -> None:
        self.resources: Resources[ModelPackage] = Resources(around.cloud, "model-package", "model package")
        self.resources.restore(ModelPackage.restored)
        self.groups = ModelPackageGroups(around.cloud, lambda group: any(self._of_group(group)))
        self._around = around

    def operations(self) -> Mapping[str, Operation]:
        """The operations by name."""
        return {
            "CreateModelPackage": self.create,
            "DescribeModelPackage": lambda request: self.get(request["ModelPackageName"]).describe(),
            "UpdateModelPackage": self.update,
            "ListModelPackages": self.list,
            "DeleteModelPackage": self.delete,
            "BatchDescribeModelPackage": self.batch_describe,
        }

    def get(self, name_or_arn: str) -> ModelPackage:
        """The package of a name ("group/version" for a version) or an ARN.

        Raises:
            InvalidRequestError: there is none.
        """
        arn = name_or_arn if name_or_arn.startswith("arn:") else self.resources.arn(name_or_arn)
        found = self.resources.with_arn(arn)
        if found is None:
            raise InvalidRequestError(f"ModelPackage {arn} does not exist.")
        return found

    def create(self, request: dict[str, Any]) -> dict[str, Any]:
        """Check a package and keep it, as the next version of its group or under its own name."""
        refuse_unsupported(request, _CREATE)
        if request.get("ModelPackageName") and request.get("ModelPackageGroupName"):
            raise InvalidRequestError(
                "Both ModelPackageName and ModelPackageGroupName are provided in the input. "
                "Cannot determine which one to use."
            )
        if group := request.get("ModelPackageGroupName"):
            return {"ModelPackageArn": self._create_version(group, request).arn}
        if not request.get("ModelPackageName"):
            raise InvalidRequestError("Missing ARN.")
        return {"ModelPackageArn": self._create_named(request).arn}

    def update(self, request: dict[str, Any]) -> dict[str, Any]:
        """Approve or reject a version, or change what is said of a package."""
        refuse_unsupported(request, _UPDATE)
        with self.resources.lock:
            package = self.get(request["ModelPackageArn"])
            if "ModelApprovalStatus" in request and package.group is None:
                raise InvalidRequestError(
                    f"ModelApprovalStatus belongs to the versions of a model package group; {package.arn} is not one."
                )
            added = request.get("AdditionalInferenceSpecificationsToAdd", [])
            present = package.told.get("AdditionalInferenceSpecifications", [])
            _refuse_same_names([*present, *added])
            self._check_containers({"AdditionalInferenceSpecifications": added, **request})
            changed = package.change(request)
            self.resources.changed(package)
        self._announce(package, changed)
        return {"ModelPackageArn": package.arn}

    def list(self, request: dict[str, Any]) -> dict[str, Any]:
        """A page of packages: those of a group, or those of a type, which are unversioned ones by default."""
        group = request.get("ModelPackageGroupName")
        packages = list(self._of_group(self.groups.get(group).name)) if group else self.resources.all()
        kind = request.get("ModelPackageType", "Versioned" if group else "Unversioned")
        status, part = request.get("ModelApprovalStatus"), request.get("NameContains", "").lower()
        chosen = [
            package
            for package in packages
            if (kind == "Both" or (package.group is not None) == (kind == "Versioned"))
            and (status is None or package.approval == status)
            and part in (package.group or package.name).lower()
        ]
        rest = {name: value for name, value in request.items() if name != "NameContains"}
        shown, token = page(chosen, rest, "Ascending")
        return answer("ModelPackageSummaryList", [package.summary() for package in shown], token)

    def delete(self, request: dict[str, Any]) -> dict[str, Any]:
        """Forget a package; the models that were made of it stay."""
        self.resources.remove(self.get(request["ModelPackageName"]).name)
        return {}

    def batch_describe(self, request: dict[str, Any]) -> dict[str, Any]:
        """Summaries of packages by ARN, and errors of those that there are not."""
        found, errors = {}, {}
        for arn in request["ModelPackageArnList"]:
            try:
                found[arn] = self.get(arn).batch_summary()
            except InvalidRequestError as error:
                errors[arn] = {"ErrorCode": error.code, "ErrorResponse": error.message}
        return {"ModelPackageSummaries": found, "BatchDescribeModelPackageErrorMap": errors}

    def containers_of(self, container: Mapping[str, Any]) -> Sequence[dict[str, Any]]:
        """The containers that a container of CreateModel stands for: those of its package, or itself.

        Raises:
            InvalidRequestError: the package does not exist, may not be deployed, or lacks what is asked for.
        """
        if "ModelPackageName" not in container:
            if container.get("InferenceSpecificationName"):
                raise InvalidRequestError("InferenceSpecificationName must be given with ModelPackageName only.")
            return [dict(container)]
        for member in ("Image", "ModelDataUrl", "ModelDataSource"):
            if container.get(member):
                raise InvalidRequestError(f"{member} must not be given beside ModelPackageName.")
        package = self.get(container["ModelPackageName"])
        if not package.deployable:
            raise InvalidRequestError(
                f"Cannot create a model of ModelPackage {package.arn}: its ModelApprovalStatus is {package.approval}; "
                f"it must be Approved."
            )
        name = container.get("InferenceSpecificationName")
        specification = package.specification(name)
        if specification is None:
            which = f"AdditionalInferenceSpecification {name}" if name else "InferenceSpecification"
            raise InvalidRequestError(f"ModelPackage {package.arn} has no {which}.")
        return [_deployed(part, container) for part in specification["Containers"]]

    def _create_version(self, group_name: str, request: dict[str, Any]) -> ModelPackage:
        if request.get("Tags"):
            raise InvalidRequestError(
                "Tags must not be given for a version of a model package group; its tags are the group's."
            )
        group = self.groups.get(group_name)
        self._check(request)
        with self.groups.resources.lock:
            group = self.groups.get(group_name)  # it may have been deleted meanwhile
            for former in self._of_group(group.name):
                if former.token is not None and former.token == request.get("ClientToken"):
                    return former
            group.last_version += 1
            self.groups.resources.changed(group)
            name, version = f"{group.name}/{group.last_version}", group.last_version
            arn = self.resources.arn(name)
            package = ModelPackage(name, arn, group=group.name, version=version, request=request, tags={})
            self.resources.add(package)
        self._announce(package)
        return package

    def _create_named(self, request: dict[str, Any]) -> ModelPackage:
        if "ModelApprovalStatus" in request:
            raise InvalidRequestError("ModelApprovalStatus must be given with ModelPackageGroupName only.")
        self._check(request)
        name = request["ModelPackageName"]
        arn = self.resources.arn(name)
        package = ModelPackage(name, arn, group=None, version=None, request=request, tags=tags_of(request))
        with self.resources.lock:
            if (former := self.resources.with_arn(arn)) is not None:
                if former.token is not None and former.token == package.token:
                    return former
                raise InvalidRequestError(f"Model Package already exists: {arn}")
            self.resources.add(package)
        self._announce(package)
        return package

    def _check(self, request: dict[str, Any]) -> None:
        logged = request.get("ModelPackageRegistrationType") == "Logged"
        if not (request.get("InferenceSpecification") or request.get("SourceUri") or logged):
            raise InvalidRequestError("InferenceSpecification is required.")
        _refuse_same_names(request.get("AdditionalInferenceSpecifications", []))
        if request.get("SkipModelValidation") != "All":
            self._check_containers(request)

    def _check_containers(self, request: Mapping[str, Any]) -> None:
        own, where = request.get("InferenceSpecification"), "InferenceSpecification.Containers"
        for specification in [*([own] if own else []), *request.get("AdditionalInferenceSpecifications", [])]:
            for container in specification["Containers"]:
                if not container.get("Image"):
                    raise InvalidRequestError(f"{where}.Image is required.")
                self._around.runner.check(container["Image"])
                check_source(where, container)
                check_exists(where, container, self._around.objects)

    def _of_group(self, group: str) -> Iterable[ModelPackage]:
        return (package for package in self.resources.all() if package.group == group)

    def _announce(self, package: ModelPackage, changed: Iterable[str] = ()) -> None:
        detail = {**package.describe(), "UpdatedModelPackageFields": list(changed)}
        self._around.events.announce("Model Package", package.arn, detail)


def _deployed(part: Mapping[str, Any], asked: Mapping[str, Any]) -> dict[str, Any]:
    """A container of a package in a model; what the model asks for adds to the environment and overrides it."""
    taken = {
        name: part[name] for name in ("ContainerHostname", "Image", "ModelDataUrl", "ModelDataSource") if name in part
    }
    environment = {**part.get("Environment", {}), **asked.get("Environment", {})}
    return {**asked, **taken, "Environment": environment}


def _refuse_same_names(specifications: Iterable[Mapping[str, Any]]) -> None:
    names = [specification["Name"] for specification in specifications]
    if len(set(names)) < len(names):
        raise InvalidRequestError("the names of AdditionalInferenceSpecifications must differ.")
