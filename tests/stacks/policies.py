"""Every policy document in the templates, and what parliament says of it.

CloudFormation's functions are replaced by made-up but well-formed values.
"""

from __future__ import annotations

import json
import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tests.stacks.synthesis import Assembly, Template

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # parliament leaves files open and uses pkg_resources
    from parliament import analyze_policy_string

_PSEUDO = {
    "AWS::Partition": "aws",
    "AWS::Region": "eu-west-1",
    "AWS::AccountId": "123456789012",
    "AWS::URLSuffix": "amazonaws.com",
}
_HERE = "eu-west-1:123456789012"
_ARNS = {
    "AWS::ECR::Repository": f"arn:aws:ecr:{_HERE}:repository/{{}}",
    "AWS::IAM::Role": "arn:aws:iam::123456789012:role/{}",
    "AWS::KMS::Key": f"arn:aws:kms:{_HERE}:key/{{}}",
    "AWS::Lambda::Function": f"arn:aws:lambda:{_HERE}:function:{{}}",
    "AWS::Logs::LogGroup": f"arn:aws:logs:{_HERE}:log-group:{{}}:*",
    "AWS::S3::Bucket": "arn:aws:s3:::{}",
    "AWS::SNS::Topic": f"arn:aws:sns:{_HERE}:{{}}",
    "AWS::StepFunctions::StateMachine": f"arn:aws:states:{_HERE}:stateMachine:{{}}",
}
_ABOUT_ITSELF = {"AssumeRolePolicyDocument", "KeyPolicy", "RepositoryPolicyText"}
_REFERRED_TO_BY_ARN = {"AWS::SNS::Topic", "AWS::StepFunctions::StateMachine"}


@dataclass(frozen=True)
class Policy:
    """A policy document and where it stands: the resource's path in the construct tree and the property's."""

    resource: str
    property: str
    document: dict[str, Any]

    def findings(self) -> set[str]:
        """What parliament has to say: `ISSUE: detail`."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            analysed = analyze_policy_string(json.dumps(self.document), include_community_auditors=True)
        return {f"{finding.issue}: {finding.detail}" for finding in analysed.findings}


def policies(assembly: Assembly) -> Iterator[Policy]:
    """The documents of roles, of managed policies and of the resources that carry one."""
    for template in assembly.templates.values():
        for logical_id, resource in template["Resources"].items():
            path = resource.get("Metadata", {}).get("aws:cdk:path", logical_id)
            resolver = _Resolver(assembly, template)
            for where, written in _documents(resource.get("Properties", {})):
                document = resolver.resolve(written)
                if where in _ABOUT_ITSELF:
                    _name_itself(document, resolver.arn(logical_id))
                yield Policy(path, where, document)


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


class _Resolver:
    """CloudFormation's functions, as far as policies use them; an unknown one is an error, not a guess."""

    def __init__(self, assembly: Assembly, template: Template) -> None:
        self._assembly = assembly
        self._template = template

    def arn(self, logical_id: str) -> str:
        return _ARNS[self._template["Resources"][logical_id]["Type"]].format(logical_id.lower())

    def resolve(self, value: Any) -> Any:
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
                return getattr(self, "_" + function.removeprefix("Fn::").lower())(argument)
        return {key: self.resolve(inner) for key, inner in value.items()}

    def _ref(self, name: str) -> str:
        if name in _PSEUDO:
            return _PSEUDO[name]
        by_arn = self._template["Resources"][name]["Type"] in _REFERRED_TO_BY_ARN
        return self.arn(name) if by_arn else name.lower()

    def _getatt(self, argument: list[str]) -> str:
        name, attribute = argument
        if attribute == "Name":
            return name.lower()
        assert attribute == "Arn", argument
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
        for template in self._assembly.templates.values():
            for output in template.get("Outputs", {}).values():
                if output.get("Export", {}).get("Name") == name:
                    return _Resolver(self._assembly, template).resolve(output["Value"])
        raise KeyError(name)
