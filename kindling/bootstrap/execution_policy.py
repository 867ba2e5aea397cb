"""What CloudFormation may do when it deploys our stacks, in place of AdministratorAccess."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, Final

from kindling.bootstrap import grants
from kindling.bootstrap.grants import Grant, Grants, Scope
from stacks.settings import Settings

Document = dict[str, Any]
# IAM counts the characters of a managed policy without white space.
LONGEST_DOCUMENT: Final = 6144


def stack_name(settings: Settings) -> str:
    """The stack that the policies are in. Not one of the app's, which `kindling teardown` takes away."""
    return f"{settings.name}-deployment-policies"


def policy_arns(scope: Scope) -> list[str]:
    """The ARNs of the policies."""
    return [scope.global_arn("iam", f"policy/{name}") for name in documents(scope)]


def documents(scope: Scope) -> dict[str, Document]:
    """The managed policies by name: more than one, for each may have so many characters only.

    Raises:
        ValueError: one is longer than IAM takes.
    """
    name = f"{scope.settings.name}-deployment"
    parts = {
        f"{name}-{scope.region}": {
            **grants.of_assets(scope),
            **grants.of_storage(scope),
            **grants.of_code(scope),
            **grants.of_models(scope),
            **grants.of_roles(scope),
        },
        f"{name}-account-{scope.region}": {
            **grants.of_messages(scope),
            **grants.of_events(scope),
            **grants.of_account(scope),
        },
    }
    if scope.settings.network == "private":
        parts[f"{name}-network-{scope.region}"] = grants.of_network(scope)
    found = {
        part: _document(grant for found_of in part_of.values() for grant in found_of) for part, part_of in parts.items()
    }
    for part, document in found.items():
        if (length := len(json.dumps(document, separators=(",", ":")))) > LONGEST_DOCUMENT:
            raise ValueError(f"the policy {part} has {length} characters; IAM takes {LONGEST_DOCUMENT}.")
    return found


def template(scope: Scope) -> str:
    """The CloudFormation template that makes the policies."""
    resources = {
        f"Policy{number}": {
            "Type": "AWS::IAM::ManagedPolicy",
            "Properties": {
                "ManagedPolicyName": name,
                "Description": f"What CloudFormation may do when it deploys {scope.settings.name} (docs/bootstrap.md)",
                "PolicyDocument": document,
            },
        }
        for number, (name, document) in enumerate(documents(scope).items(), start=1)
    }
    return json.dumps(
        {
            "AWSTemplateFormatVersion": "2010-09-09",
            "Description": "Kindling: what CloudFormation may do when it deploys",
            "Resources": resources,
        },
        indent=1,
    )


def table(scope: Scope) -> Grants:
    """What CloudFormation needs, by type of resource."""
    network = grants.of_network(scope) if scope.settings.network == "private" else {}
    code, messages = (
        {**grants.of_code(scope), **grants.of_models(scope)},
        {**grants.of_messages(scope), **grants.of_events(scope)},
    )
    return {
        **grants.of_storage(scope),
        **code,
        **grants.of_roles(scope),
        **messages,
        **grants.of_account(scope),
        **network,
    }


def _document(given: Iterable[Grant]) -> Document:
    """The grants as one document; those on the same resources under the same conditions are one statement."""
    statements: dict[str, tuple[Grant, dict[str, None]]] = {}
    for grant in given:
        key = json.dumps([grant.service, list(grant.resources), grant.conditions], sort_keys=True)
        _, actions = statements.setdefault(key, (grant, {}))
        actions |= dict.fromkeys(f"{grant.service}:{action}" for action in grant.actions)
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Action": sorted(actions),
                "Resource": list(grant.resources),
                **({"Condition": dict(grant.conditions)} if grant.conditions else {}),
            }
            for grant, actions in statements.values()
        ],
    }
