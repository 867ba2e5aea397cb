"""IAM's SimulatePrincipalPolicy for roles, which moto lacks; the SageMaker Python SDK v3 asks it before each job.

Identity policies only, as https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html
describes their evaluation: an explicit deny wins over an allow, and what nothing allows is denied.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from typing import Any

from kindling.localcloud.cloud import Cloud

Statement = dict[str, Any]

_NOT_IMPLEMENTED = (
    "PolicyInputList",
    "PermissionsBoundaryPolicyInputList",
    "PolicyExclusionList",
    "ResourcePolicy",
    "ContextEntries",
    "CallerArn",
)


def install(_cloud: Cloud) -> None:
    """Have moto's IAM answer SimulatePrincipalPolicy."""
    from moto.core.responses import ActionResult
    from moto.iam.exceptions import ValidationError
    from moto.iam.responses import IamResponse

    def simulate_principal_policy(self: Any) -> ActionResult:
        for name in _NOT_IMPLEMENTED:
            if self._get_param(name):
                raise ValidationError(f"{name} is not implemented by the embedded cloud.")
        arn = self._get_param("PolicySourceArn")
        if ":role/" not in arn:
            raise ValidationError(f"PolicySourceArn={arn} is not implemented by the embedded cloud; use a role's ARN.")
        role = self.backend.get_role_by_arn(arn)
        statements = list(_statements(_documents(self.backend, role.name)))
        results = [
            _evaluated(statements, action, resource)
            for action in self._get_param("ActionNames")
            for resource in self._get_param("ResourceArns") or ["*"]
        ]
        return ActionResult({"EvaluationResults": results, "IsTruncated": False})

    responses: Any = IamResponse
    responses.simulate_principal_policy = simulate_principal_policy


def _documents(backend: Any, role: str) -> Iterator[str]:
    """The role's policies, inline and managed, as JSON."""
    for name in backend.list_role_policies(role):
        yield backend.get_role_policy(role, name)[1]
    attached, _ = backend.list_attached_role_policies(role, max_items=1000)
    for policy in attached:
        yield next(version.document for version in policy.versions if version.is_default)


def _statements(documents: Iterator[str]) -> Iterator[Statement]:
    for document in documents:
        found = json.loads(document)["Statement"]
        yield from [found] if isinstance(found, dict) else found


def _evaluated(statements: Sequence[Statement], action: str, resource: str) -> dict[str, Any]:
    """The element of EvaluationResults for one action on one resource.

    No context is given, so a statement with a condition does not apply; its keys are named as missing.
    """
    concerning = [statement for statement in statements if _concerns(statement, action, resource)]
    effects = {statement["Effect"] for statement in concerning if "Condition" not in statement}
    missing = {
        key for statement in concerning for condition in statement.get("Condition", {}).values() for key in condition
    }
    decision = "explicitDeny" if "Deny" in effects else "allowed" if "Allow" in effects else "implicitDeny"
    return {
        "EvalActionName": action,
        "EvalResourceName": resource,
        "EvalDecision": decision,
        "MatchedStatements": [],
        "MissingContextValues": sorted(missing),
    }


def _concerns(statement: Statement, action: str, resource: str) -> bool:
    actions = _any_matches(statement.get("Action", statement.get("NotAction")), action.lower(), lower=True)
    resources = _any_matches(statement.get("Resource", statement.get("NotResource", "*")), resource)
    return actions == ("Action" in statement) and resources == ("NotResource" not in statement)


def _any_matches(patterns: str | list[str] | None, value: str, *, lower: bool = False) -> bool:
    """Whether one of IAM's patterns, in which * stands for any text and ? for any character, is the value's."""
    for pattern in [patterns] if isinstance(patterns, str) else patterns or []:
        expression = re.escape(pattern.lower() if lower else pattern).replace(r"\*", ".*").replace(r"\?", ".")
        if re.fullmatch(expression, value, re.DOTALL):
            return True
    return False
