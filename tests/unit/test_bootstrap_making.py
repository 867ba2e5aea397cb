"""What `kindling bootstrap` hands to the CDK, and what it leaves as others made it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from kindling.bootstrap import making
from kindling.bootstrap.making import Making
from tests.unit.stubbed_place import ACCOUNT, IDENTITY, REGION, StubbedTarget, denied, place

OURS = [
    f"arn:aws:iam::{ACCOUNT}:policy/kindling-deployment-{REGION}",
    f"arn:aws:iam::{ACCOUNT}:policy/kindling-deployment-account-{REGION}",
]


class Cdk:
    """The CDK's command line: keeps what it is asked for."""

    def __init__(self) -> None:
        self.options: list[tuple[str, ...]] = []

    def bootstrap(self, *options: str) -> None:
        self.options.append(options)

    def run(self, *options: str) -> None:
        self.options.append(options)


@pytest.fixture
def cdk(monkeypatch: pytest.MonkeyPatch) -> Cdk:
    cdk = Cdk()
    monkeypatch.setattr(making, "Cdk", lambda *_: cdk)
    return cdk


@pytest.fixture
def target() -> StubbedTarget:
    return StubbedTarget()


def making_of(target: StubbedTarget, **settings: Any) -> Making:
    return Making(place(target, **settings), IDENTITY, lambda _text: None)


def toolkit(target: StubbedTarget, times: int, **parameters: str) -> None:
    """A bootstrap stack with these parameters, that is asked for so often."""
    told = [{"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()]
    described = {"StackName": "CDKToolkit", "CreationTime": 0, "StackStatus": "UPDATE_COMPLETE", "Parameters": told}
    for _ in range(times):
        target.stub("cloudformation").add_response("describe_stacks", {"Stacks": [described]})


def attached(target: StubbedTarget, *arns: str) -> None:
    policies = [{"PolicyName": "p", "PolicyArn": arn} for arn in arns]
    target.stub("iam").add_response("list_attached_role_policies", {"AttachedPolicies": policies})


def test_administrator_goes_and_the_policies_of_others_stay(target: StubbedTarget) -> None:
    other = f"arn:aws:iam::{ACCOUNT}:policy/other-deployment"
    attached(target, OURS[0], "arn:aws:iam::aws:policy/AdministratorAccess", other)
    assert making_of(target)._execution_policies() == [*OURS, other]
    target.stub("iam").add_client_error("list_attached_role_policies", "NoSuchEntity", "no role yet")
    assert making_of(target)._execution_policies() == OURS


@pytest.mark.parametrize(
    ("key", "makes_one"),
    [("", True), ("AWS_MANAGED_KEY", True), (f"arn:aws:kms:{REGION}:{ACCOUNT}:key/1", False)],
)
def test_assets_get_a_key_of_their_own_unless_they_have_one_already(
    target: StubbedTarget, cdk: Cdk, monkeypatch: pytest.MonkeyPatch, key: str, makes_one: bool
) -> None:
    attached(target)
    toolkit(target, 1, FileAssetsBucketKmsKeyId=key)
    monkeypatch.setattr(Making, "_watched", lambda _self, _name, make: make())
    making_of(target)._make_toolkit()
    (options,) = cdk.options
    assert options[:2] == ("--cloudformation-execution-policies", ",".join(OURS))
    assert ("--bootstrap-customer-key" in options) is makes_one


def test_the_account_stack_is_deployed_without_a_second_question(
    target: StubbedTarget, cdk: Cdk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Making, "_watched", lambda _self, name, make: (make(), name)[1])
    assert making_of(target, name="my-team")._make_account() == "MyTeamAccount"
    (options,) = cdk.options
    assert options[0] == "deploy"
    assert options[options.index("--require-approval") + 1] == "never"
    assert "--method" not in options, "in AWS by a change set"


def tags(target: StubbedTarget, *active: str) -> None:
    told = [{"TagKey": key, "Type": "UserDefined", "Status": "Active"} for key in active]
    target.stub("ce").add_response("list_cost_allocation_tags", {"CostAllocationTags": told}, {"Status": "Active"})


def test_tags_that_are_active_are_left_alone_and_the_rest_are_activated(target: StubbedTarget) -> None:
    tags(target, "kindling:algorithm", "kindling:run")
    assert making_of(target)._activate_tags().result == "unchanged"
    tags(target, "kindling:run")
    wanted = [{"TagKey": key, "Status": "Active"} for key in ("kindling:algorithm", "team")]
    target.stub("ce").add_response(
        "update_cost_allocation_tags_status", {"Errors": []}, {"CostAllocationTagsStatus": wanted}
    )
    step = making_of(target, tags={"team": "nlp"})._activate_tags()
    assert step.result == "changed"
    assert step.notes == ("The bill can be broken down by kindling:algorithm, team from tomorrow on.",)


def test_an_account_that_may_not_activate_tags_is_told_and_goes_on(target: StubbedTarget) -> None:
    denied(target, "ce", "list_cost_allocation_tags")
    denied(target, "ce", "update_cost_allocation_tags_status", "a linked account")
    step = making_of(target)._activate_tags()
    assert step.result == "unchanged"
    assert "were not activated: a linked account." in step.notes[0]


def test_the_account_stack_and_the_tags_belong_to_the_home_region_only(target: StubbedTarget) -> None:
    at_home = making_of(target)
    away = replace(at_home, place=replace(at_home.place, is_home=False))
    assert [step[0] for step in at_home._steps()] == ["kindling-deployment-policies", "CDKToolkit", "KindlingAccount"]
    assert [step[0] for step in away._steps()] == ["kindling-deployment-policies", "CDKToolkit"]
