"""What `cdk bootstrap` made in a region, and what CloudFormation may do with it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from kindling.bootstrap.credentials import Identity
from kindling.bootstrap.findings import Finding
from kindling.bootstrap.places import Place

STACK: Final = "CDKToolkit"
# The CDK's default; another would have to stand in every template.
QUALIFIER: Final = "hnb659fds"
VERSION_PARAMETER: Final = f"/cdk-bootstrap/{QUALIFIER}/version"
# What the rule CheckBootstrapVersion of every template asks for; a test holds the two together.
REQUIRED_VERSION: Final = 6
LISTING: Final = ("ssm:GetParameter", "iam:ListAttachedRolePolicies")
ADMINISTRATOR: Final = "policy/AdministratorAccess"
_CHECK, _EXECUTION = "CDK bootstrap", "execution policy"


def execution_role(account: str, region: str) -> str:
    """The name of the role that CloudFormation deploys with."""
    return f"cdk-{QUALIFIER}-cfn-exec-role-{account}-{region}"


def version(place: Place) -> int | None:
    """The version of the region's bootstrap stack, or None where there is none."""
    ssm = place.client("ssm")
    try:
        return int(ssm.get_parameter(Name=VERSION_PARAMETER)["Parameter"]["Value"])
    except ssm.exceptions.ParameterNotFound:
        return None


def execution_policies(place: Place, account: str) -> list[str]:
    """The ARNs of the policies that CloudFormation deploys with; none where there is no such role."""
    iam = place.client("iam")
    try:
        pages = list(
            iam.get_paginator("list_attached_role_policies").paginate(RoleName=execution_role(account, place.region))
        )
    except iam.exceptions.NoSuchEntityException:
        return []
    return [policy["PolicyArn"] for page in pages for policy in page["AttachedPolicies"]]


def look(place: Place, identity: Identity, ours: Sequence[str]) -> Iterator[Finding]:
    """Whether the region is bootstrapped, lately enough, and with our execution policies (`ours`, ARNs)."""
    found = version(place)
    if found is None:
        mend = "`kindling bootstrap` makes it."
        yield Finding(_CHECK, "warn", f"there is none: no parameter {VERSION_PARAMETER}", mend)
        return
    if found < REQUIRED_VERSION:
        mend = "`kindling bootstrap` renews it."
        yield Finding(_CHECK, "warn", f"version {found}, but the templates need {REQUIRED_VERSION}", mend)
    else:
        yield Finding(_CHECK, "pass", f"version {found}, at least {REQUIRED_VERSION}")
    attached = execution_policies(place, identity.account)
    if any(arn.endswith(ADMINISTRATOR) for arn in attached):
        yield Finding(
            _EXECUTION,
            "warn",
            "CloudFormation deploys with AdministratorAccess",
            "`kindling bootstrap` puts the narrower policy in its place; give the account's other CDK apps theirs.",
        )
    elif lacking := [arn for arn in ours if arn not in attached]:
        names = ", ".join(arn.rpartition("/")[2] for arn in lacking)
        yield Finding(
            _EXECUTION, "warn", f"CloudFormation deploys without {names}", "`kindling bootstrap` attaches it."
        )
    else:
        names = ", ".join(arn.rpartition("/")[2] for arn in attached)
        yield Finding(_EXECUTION, "pass", f"CloudFormation deploys with {names}")
