"""SimulatePrincipalPolicy tells what a role's own policies allow."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

TRUST = json.dumps({"Version": "2012-10-17", "Statement": []})
AWS_POLICY = "arn:aws:iam::aws:policy/"


@pytest.fixture
def role(aws: Callable[[str], Any], request: pytest.FixtureRequest) -> str:
    """The name of a new role without policies."""
    name = f"simulated-{abs(hash(request.node.name)) % 10**8}"
    aws("iam").create_role(RoleName=name, AssumeRolePolicyDocument=TRUST)
    return name


def decisions(aws: Callable[[str], Any], role: str, *actions: str, **more: Any) -> list[str]:
    arn = f"arn:aws:iam::123456789012:role/{role}"
    answer = aws("iam").simulate_principal_policy(PolicySourceArn=arn, ActionNames=list(actions), **more)
    return [result["EvalDecision"] for result in answer["EvaluationResults"]]


def allow(aws: Callable[[str], Any], role: str, name: str, *statements: dict[str, Any]) -> None:
    document = json.dumps({"Version": "2012-10-17", "Statement": list(statements)})
    aws("iam").put_role_policy(RoleName=role, PolicyName=name, PolicyDocument=document)


def test_what_no_policy_allows_is_denied(aws: Callable[[str], Any], role: str) -> None:
    assert decisions(aws, role, "s3:GetObject", "ecr:GetAuthorizationToken") == ["implicitDeny", "implicitDeny"]


def test_inline_and_managed_policies_allow_by_pattern(aws: Callable[[str], Any], role: str) -> None:
    allow(aws, role, "one", {"Effect": "Allow", "Action": "s3:get*", "Resource": "arn:aws:s3:::mine/?.txt"})
    aws("iam").attach_role_policy(RoleName=role, PolicyArn=f"{AWS_POLICY}AmazonEC2ContainerRegistryReadOnly")
    resources = ["arn:aws:s3:::mine/a.txt", "arn:aws:s3:::mine/ab.txt", "arn:aws:s3:::other/a.txt"]
    assert decisions(aws, role, "s3:GetObject", ResourceArns=resources) == ["allowed", "implicitDeny", "implicitDeny"]
    assert decisions(aws, role, "s3:GetObject") == ["implicitDeny"], "no resource stands for every one"
    assert decisions(aws, role, "ecr:GetAuthorizationToken", "ecr:PutImage") == ["allowed", "implicitDeny"]


def test_an_explicit_deny_wins(aws: Callable[[str], Any], role: str) -> None:
    allow(aws, role, "all", {"Effect": "Allow", "Action": ["*"], "Resource": ["*"]})
    allow(aws, role, "not", {"Effect": "Deny", "NotAction": ["s3:*", "logs:*"], "Resource": "*"})
    assert decisions(aws, role, "s3:PutObject", "iam:PassRole") == ["allowed", "explicitDeny"]


def test_a_condition_does_not_hold_without_a_context_and_its_key_is_named(aws: Callable[[str], Any], role: str) -> None:
    condition = {"StringEquals": {"iam:PassedToService": "sagemaker.amazonaws.com"}}
    allow(aws, role, "pass", {"Effect": "Allow", "Action": "iam:PassRole", "Resource": "*", "Condition": condition})
    arn = f"arn:aws:iam::123456789012:role/{role}"
    answer = aws("iam").simulate_principal_policy(PolicySourceArn=arn, ActionNames=["iam:PassRole"])
    assert answer["EvaluationResults"][0]["EvalDecision"] == "implicitDeny"
    assert answer["EvaluationResults"][0]["MissingContextValues"] == ["iam:PassedToService"]


def test_a_condition_is_held_against_the_context_that_is_given(aws: Callable[[str], Any], role: str) -> None:
    condition = {"StringLike": {"cloudwatch:namespace": ["/aws/sagemaker/*", "AWS/SageMaker"]}}
    statement = {"Effect": "Allow", "Action": "cloudwatch:PutMetricData", "Resource": "*", "Condition": condition}
    allow(aws, role, "metrics", statement)
    for namespace, decision in (("/aws/sagemaker/Endpoints", "allowed"), ("AWS/EC2", "implicitDeny")):
        entry = {"ContextKeyName": "CloudWatch:Namespace", "ContextKeyValues": [namespace], "ContextKeyType": "string"}
        assert decisions(aws, role, "cloudwatch:PutMetricData", ContextEntries=[entry]) == [decision]


def test_a_permissions_boundary_limits_a_role_and_gives_it_nothing(aws: Callable[[str], Any], role: str) -> None:
    boundary = {"Effect": "Allow", "Action": ["s3:*", "logs:*"], "Resource": "*"}
    document = json.dumps({"Version": "2012-10-17", "Statement": boundary})
    policy = aws("iam").create_policy(PolicyName=f"{role}-boundary", PolicyDocument=document)["Policy"]
    aws("iam").put_role_permissions_boundary(RoleName=role, PermissionsBoundary=policy["Arn"])
    allow(aws, role, "all", {"Effect": "Allow", "Action": ["s3:*", "iam:*"], "Resource": "*"})
    asked = ("s3:GetObject", "iam:CreateRole", "logs:PutLogEvents")
    assert decisions(aws, role, *asked) == ["allowed", "implicitDeny", "implicitDeny"]


def test_a_condition_that_cannot_be_evaluated_is_refused_by_name(aws: Callable[[str], Any], role: str) -> None:
    condition = {"IpAddress": {"aws:SourceIp": "203.0.113.0/24"}}
    allow(aws, role, "from", {"Effect": "Allow", "Action": "s3:*", "Resource": "*", "Condition": condition})
    with pytest.raises(ClientError, match="condition operator IpAddress is not implemented by the embedded cloud"):
        decisions(aws, role, "s3:GetObject")


def test_what_is_not_simulated_is_refused_by_name(aws: Callable[[str], Any], role: str) -> None:
    for source, more, words in (
        ("arn:aws:iam::123456789012:user/me", {}, "PolicySourceArn=arn:aws:iam::123456789012:user/me is not"),
        (f"arn:aws:iam::123456789012:role/{role}", {"PolicyInputList": [TRUST]}, "PolicyInputList is not"),
    ):
        with pytest.raises(ClientError, match=f"{words} implemented by the embedded cloud"):
            aws("iam").simulate_principal_policy(PolicySourceArn=source, ActionNames=["s3:GetObject"], **more)
    with pytest.raises(ClientError, match="NoSuchEntity"):
        decisions(aws, "nobody", "s3:GetObject")
