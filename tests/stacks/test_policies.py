"""parliament over every policy document of the app."""

from __future__ import annotations

import re
from typing import Final

import pytest

from tests.stacks.policies import Policy, policies
from tests.stacks.synthesis import Assembly

# (pattern of the resource's path, pattern of the finding): the reason why it may stand.
ACKNOWLEDGED: Final[dict[tuple[str, str], str]] = {
    ("/Policy/Resource$", r"^(MISMATCHED_TYPE|UNKNOWN_CONDITION_FOR_ACTION): .*s3:TlsVersion"): (
        "1.2 is a number and the condition is meant for s3:*; parliament knows whole numbers and misses two actions."
    ),
    (
        "^Kindling(Storage/Buckets|Account/Alarms)/Key/Resource$",
        "^(PERMISSIONS_MANAGEMENT_ACTIONS|RESOURCE_MISMATCH): ",
    ): ("A key that its own account may not manage can never be managed again; kms:* is what the service writes, too."),
    ("/(Pipeline|Machine)/Role/Resource$", "^PERMISSIONS_MANAGEMENT_ACTIONS: "): (
        "A state machine gives its jobs and models their roles: iam:PassRole, on these alone and to SageMaker alone."
    ),
    ("/(Training|Preparation|Batch|Evaluation|Hosting|Rollback)/Role/Resource$", "^PERMISSIONS_MANAGEMENT_ACTIONS: "): (
        "kms:CreateGrant is how disks of jobs and endpoints get the key; a condition keeps it to AWS's own resources."
    ),
    ("/Guard/Role/Resource$", "^PERMISSIONS_MANAGEMENT_ACTIONS: "): (
        "The first endpoint that is scaled makes the service-linked role that scales it, and can make no other role."
    ),
    ("/(Batch|Evaluation|Hosting|Preparation|Rollback|Training)/Role/Resource$", "^PERMISSIONS_MANAGEMENT_ACTIONS: "): (
        "Grants of the buckets' key for AWS's own resources alone, by which SageMaker encrypts the disks of its hosts."
    ),
    ("/Machine/Role/Resource$", "^RESOURCE_MISMATCH: .*states:DescribeExecution"): (
        "The executions of standard state machines are followed; parliament asks for those of express ones, too."
    ),
    ("/(Pipeline|Machine)/Role/DefaultPolicy/Resource$", "^PERMISSIONS_MANAGEMENT_ACTIONS: "): (
        "Step Functions delivers logs only for a role that may write the log service's resource policy."
    ),
    (
        "^KindlingAccount/Boundary/",
        "^(RESOURCE_MISMATCH|RESOURCE_STAR|PERMISSIONS_MANAGEMENT_ACTIONS|CREDENTIALS_EXPOSURE): ",
    ): ("A boundary gives nothing: its actions are those of the roles, its patterns stand for several kinds of names."),
    ("Role", "^CREDENTIALS_EXPOSURE: "): (
        "Pulling an image takes a registry token; it opens no more than the role's own image permissions do."
    ),
}


@pytest.fixture(scope="module")
def findings(assembly: Assembly, account_assembly: Assembly) -> list[tuple[Policy, str]]:
    return [
        (policy, finding)
        for each in (assembly, account_assembly)
        for policy in policies(each)
        for finding in sorted(policy.findings())
    ]


def test_policies_have_no_finding_without_a_reason(findings: list[tuple[Policy, str]]) -> None:
    open_findings = [
        f"{policy.resource} {policy.property}: {finding}"
        for policy, finding in findings
        if not any(re.search(path, policy.resource) and re.search(text, finding) for path, text in ACKNOWLEDGED)
    ]
    assert not open_findings, "\n".join(open_findings)


def test_every_acknowledgement_is_still_needed(findings: list[tuple[Policy, str]]) -> None:
    unused = [
        (path, text)
        for path, text in ACKNOWLEDGED
        if not any(re.search(path, policy.resource) and re.search(text, finding) for policy, finding in findings)
    ]
    assert not unused


def test_a_policy_that_cannot_work_is_found() -> None:
    statement = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::bucket"}
    policy = Policy("Role", "Policies[0]", {"Version": "2012-10-17", "Statement": [statement]})
    assert any(finding.startswith("RESOURCE_MISMATCH") for finding in policy.findings())


def test_every_kind_of_policy_is_read(assembly: Assembly) -> None:
    kinds = {re.sub(r"\[\d+\]", "", policy.property) for policy in policies(assembly)}
    assert kinds >= {
        *("AssumeRolePolicyDocument", "Policies.PolicyDocument"),
        *("KeyPolicy", "PolicyDocument", "RepositoryPolicyText"),
    }
