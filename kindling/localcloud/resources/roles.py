"""Roles, and the policies within them."""

# ruff: noqa: ARG002  a resource type's methods have one signature, whatever each of them needs

from __future__ import annotations

from kindling.localcloud.resources.base import Made, Properties, ResourceType, chosen, gone_is_fine, tag_map, text

_LONGEST_NAME = 64
_SESSION_S = 3600


class Role(ResourceType):
    """A role, the policies within it that it names, and the managed ones that it attaches.

    A role may have more of both, by AWS::IAM::Policy and AWS::IAM::ManagedPolicy; so what is its own is noted.
    """

    type = "AWS::IAM::Role"
    name_property = "RoleName"
    attributes = ("Arn", "RoleId")

    def keeps(self, before: Properties, after: Properties) -> bool:
        return bool(before.get("Path") == after.get("Path"))

    def create(self, name: str, properties: Properties) -> Made:
        role = self.aws("iam").create_role(
            RoleName=properties.get("RoleName") or name[-_LONGEST_NAME:].lstrip("-"),
            AssumeRolePolicyDocument=text(properties["AssumeRolePolicyDocument"]),
            **chosen(properties, "Path", "Description"),
        )["Role"]
        made = Made(role["RoleName"], {"Arn": role["Arn"], "RoleId": role["RoleId"]})
        try:
            return self._with_settings(made, properties)
        except Exception:
            self.delete(_noting(made, properties), properties)
            raise

    def update(self, made: Made, properties: Properties) -> Made:
        iam, role = self.aws("iam"), {"RoleName": made.id}
        document = properties["AssumeRolePolicyDocument"]
        if iam.get_role(**role)["Role"]["AssumeRolePolicyDocument"] != document:
            iam.update_assume_role_policy(**role, PolicyDocument=text(document))
        return self._with_settings(made, properties)

    def delete(self, made: Made, properties: Properties) -> None:
        with gone_is_fine():
            self._with_policies(made, {})
            self.aws("iam").delete_role(RoleName=made.id)

    def _with_settings(self, made: Made, properties: Properties) -> Made:
        iam, role = self.aws("iam"), {"RoleName": made.id}
        iam.update_role(
            **role,
            Description=properties.get("Description") or "",
            MaxSessionDuration=int(properties.get("MaxSessionDuration") or _SESSION_S),
        )
        if boundary := properties.get("PermissionsBoundary"):
            iam.put_role_permissions_boundary(**role, PermissionsBoundary=boundary)
        elif iam.get_role(**role)["Role"].get("PermissionsBoundary"):
            iam.delete_role_permissions_boundary(**role)
        tags = tag_map(properties)
        if surplus := [tag["Key"] for tag in iam.list_role_tags(**role)["Tags"] if tag["Key"] not in tags]:
            iam.untag_role(**role, TagKeys=surplus)
        iam.tag_role(**role, Tags=[{"Key": key, "Value": value} for key, value in tags.items()])
        return self._with_policies(made, properties)

    def _with_policies(self, made: Made, properties: Properties) -> Made:
        iam, role = self.aws("iam"), {"RoleName": made.id}
        within = {one["PolicyName"]: text(one["PolicyDocument"]) for one in properties.get("Policies") or []}
        attached = properties.get("ManagedPolicyArns") or []
        for name in _noted(made, "within"):
            if name not in within:
                with gone_is_fine():
                    iam.delete_role_policy(**role, PolicyName=name)
        for arn in _noted(made, "attached"):
            if arn not in attached:
                with gone_is_fine():
                    iam.detach_role_policy(**role, PolicyArn=arn)
        for name, document in within.items():
            iam.put_role_policy(**role, PolicyName=name, PolicyDocument=document)
        for arn in attached:
            iam.attach_role_policy(**role, PolicyArn=arn)
        return _noting(made, properties)


class Policy(ResourceType):
    """A policy within one or more roles."""

    type = "AWS::IAM::Policy"
    name_property = "PolicyName"

    def create(self, name: str, properties: Properties) -> Made:
        return self.update(Made(name), properties)

    def update(self, made: Made, properties: Properties) -> Made:
        for member in ("Users", "Groups"):
            if properties.get(member):
                raise ValueError(f"{member} is not implemented by the embedded cloud; use Roles.")
        document, roles = text(properties["PolicyDocument"]), properties.get("Roles") or []
        self._remove(made, [role for role in _noted(made, "roles") if role not in roles])
        for role in roles:
            self.aws("iam").put_role_policy(RoleName=role, PolicyName=made.id, PolicyDocument=document)
        return Made(made.id, {"roles": "\n".join(roles)})

    def delete(self, made: Made, properties: Properties) -> None:
        self._remove(made, _noted(made, "roles"))

    def _remove(self, made: Made, roles: list[str]) -> None:
        for role in roles:
            with gone_is_fine():
                self.aws("iam").delete_role_policy(RoleName=role, PolicyName=made.id)


def _noting(made: Made, properties: Properties) -> Made:
    """A role with the names of its own policies noted."""
    within = "\n".join(one["PolicyName"] for one in properties.get("Policies") or [])
    attached = "\n".join(properties.get("ManagedPolicyArns") or [])
    return Made(made.id, {**made.attributes, "within": within, "attached": attached})


def _noted(made: Made, what: str) -> list[str]:
    """What was noted with a resource as its own, a line each."""
    return made.attributes.get(what, "").splitlines()


TYPES = (Role, Policy)
