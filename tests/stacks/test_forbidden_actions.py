"""No role can do what its rows in docs/iam.md do not say, as IAM evaluates policies."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any, Final

import pytest

from kindling.localcloud.policy_evaluation import Request, as_list
from kindling.policy_documents import ACCOUNT, Documents, Role, Template
from tests.stacks.forbidden import Places, allowed, forbidden, granted

# (the construct whose role it is, action, pattern of the resource): why a role may do what others must not.
EXCEPTIONS: Final[dict[tuple[str, str, str], str]] = {
    ("ExperimentArm|Evaluation", "s3:GetObject", "data.*/train/"): "Test data lie in any algorithm's part of the data.",
    ("CleanUp", "s3:DeleteObject", "models.*/output/model.tar.gz$"): (
        "Tuning jobs leave the models of all their trials; one role serves every algorithm. Versions stay."
    ),
    (
        "Pipeline|Rollback",
        "sagemaker:UpdateEndpoint",
        "endpoint/",
    ): "The user names the endpoint in an execution's input.",
    ("Rollback", "sagemaker:DeleteEndpoint", "endpoint/"): "The endpoint that a failed execution created, of any name.",
}
FEWEST: Final = 10


@pytest.fixture(scope="module")
def documents(widest: dict[str, Template]) -> Documents:
    return Documents(widest)


@pytest.fixture(scope="module")
def places(documents: Documents) -> Places:
    arns = documents.arns()
    data, models, access_logs = (arns[f"KindlingStorage/Buckets/{name}"] for name in ("Data", "Models", "AccessLogs"))
    return Places(arns, data, models, access_logs)


@pytest.fixture(scope="module")
def roles(documents: Documents) -> list[Role]:
    return documents.roles()


@pytest.fixture(scope="module")
def tried(roles: list[Role], places: Places) -> dict[str, list[Request]]:
    """What each role must not do, by the role's path."""
    return {role.path: list(forbidden(role, places)) for role in roles}


def excepted(role: Role, request: Request) -> tuple[str, str, str] | None:
    return next(
        (
            exception
            for exception in EXCEPTIONS
            if re.fullmatch(exception[0], role.owner)
            and exception[1] == request.action
            and re.search(exception[2], request.resource)
        ),
        None,
    )


def test_no_role_may_do_what_its_rows_do_not_say(roles: list[Role], tried: dict[str, list[Request]]) -> None:
    assert min(len(requests) for requests in tried.values()) >= FEWEST
    may = [
        f"{role.path}: {request.action} on {request.resource} with {dict(request.context)}"
        for role in roles
        for request in allowed(role, tried[role.path])
        if not excepted(role, request)
    ]
    assert not may, "\n".join(may)


def test_every_exception_is_still_needed(roles: list[Role], tried: dict[str, list[Request]]) -> None:
    used = {excepted(role, request) for role in roles for request in allowed(role, tried[role.path])}
    assert used == set(EXCEPTIONS)


def test_every_row_says_what_its_role_may_do(roles: list[Role]) -> None:
    denied = [
        f"{role.path} {statement.get('Sid')}: {request}"
        for role in roles
        for statement in role.statements
        for request in granted(statement)
        if not allowed(role, [request])
    ]
    assert not denied, "\n".join(denied)


def test_only_a_service_may_assume_a_role_and_one_that_acts_for_its_callers_only_for_this_account(
    roles: list[Role],
) -> None:
    for role in roles:
        (statement,) = role.trust["Statement"]
        assert list(statement["Principal"]) == ["Service"], role.path
        # Lambda takes a role for functions of the role's own account alone, and tells no source account.
        if statement["Principal"]["Service"] != "lambda.amazonaws.com":
            assert statement["Condition"]["StringEquals"] == {"aws:SourceAccount": ACCOUNT}, role.path


def test_no_policy_of_a_resource_gives_a_role_more(documents: Documents, roles: list[Role]) -> None:
    arns = {role.arn for role in roles}
    named = {
        (policy.resource, principal)
        for policy in documents.policies()
        # Which says what may pass an endpoint of a network, and gives nothing.
        if policy.type != "AWS::EC2::VPCEndpoint"
        for statement in policy.document["Statement"]
        if "Principal" in statement and statement["Effect"] == "Allow"
        for principal in _principals(statement["Principal"])
        if principal in arns or principal == "*"
    }
    assert not named


def _principals(principal: str | dict[str, Any]) -> list[str]:
    return [principal] if isinstance(principal, str) else [one for many in principal.values() for one in as_list(many)]


@pytest.mark.parametrize(
    ("statement", "action"),
    [
        ({"Action": "*", "Resource": "*"}, "iam:CreateRole"),
        ({"Action": "s3:*", "Resource": "*"}, "s3:GetObject"),
        ({"NotAction": "iam:*", "Resource": "*"}, "lambda:UpdateFunctionCode"),
        ({"Action": "iam:PassRole", "Resource": "*"}, "iam:PassRole"),
        ({"Action": "sagemaker:Create*", "Resource": "arn:aws:sagemaker:*:*:*/*"}, "sagemaker:CreateTrainingJob"),
    ],
)
def test_a_statement_that_allows_too_much_is_found(
    statement: dict[str, str], action: str, roles: list[Role], tried: dict[str, list[Request]]
) -> None:
    # Of the kinds of role there are, some.
    for role in roles[::7]:
        wider = replace(role, statements=(*role.statements, {"Effect": "Allow", **statement}))
        found = [request for request in allowed(wider, tried[role.path]) if not excepted(role, request)]
        assert action in {request.action for request in found}, role.path


@pytest.mark.parametrize("change", [{"Condition": {}}, {"Resource": "arn:aws:iam::*:role/*"}])
def test_a_statement_that_lost_its_condition_or_its_account_is_found(
    change: dict[str, Any], roles: list[Role], tried: dict[str, list[Request]]
) -> None:
    (role,) = [role for role in roles if role.path == "KindlingTraining/Blazingtext/Pipeline/Role"]
    statements = [{**one, **change} if one.get("Sid") == "PassRoles" else one for one in role.statements]
    found = allowed(replace(role, statements=tuple(statements)), tried[role.path])
    assert "iam:PassRole" in {request.action for request in found}
