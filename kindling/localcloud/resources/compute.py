"""Functions, their layers, versions, aliases and permissions, and state machines."""

# ruff: noqa: ARG002  a resource type's methods have one signature, whatever each of them needs

from __future__ import annotations

import io
import zipfile
from typing import Any

from kindling.localcloud.resources.base import (
    Made,
    Properties,
    ResourceType,
    chosen,
    gone_is_fine,
    lower_first,
    tag_map,
    text,
)

_CONFIGURATION = (
    "Role",
    "Handler",
    "Runtime",
    "Description",
    "Timeout",
    "MemorySize",
    "Environment",
    "Layers",
    "TracingConfig",
    "LoggingConfig",
    "KmsKeyArn",
    "VpcConfig",
    "EphemeralStorage",
)


class Function(ResourceType):
    """A Lambda function with all of its configuration, of which moto takes a part."""

    type = "AWS::Lambda::Function"
    name_property = "FunctionName"
    attributes = ("Arn",)

    def create(self, name: str, properties: Properties) -> Made:
        options = _configuration(properties) | chosen(properties, "Architectures", "PackageType")
        function = self.aws("lambda").create_function(
            FunctionName=name, Code=_code(properties["Code"]), Tags=tag_map(properties), **options
        )
        if "ReservedConcurrentExecutions" in properties:
            self.aws("lambda").put_function_concurrency(
                FunctionName=name, ReservedConcurrentExecutions=int(properties["ReservedConcurrentExecutions"])
            )
        return Made(name, {"Arn": function["FunctionArn"]})

    def update(self, made: Made, properties: Properties) -> Made:
        unset: dict[str, Any] = {"Description": "", "Environment": {"Variables": {}}, "Layers": []}
        self.aws("lambda").update_function_code(FunctionName=made.id, **_code(properties["Code"]))
        self.aws("lambda").update_function_configuration(
            FunctionName=made.id, **{**unset, "Timeout": 3, "MemorySize": 128, **_configuration(properties)}
        )
        return made

    def delete(self, made: Made, properties: Properties) -> None:
        with gone_is_fine():
            self.aws("lambda").delete_function(FunctionName=made.id)


def _configuration(properties: Properties) -> dict[str, Any]:
    options = chosen(properties, *_CONFIGURATION)
    if "KmsKeyArn" in options:
        options["KMSKeyArn"] = options.pop("KmsKeyArn")
    for number in ("Timeout", "MemorySize"):
        if number in options:
            options[number] = int(options[number])
    return options


def _code(code: dict[str, Any]) -> dict[str, Any]:
    if "ZipFile" not in code:
        return chosen(code, "S3Bucket", "S3Key", "S3ObjectVersion", "ImageUri")
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as packed:
        packed.writestr("index.py", code["ZipFile"])
    return {"ZipFile": archive.getvalue()}


class LayerVersion(ResourceType):
    """A version of a layer; a change publishes the next one."""

    type = "AWS::Lambda::LayerVersion"
    name_property = "LayerName"
    attributes = ("LayerVersionArn",)
    in_place = False

    def create(self, name: str, properties: Properties) -> Made:
        options = chosen(properties, "Description", "CompatibleRuntimes", "LicenseInfo")
        content = chosen(properties["Content"], "S3Bucket", "S3Key", "S3ObjectVersion")
        version = self.aws("lambda").publish_layer_version(LayerName=name, Content=content, **options)
        return Made(version["LayerVersionArn"], {"LayerVersionArn": version["LayerVersionArn"]})

    def delete(self, made: Made, properties: Properties) -> None:
        layer, _, version = made.id.rpartition(":")
        with gone_is_fine():
            self.aws("lambda").delete_layer_version(LayerName=layer, VersionNumber=int(version))


class Permission(ResourceType):
    """Who may invoke a function."""

    type = "AWS::Lambda::Permission"
    in_place = False

    def create(self, name: str, properties: Properties) -> Made:
        statement = name[-100:]
        options = chosen(properties, "SourceArn", "SourceAccount", "PrincipalOrgID", "EventSourceToken")
        self.aws("lambda").add_permission(
            StatementId=statement, **chosen(properties, "FunctionName", "Action", "Principal"), **options
        )
        return Made(statement)

    def delete(self, made: Made, properties: Properties) -> None:
        with gone_is_fine():
            self.aws("lambda").remove_permission(FunctionName=properties["FunctionName"], StatementId=made.id)


class Version(ResourceType):
    """A published version of a function; it stays until the function goes."""

    type = "AWS::Lambda::Version"
    attributes = ("FunctionArn", "Version")
    in_place = False

    def create(self, name: str, properties: Properties) -> Made:
        version = self.aws("lambda").publish_version(**chosen(properties, "FunctionName", "Description"))
        arn = version["FunctionArn"]
        return Made(arn, {"FunctionArn": arn, "Version": version["Version"]})

    def delete(self, made: Made, properties: Properties) -> None:
        """The function's deletion removes its versions."""


class Alias(ResourceType):
    """A name for a version of a function."""

    type = "AWS::Lambda::Alias"
    attributes = ("AliasArn",)

    def create(self, name: str, properties: Properties) -> Made:
        arn = self.aws("lambda").create_alias(**_alias(properties))["AliasArn"]
        return Made(arn, {"AliasArn": arn})

    def update(self, made: Made, properties: Properties) -> Made:
        self.aws("lambda").update_alias(**_alias(properties))
        return made

    def delete(self, made: Made, properties: Properties) -> None:
        with gone_is_fine():
            self.aws("lambda").delete_alias(**chosen(properties, "FunctionName", "Name"))


def _alias(properties: Properties) -> dict[str, Any]:
    return chosen(properties, "FunctionName", "FunctionVersion", "Name", "Description")


class StateMachine(ResourceType):
    """A state machine with its logging and tracing, which moto leaves out."""

    type = "AWS::StepFunctions::StateMachine"
    name_property = "StateMachineName"
    attributes = ("Arn", "Name")

    def create(self, name: str, properties: Properties) -> Made:
        tags = [{"key": key, "value": value} for key, value in tag_map(properties).items()]
        kind = properties.get("StateMachineType", "STANDARD")
        arn = self.aws("stepfunctions").create_state_machine(name=name, type=kind, tags=tags, **_machine(properties))[
            "stateMachineArn"
        ]
        return Made(arn, {"Arn": arn, "Name": name})

    def update(self, made: Made, properties: Properties) -> Made:
        self.aws("stepfunctions").update_state_machine(stateMachineArn=made.id, **_machine(properties))
        return made

    def delete(self, made: Made, properties: Properties) -> None:
        with gone_is_fine():
            self.aws("stepfunctions").delete_state_machine(stateMachineArn=made.id)


def _machine(properties: Properties) -> dict[str, Any]:
    definition = text(properties.get("DefinitionString") or properties["Definition"])
    for name, value in (properties.get("DefinitionSubstitutions") or {}).items():
        definition = definition.replace(f"${{{name}}}", str(value))
    logging = lower_first(properties.get("LoggingConfiguration") or {"Level": "OFF"})
    return {
        "definition": definition,
        "roleArn": properties["RoleArn"],
        "loggingConfiguration": logging,
        "tracingConfiguration": lower_first(properties.get("TracingConfiguration") or {"Enabled": False}),
    }


TYPES = (Function, LayerVersion, Permission, Version, Alias, StateMachine)
