"""IAM's SimulatePrincipalPolicy for roles, which moto lacks; the SageMaker Python SDK v3 asks it before each job."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from kindling.localcloud.cloud import Cloud
from kindling.localcloud.policy_evaluation import (
    Document,
    Request,
    UnknownOperatorError,
    concerns,
    condition_keys,
    decide,
    statements,
)

_NOT_IMPLEMENTED = (
    "PolicyInputList",
    "PermissionsBoundaryPolicyInputList",
    "PolicyExclusionList",
    "ResourcePolicy",
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
        documents = list(_documents(self.backend, role.name))
        boundary = _boundary(self.backend, role)
        context = {
            entry["ContextKeyName"]: entry["ContextKeyValues"] for entry in self._get_param("ContextEntries") or []
        }
        try:
            results = [
                _evaluated(documents, boundary, Request(action, resource, context))
                for action in self._get_param("ActionNames")
                for resource in self._get_param("ResourceArns") or ["*"]
            ]
        except UnknownOperatorError as error:
            raise ValidationError(str(error)) from None
        return ActionResult({"EvaluationResults": results, "IsTruncated": False})

    responses: Any = IamResponse
    responses.simulate_principal_policy = simulate_principal_policy


def _documents(backend: Any, role: str) -> Iterator[Document]:
    """The role's policies, inline and managed."""
    for name in backend.list_role_policies(role):
        yield json.loads(backend.get_role_policy(role, name)[1])
    attached, _ = backend.list_attached_role_policies(role, max_items=1000)
    for policy in attached:
        yield _default_version(policy)


def _boundary(backend: Any, role: Any) -> Document | None:
    arn = role.permissions_boundary_arn
    return _default_version(backend.get_policy(arn)) if arn else None


def _default_version(policy: Any) -> Document:
    document: Document = json.loads(next(version.document for version in policy.versions if version.is_default))
    return document


def _evaluated(documents: Sequence[Document], boundary: Document | None, request: Request) -> Mapping[str, Any]:
    """The element of EvaluationResults for one request; condition keys without a value are named as missing."""
    given = {key.lower() for key in request.context}
    asked = {
        key
        for statement in statements([*documents, *([boundary] if boundary else [])])
        if concerns(statement, request)
        for key in condition_keys(statement)
    }
    within = {"AllowedByPermissionsBoundary": decide([boundary], request) == "allowed"} if boundary else None
    return {
        "EvalActionName": request.action,
        "EvalResourceName": request.resource,
        "EvalDecision": decide(documents, request, boundary),
        "MatchedStatements": [],
        "MissingContextValues": sorted(key for key in asked if key.lower() not in given),
        **({"PermissionsBoundaryDecisionDetail": within} if within else {}),
    }
