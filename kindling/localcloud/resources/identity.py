"""Managed policies, and parameters by name."""

# ruff: noqa: ARG002  a resource type's methods have one signature, whatever each of them needs

from __future__ import annotations

import json

from kindling.localcloud.resources.base import Made, Properties, ResourceType, chosen, gone_is_fine, tag_map, text


class ManagedPolicy(ResourceType):
    """A policy of its own, attached to the roles that it names."""

    type = "AWS::IAM::ManagedPolicy"
    name_property = "ManagedPolicyName"
    attributes = ("PolicyArn",)

    def create(self, name: str, properties: Properties) -> Made:
        options = chosen(properties, "Path", "Description")
        document = text(properties["PolicyDocument"])
        policy = self.aws("iam").create_policy(PolicyName=name, PolicyDocument=document, **options)["Policy"]
        for role in properties.get("Roles") or []:
            self.aws("iam").attach_role_policy(RoleName=role, PolicyArn=policy["Arn"])
        return Made(policy["Arn"], {"PolicyArn": policy["Arn"]})

    def update(self, made: Made, properties: Properties) -> Made:
        iam = self.aws("iam")
        for version in iam.list_policy_versions(PolicyArn=made.id)["Versions"]:
            if not version["IsDefaultVersion"]:
                iam.delete_policy_version(PolicyArn=made.id, VersionId=version["VersionId"])
        document = json.dumps(properties["PolicyDocument"])
        iam.create_policy_version(PolicyArn=made.id, PolicyDocument=document, SetAsDefault=True)
        for role in properties.get("Roles") or []:
            iam.attach_role_policy(RoleName=role, PolicyArn=made.id)
        return made

    def delete(self, made: Made, properties: Properties) -> None:
        with gone_is_fine():
            for role in self.aws("iam").list_entities_for_policy(PolicyArn=made.id)["PolicyRoles"]:
                self.aws("iam").detach_role_policy(RoleName=role["RoleName"], PolicyArn=made.id)
            self.aws("iam").delete_policy(PolicyArn=made.id)


class Parameter(ResourceType):
    """An SSM parameter, which may be left to get a name."""

    type = "AWS::SSM::Parameter"
    name_property = "Name"
    attributes = ("Type", "Value")

    def create(self, name: str, properties: Properties) -> Made:
        tags = [{"Key": key, "Value": value} for key, value in tag_map(properties).items()]
        options = chosen(properties, "Description", "AllowedPattern", "Tier", "DataType")
        value, kind = str(properties["Value"]), properties["Type"]
        self.aws("ssm").put_parameter(Name=name, Value=value, Type=kind, Tags=tags, **options)
        return Made(name, {"Type": kind, "Value": value})

    def update(self, made: Made, properties: Properties) -> Made:
        options = chosen(properties, "Description", "AllowedPattern", "Tier", "DataType")
        value, kind = str(properties["Value"]), properties["Type"]
        self.aws("ssm").put_parameter(Name=made.id, Value=value, Type=kind, Overwrite=True, **options)
        return Made(made.id, {"Type": kind, "Value": value})

    def delete(self, made: Made, properties: Properties) -> None:
        with gone_is_fine():
            self.aws("ssm").delete_parameter(Name=made.id)


TYPES = (ManagedPolicy, Parameter)
