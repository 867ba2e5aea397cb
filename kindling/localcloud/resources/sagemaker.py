"""SageMaker's models, endpoints and model registry, as the embedded SageMaker makes them."""

# ruff: noqa: ARG002  a resource type's methods have one signature, whatever each of them needs

from __future__ import annotations

import time
from typing import Any

from botocore.exceptions import ClientError
from botocore.model import Shape

from kindling.localcloud.resources.base import Made, Properties, ResourceType, chosen, gone_is_fine, text

_LONGEST_NAME = 63
_PAUSE_S = 0.1
_GONE = ("Could not find", "does not exist")


class _SageMakerType(ResourceType):
    """One of SageMaker's: `noun` is what its operations are named after; Ref gives the ARN."""

    noun: str

    def request(self, verb: str, properties: Properties) -> Properties:
        """The request of an operation, with values of the types that the API wants: templates may give text."""
        shape = self.aws("sagemaker").meta.service_model.operation_model(f"{verb}{self.noun}").input_shape
        return dict(_typed(shape, properties))

    def create(self, name: str, properties: Properties) -> Made:
        """Make it under a name, which a generated one may be too long for."""
        named = {self.name_property: properties.get(self.name_property) or name[-_LONGEST_NAME:].lstrip("-")}
        create = getattr(self.aws("sagemaker"), f"create_{_snake(self.noun)}")
        arn = create(**self.request("Create", properties | named))[f"{self.noun}Arn"]
        return Made(arn, named | {f"{self.noun}Arn": arn})

    def delete(self, made: Made, properties: Properties) -> None:
        with gone_is_fine(*_GONE):
            delete = getattr(self.aws("sagemaker"), f"delete_{_snake(self.noun)}")
            delete(**{self.name_property: made.attributes[self.name_property]})


class Model(_SageMakerType):
    """A model. Every change makes another one."""

    type, noun, name_property = "AWS::SageMaker::Model", "Model", "ModelName"
    attributes = ("ModelName",)
    in_place = False


class EndpointConfig(_SageMakerType):
    """An endpoint configuration. Every change makes another one."""

    type, noun, name_property = "AWS::SageMaker::EndpointConfig", "EndpointConfig", "EndpointConfigName"
    attributes = ("EndpointConfigName",)
    in_place = False


class Endpoint(_SageMakerType):
    """An endpoint, which is there when it is in service; another configuration is an update of it."""

    type, noun, name_property = "AWS::SageMaker::Endpoint", "Endpoint", "EndpointName"
    attributes = ("EndpointName",)

    def create(self, name: str, properties: Properties) -> Made:
        members = chosen(properties, "EndpointName", "EndpointConfigName", "DeploymentConfig", "Tags")
        made = super().create(name, members)
        try:
            self._wait(made, properties["EndpointConfigName"])
        except RuntimeError:
            self.delete(made, properties)
            raise
        return made

    def update(self, made: Made, properties: Properties) -> Made:
        members = chosen(
            properties,
            "EndpointConfigName",
            "DeploymentConfig",
            "RetainAllVariantProperties",
            "ExcludeRetainedVariantProperties",
            "RetainDeploymentConfig",
        )
        members["EndpointName"] = made.attributes["EndpointName"]
        self.aws("sagemaker").update_endpoint(**self.request("Update", members))
        self._wait(made, properties["EndpointConfigName"])
        return made

    def delete(self, made: Made, properties: Properties) -> None:
        super().delete(made, properties)
        with gone_is_fine(*_GONE):
            while True:
                self._describe(made)
                time.sleep(_PAUSE_S)

    def _describe(self, made: Made) -> dict[str, Any]:
        return dict(self.aws("sagemaker").describe_endpoint(EndpointName=made.attributes["EndpointName"]))

    def _wait(self, made: Made, config: str) -> None:
        """Wait for the end of a change, which how long a container may take to start limits.

        Raises:
            RuntimeError: the endpoint does not serve the configuration in the end.
        """
        while (found := self._describe(made))["EndpointStatus"] not in ("InService", "Failed", "UpdateRollbackFailed"):
            time.sleep(_PAUSE_S)
        if found["EndpointStatus"] != "InService" or found["EndpointConfigName"] != config:
            raise RuntimeError(found.get("FailureReason") or f"the endpoint is {found['EndpointStatus']}.")


class ModelPackageGroup(_SageMakerType):
    """A model package group, with its policy."""

    type, noun, name_property = "AWS::SageMaker::ModelPackageGroup", "ModelPackageGroup", "ModelPackageGroupName"
    attributes = ("CreationTime", "ModelPackageGroupArn", "ModelPackageGroupStatus")

    def keeps(self, before: Properties, after: Properties) -> bool:
        description = "ModelPackageGroupDescription"
        return bool(before.get(description) == after.get(description))

    def create(self, name: str, properties: Properties) -> Made:
        members = {one: value for one, value in properties.items() if one != "ModelPackageGroupPolicy"}
        made = super().create(name, members)
        found = self.aws("sagemaker").describe_model_package_group(ModelPackageGroupName=made.id)
        shown = {
            "CreationTime": found["CreationTime"].isoformat(),
            "ModelPackageGroupStatus": found["ModelPackageGroupStatus"],
        }
        made = Made(made.id, {**made.attributes, **shown})
        try:
            return self._with_policy(made, properties)
        except ClientError:
            self.delete(made, properties)
            raise

    def update(self, made: Made, properties: Properties) -> Made:
        wanted = {tag["Key"]: tag for tag in properties.get("Tags") or []}
        present = [tag["Key"] for tag in self.aws("sagemaker").list_tags(ResourceArn=made.id)["Tags"]]
        if surplus := [key for key in present if key not in wanted]:
            self.aws("sagemaker").delete_tags(ResourceArn=made.id, TagKeys=surplus)
        if wanted:
            self.aws("sagemaker").add_tags(ResourceArn=made.id, Tags=list(wanted.values()))
        return self._with_policy(made, properties)

    def _with_policy(self, made: Made, properties: Properties) -> Made:
        sagemaker, group = self.aws("sagemaker"), chosen(dict(made.attributes), "ModelPackageGroupName")
        if policy := properties.get("ModelPackageGroupPolicy"):
            sagemaker.put_model_package_group_policy(**group, ResourcePolicy=text(policy))
        else:
            with gone_is_fine("Cannot find resource policy"):
                sagemaker.delete_model_package_group_policy(**group)
        return made


class ModelPackage(_SageMakerType):
    """A model package: approving it changes it, other contents are another version."""

    type, noun = "AWS::SageMaker::ModelPackage", "ModelPackage"
    attributes = ("CreationTime", "ModelPackageArn", "ModelPackageStatus")

    _CHANGEABLE = ("ModelApprovalStatus", "ApprovalDescription", "CustomerMetadataProperties", "SourceUri", "ModelCard")

    def keeps(self, before: Properties, after: Properties) -> bool:
        def lasting(properties: Properties) -> Properties:
            return {name: value for name, value in properties.items() if name not in self._CHANGEABLE}

        return lasting(before) == lasting(after)

    def create(self, name: str, properties: Properties) -> Made:
        members = {one: value for one, value in properties.items() if one != "ApprovalDescription"}
        arn = self.aws("sagemaker").create_model_package(**self.request("Create", members))["ModelPackageArn"]
        if "ApprovalDescription" in properties:
            described = chosen(properties, "ModelApprovalStatus", "ApprovalDescription")
            self.aws("sagemaker").update_model_package(ModelPackageArn=arn, **described)
        found = self.aws("sagemaker").describe_model_package(ModelPackageName=arn)
        created, status = found["CreationTime"].isoformat(), found["ModelPackageStatus"]
        return Made(arn, {"ModelPackageArn": arn, "CreationTime": created, "ModelPackageStatus": status})

    def update(self, made: Made, properties: Properties) -> Made:
        members = chosen(properties, *self._CHANGEABLE) | {"ModelPackageArn": made.id}
        present = self.aws("sagemaker").describe_model_package(ModelPackageName=made.id)
        wanted = properties.get("CustomerMetadataProperties") or {}
        if surplus := [key for key in present.get("CustomerMetadataProperties", {}) if key not in wanted]:
            members["CustomerMetadataPropertiesToRemove"] = surplus
        self.aws("sagemaker").update_model_package(**self.request("Update", members))
        return made

    def delete(self, made: Made, properties: Properties) -> None:
        with gone_is_fine(*_GONE):
            self.aws("sagemaker").delete_model_package(ModelPackageName=made.id)


def _snake(noun: str) -> str:
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in noun).lstrip("_")


def _typed(shape: Shape | None, value: Any) -> Any:
    """A value of a template with the types that a shape of the API has; what does not fit stays, to be refused."""
    if shape is None:
        return value
    if shape.type_name == "structure" and isinstance(value, dict):
        return {name: _typed(shape.members.get(name), one) for name, one in value.items()}
    if shape.type_name == "map" and isinstance(value, dict):
        return {name: _typed(shape.value, one) for name, one in value.items()}
    if shape.type_name == "list" and isinstance(value, list):
        return [_typed(shape.member, one) for one in value]
    return _scalar(shape.type_name, value)


def _scalar(kind: str, value: Any) -> Any:
    if kind == "string" and isinstance(value, (bool, int, float)):
        return str(value).lower() if isinstance(value, bool) else str(value)
    if not isinstance(value, str):
        return value
    if kind == "boolean":
        return {"true": True, "false": False}.get(value.lower(), value)
    try:
        return {"integer": int, "long": int, "float": float, "double": float}.get(kind, str)(value)
    except ValueError:
        return value


TYPES = (Model, EndpointConfig, Endpoint, ModelPackageGroup, ModelPackage)
