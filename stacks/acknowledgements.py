"""Reasoned exceptions from the cdk-nag rules."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import aws_cdk as cdk
from aws_cdk import aws_s3 as s3
from constructs import IConstruct

# Rules of NIST 800-53 about every resource of a kind, which the app answers in one way.
OF_EVERY_STACK: Final[Mapping[str, str]] = {
    "NIST.800.53.R5-IAMNoInlinePolicy": (
        "A role's policy is its own: no other role can be given it, and it goes when the role goes (docs/iam.md)."
    ),
    "NIST.800.53.R5-LambdaInsideVPC": (
        "Functions call AWS's APIs and nothing else; in a VPC they would need an endpoint for each, and reach more."
    ),
    "NIST.800.53.R5-LambdaConcurrency": (
        "How an account's concurrency is shared out is its owner's to say; a limit here would fail executions."
    ),
    "NIST.800.53.R5-LambdaDLQ": (
        "A state machine waits for its functions and tells of each failure; a schedule's function has an alarm."
    ),
}


def acknowledge(resource: IConstruct, findings: Mapping[str, str]) -> None:
    """Accept cdk-nag findings on one resource (and what is below it), each with its reason.

    Args:
        resource: the construct as near to the finding as can be had.
        findings: reason by finding: `AwsSolutions-S1`, or `AwsSolutions-IAM5[Resource::*]` where a rule has several.
    """
    for finding, reason in findings.items():
        # Not through Validations.acknowledge(): it rewrites the findings' names.
        resource.node.add_metadata(cdk.Validations.ACKNOWLEDGED_RULES_METADATA_KEY, {finding: reason})


def wildcard(scope: IConstruct, arn: str) -> str:
    """The finding of a policy in the scope's stack that names `arn`, which holds a wildcard."""
    return f"AwsSolutions-IAM5[Resource::{_flat(cdk.Stack.of(scope).resolve(arn))}]"


def objects_wildcard(bucket: s3.IBucket, pattern: str) -> str:
    """The finding of a policy that names the objects `pattern` of another stack's bucket."""
    owner = cdk.Stack.of(bucket)
    # The export that a policy in another stack imports: asked for here, because its name is part of the finding's.
    export = owner.resolve(owner.export_value(bucket.bucket_arn))["Fn::ImportValue"]
    return f"AwsSolutions-IAM5[Resource::{export}/{pattern}]"


def _flat(value: Any) -> str:
    """A CloudFormation value as cdk-nag writes it: <AWS::Region>, <Function.Arn>."""
    if isinstance(value, str):
        return value
    ((function, argument),) = value.items()
    if function == "Fn::Join":
        return str(argument[0]).join(_flat(part) for part in argument[1])
    return f"<{argument if function == 'Ref' else '.'.join(argument)}>"
