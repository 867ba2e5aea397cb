"""Every policy document of synthesised templates, with CloudFormation's functions replaced by well-formed values."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

Template = Mapping[str, Any]
# A resource's name, from its stack's name, its logical id and the resource.
Naming = Callable[[str, str, Mapping[str, Any]], str]

ACCOUNT: Final = "123456789012"
REGION: Final = "eu-west-1"
_PSEUDO = {
    "AWS::Partition": "aws",
    "AWS::Region": REGION,
    "AWS::AccountId": ACCOUNT,
    "AWS::URLSuffix": "amazonaws.com",
}
_HERE = f"{REGION}:{ACCOUNT}"
_ARNS = {
    "AWS::CloudWatch::Alarm": f"arn:aws:cloudwatch:{_HERE}:alarm:{{}}",
    "AWS::DynamoDB::Table": f"arn:aws:dynamodb:{_HERE}:table/{{}}",
    "AWS::ECR::Repository": f"arn:aws:ecr:{_HERE}:repository/{{}}",
    "AWS::Events::Rule": f"arn:aws:events:{_HERE}:rule/{{}}",
    "AWS::IAM::Role": f"arn:aws:iam::{ACCOUNT}:role/{{}}",
    "AWS::KMS::Key": f"arn:aws:kms:{_HERE}:key/{{}}",
    "AWS::Lambda::Function": f"arn:aws:lambda:{_HERE}:function:{{}}",
    "AWS::Logs::LogGroup": f"arn:aws:logs:{_HERE}:log-group:{{}}:*",
    "AWS::S3::Bucket": "arn:aws:s3:::{}",
    "AWS::SNS::Topic": f"arn:aws:sns:{_HERE}:{{}}",
    "AWS::SQS::Queue": f"arn:aws:sqs:{_HERE}:{{}}",
    "AWS::SageMaker::ModelPackageGroup": f"arn:aws:sagemaker:{_HERE}:model-package-group/{{}}",
    "AWS::StepFunctions::StateMachine": f"arn:aws:states:{_HERE}:stateMachine:{{}}",
}
_ABOUT_ITSELF = {"AssumeRolePolicyDocument", "KeyPolicy", "RepositoryPolicyText"}
_REFERRED_TO_BY_ARN = {"AWS::SNS::Topic", "AWS::StepFunctions::StateMachine"}


class UnknownValueError(ValueError):
    """A policy document has something of CloudFormation's that is not resolved here."""


@dataclass(frozen=True)
class Policy:
    """A policy document and where it stands: the resource's path in the construct tree, the property's, its type."""

    resource: str
    property: str
    document: dict[str, Any]
    type: str = ""


@dataclass(frozen=True)
class Role:
    """A role: its ARN, who may assume it, and the statements of all its policies."""

    path: str
    arn: str
    trust: dict[str, Any]
    statements: tuple[dict[str, Any], ...]

    @property
    def owner(self) -> str:
        """The construct whose role it is: `Plan` of KindlingTraining/Functions/Plan/Role."""
        return self.path.split("/")[-2]


def lower_case(_stack: str, logical_id: str, _resource: Mapping[str, Any]) -> str:
    """Names that are valid wherever CloudFormation makes names."""
    return logical_id.lower()


@dataclass(frozen=True)
class Documents:
    """The policy documents of all templates of an app, by stack name."""

    templates: Mapping[str, Template]
    naming: Naming = field(default=lower_case)

    def policies(self) -> Iterator[Policy]:
        """The documents of roles, of managed policies and of the resources that carry one."""
        for stack, logical_id, resource in self._resources():
            resolver = self.resolver(stack)
            for where, written in _documents(resource.get("Properties", {})):
                document = resolver.resolve(written)
                if where in _ABOUT_ITSELF:
                    _name_itself(document, resolver.arn(logical_id))
                yield Policy(path_of(logical_id, resource), where, document, resource["Type"])

    def roles(self) -> list[Role]:
        """Every role with its statements, those of policies that are resources of their own included.

        Raises:
            ValueError: a role has a policy whose statements are not in the templates.
        """
        return [
            Role(
                path_of(logical_id, resource).removesuffix("/Resource"),
                self.resolver(stack).arn(logical_id),
                self.resolver(stack).resolve(resource["Properties"]["AssumeRolePolicyDocument"]),
                tuple(self._statements(stack, logical_id, resource)),
            )
            for stack, logical_id, resource in self._resources()
            if resource["Type"] == "AWS::IAM::Role"
        ]

    def arns(self) -> dict[str, str]:
        """The ARN of each resource that policies name, by its path in the construct tree."""
        return {
            path_of(logical_id, resource).removesuffix("/Resource"): self.resolver(stack).arn(logical_id)
            for stack, logical_id, resource in self._resources()
            if resource["Type"] in _ARNS
        }

    def resolver(self, stack: str) -> Resolver:
        """What resolves the values of one template."""
        return Resolver(self, stack)

    def _resources(self) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
        for stack, template in self.templates.items():
            for logical_id, resource in template["Resources"].items():
                yield stack, logical_id, resource

    def _statements(self, stack: str, role_id: str, role: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        if "ManagedPolicyArns" in role["Properties"]:
            raise ValueError(f"{path_of(role_id, role)} has managed policies, whose statements are in no template")
        documents = [policy["PolicyDocument"] for policy in role["Properties"].get("Policies", [])]
        for other_stack, _, resource in self._resources():
            properties = resource.get("Properties", {})
            if other_stack == stack and {"Ref": role_id} in properties.get("Roles", []):
                documents.append(properties["PolicyDocument"])
        for document in documents:
            yield from self.resolver(stack).resolve(document)["Statement"]


class Resolver:
    """CloudFormation's functions, as far as policies use them.

    Raises:
        UnknownValueError: one that is not known is no reason to guess.
    """

    def __init__(self, documents: Documents, stack: str) -> None:
        self._documents, self._stack = documents, stack
        self._template = documents.templates[stack]

    def arn(self, logical_id: str) -> str:
        """A resource's ARN."""
        kind = self._template["Resources"][logical_id]["Type"]
        if kind not in _ARNS:
            raise UnknownValueError(
                f"a policy in {self._stack} names {logical_id}; the ARNs of {kind} are not known here"
            )
        return _ARNS[kind].format(self._name(logical_id))

    def resolve(self, value: Any) -> Any:
        """A value of the template without functions."""
        if isinstance(value, list):
            return [self.resolve(inner) for inner in value]
        if not isinstance(value, dict):
            # A number in a condition means the same as its text, and parliament reads only text.
            return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value
        if len(value) == 1:
            ((function, argument),) = value.items()
            if function == "Ref":
                return self._ref(argument)
            if function.startswith("Fn::"):
                known = getattr(self, "_" + function.removeprefix("Fn::").lower(), None)
                if known is None:
                    raise UnknownValueError(f"a policy in {self._stack} has {function}, which is not resolved here")
                return known(argument)
        return {key: self.resolve(inner) for key, inner in value.items()}

    def _name(self, logical_id: str) -> str:
        return self._documents.naming(self._stack, logical_id, self._template["Resources"][logical_id])

    def _ref(self, name: str) -> str:
        if name in _PSEUDO:
            return _PSEUDO[name]
        by_arn = self._template["Resources"][name]["Type"] in _REFERRED_TO_BY_ARN
        return self.arn(name) if by_arn else self._name(name)

    def _getatt(self, argument: list[str]) -> str:
        name, attribute = argument
        if attribute in ("Name", "GroupId"):
            return self._name(name)
        if attribute != "Arn":
            raise UnknownValueError(f"a policy in {self._stack} has {name}.{attribute}, which is not resolved here")
        return self.arn(name)

    def _join(self, argument: list[Any]) -> str:
        separator, parts = argument
        return str(separator).join(self.resolve(parts))

    def _sub(self, text: str) -> str:
        return re.sub(r"\$\{([\w:]+)\}", lambda match: self._ref(match[1]), text)

    def _split(self, argument: list[Any]) -> list[str]:
        return str(self.resolve(argument[1])).split(argument[0])

    def _select(self, argument: list[Any]) -> str:
        return str(self.resolve(argument[1])[int(argument[0])])

    def _importvalue(self, name: str) -> Any:
        for stack, template in self._documents.templates.items():
            for output in template.get("Outputs", {}).values():
                if output.get("Export", {}).get("Name") == name:
                    return self._documents.resolver(stack).resolve(output["Value"])
        raise KeyError(name)


def path_of(logical_id: str, resource: Mapping[str, Any]) -> str:
    """Where a resource stands in the construct tree."""
    return str(resource.get("Metadata", {}).get("aws:cdk:path", logical_id))


def _name_itself(document: dict[str, Any], arn: str) -> None:
    """Say of a policy that can only be about the resource which carries it that it is."""
    for statement in document["Statement"]:
        if statement.get("Resource", "*") == "*":
            statement["Resource"] = arn


def _documents(value: Any, path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    if isinstance(value, dict):
        if "Statement" in value:
            yield path, value
            return
        for key, inner in value.items():
            yield from _documents(inner, f"{path}.{key}".lstrip("."))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _documents(inner, f"{path}[{index}]")
