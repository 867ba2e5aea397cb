"""Reasoned exceptions from the cdk-nag rules."""

from __future__ import annotations

from collections.abc import Mapping

import aws_cdk as cdk
from constructs import IConstruct


def acknowledge(resource: IConstruct, findings: Mapping[str, str]) -> None:
    """Accept cdk-nag findings on one resource (and what is below it), each with its reason.

    Args:
        resource: the construct as near to the finding as can be had.
        findings: reason by finding, as `AwsSolutions-IAM5[Resource::*]`, or `AwsSolutions-S1` where a rule has but one.
    """
    for finding, reason in findings.items():
        # Not through Validations.acknowledge(): it rewrites the findings' names.
        resource.node.add_metadata(cdk.Validations.ACKNOWLEDGED_RULES_METADATA_KEY, {finding: reason})
