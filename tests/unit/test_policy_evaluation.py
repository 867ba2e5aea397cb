"""IAM's evaluation of policy documents."""

from __future__ import annotations

from typing import Any

import pytest

from kindling.localcloud.policy_evaluation import Request, UnknownOperatorError, decide

BUCKET = "arn:aws:s3:::data"


def document(*statements: dict[str, Any]) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": list(statements)}


def allow(action: str | list[str], resource: str | list[str] = "*", **more: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": action, "Resource": resource, **more}


@pytest.mark.parametrize(
    ("condition", "context", "decision"),
    [
        ({"StringEquals": {"aws:a": "x"}}, {"aws:a": ["x"]}, "allowed"),
        ({"StringEquals": {"aws:a": "x"}}, {"aws:a": ["X"]}, "implicitDeny"),
        ({"StringEquals": {"aws:a": "x"}}, {}, "implicitDeny"),
        ({"StringEquals": {"aws:a": ["x", "y"]}}, {"AWS:A": ["y"]}, "allowed"),
        ({"StringEqualsIgnoreCase": {"aws:a": "x"}}, {"aws:a": ["X"]}, "allowed"),
        ({"StringEqualsIfExists": {"aws:a": "x"}}, {}, "allowed"),
        ({"StringEqualsIfExists": {"aws:a": "x"}}, {"aws:a": ["y"]}, "implicitDeny"),
        ({"StringNotEquals": {"aws:a": ["x", "y"]}}, {"aws:a": ["y"]}, "implicitDeny"),
        ({"StringNotEquals": {"aws:a": ["x", "y"]}}, {"aws:a": ["z"]}, "allowed"),
        ({"StringNotEquals": {"aws:a": "x"}}, {}, "allowed"),
        ({"StringLike": {"s3:prefix": "one/*"}}, {"s3:prefix": ["one/two"]}, "allowed"),
        ({"StringLike": {"s3:prefix": "one/*"}}, {"s3:prefix": ["two/one/"]}, "implicitDeny"),
        ({"StringNotLike": {"s3:prefix": "one/*"}}, {"s3:prefix": ["one/two"]}, "implicitDeny"),
        ({"ArnLike": {"aws:SourceArn": "arn:aws:sns:*:1:*"}}, {"aws:SourceArn": ["arn:aws:sns:eu:1:t"]}, "allowed"),
        ({"ArnNotEquals": {"aws:SourceArn": "arn:*"}}, {"aws:SourceArn": ["arn:aws:sns:eu:1:t"]}, "implicitDeny"),
        ({"Bool": {"aws:SecureTransport": False}}, {"aws:SecureTransport": ["false"]}, "allowed"),
        ({"NumericLessThan": {"s3:TlsVersion": 1.2}}, {"s3:TlsVersion": ["1.1"]}, "allowed"),
        ({"NumericLessThan": {"s3:TlsVersion": 1.2}}, {"s3:TlsVersion": ["1.2"]}, "implicitDeny"),
        ({"NumericGreaterThanEquals": {"s3:max-keys": "9"}}, {"s3:max-keys": ["10"]}, "allowed"),
        ({"Null": {"aws:a": "true"}}, {}, "allowed"),
        ({"Null": {"aws:a": "false"}}, {}, "implicitDeny"),
        ({"ForAllValues:StringEquals": {"aws:TagKeys": ["a", "b"]}}, {"aws:TagKeys": ["a", "c"]}, "implicitDeny"),
        ({"ForAllValues:StringEquals": {"aws:TagKeys": ["a", "b"]}}, {}, "allowed"),
        ({"ForAnyValue:StringEquals": {"aws:TagKeys": ["a", "b"]}}, {"aws:TagKeys": ["a", "c"]}, "allowed"),
        ({"StringEquals": {"aws:a": "x"}, "Bool": {"aws:b": "true"}}, {"aws:a": ["x"]}, "implicitDeny"),
    ],
)
def test_conditions_hold_as_iam_says(condition: dict[str, Any], context: dict[str, list[str]], decision: str) -> None:
    policy = document(allow("s3:*", Condition=condition))
    assert decide([policy], Request("s3:GetObject", f"{BUCKET}/a", context)) == decision


def test_an_operator_that_is_not_known_is_no_guess() -> None:
    for operator in ("IpAddress", "DateLessThan", "ForSome:StringEquals"):
        policy = document(allow("s3:*", Condition={operator: {"aws:a": "x"}}))
        with pytest.raises(UnknownOperatorError, match=operator):
            decide([policy], Request("s3:GetObject", BUCKET))
        assert decide([policy], Request("sns:Publish", BUCKET)) == "implicitDeny", "a statement about something else"


def test_a_deny_wins_wherever_it_stands() -> None:
    deny = {"Effect": "Deny", "NotAction": "s3:*", "Resource": "*"}
    policies = [document(allow("*")), document(deny)]
    assert decide(policies, Request("s3:GetObject", BUCKET)) == "allowed"
    assert decide(policies, Request("iam:PassRole")) == "explicitDeny"
    assert decide([document(allow("*"))], Request("iam:PassRole"), document(deny, allow("*"))) == "explicitDeny"


def test_all_but_a_resource_and_patterns_of_both() -> None:
    policy = document({"Effect": "Allow", "Action": "S3:get*", "NotResource": [f"{BUCKET}/secret/*"]})
    assert decide([policy], Request("s3:GetObject", f"{BUCKET}/a")) == "allowed"
    assert decide([policy], Request("s3:GetObject", f"{BUCKET}/secret/a")) == "implicitDeny"
    assert decide([policy], Request("s3:PutObject", f"{BUCKET}/a")) == "implicitDeny"
    single = {"Version": "2012-10-17", "Statement": allow("s3:GetObject", f"{BUCKET}/?.txt")}
    assert decide([single], Request("s3:GetObject", f"{BUCKET}/a.txt")) == "allowed"
    assert decide([single], Request("s3:GetObject", f"{BUCKET}/ab.txt")) == "implicitDeny"


def test_a_boundary_limits_and_gives_nothing() -> None:
    policy, boundary = document(allow(["s3:*", "iam:*"])), document(allow(["s3:*", "sns:*"]))
    asked = ("s3:GetObject", "iam:CreateRole", "sns:Publish")
    assert [decide([policy], Request(action), boundary) for action in asked] == [
        *("allowed", "implicitDeny", "implicitDeny")
    ]
