"""Each check of `kindling doctor`: what passes, what is to be looked at, and what fails."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError, NoCredentialsError

from kindling import image_builds
from kindling.bootstrap import credentials, execution_policy, preflight, quotas, service_roles, toolkit, tools
from kindling.bootstrap.credentials import Identity
from kindling.bootstrap.findings import Check, Finding
from kindling.bootstrap.grants import Scope
from kindling.bootstrap.needs import InstanceNeed, needs_of
from kindling.environments import ROOT
from stacks.settings import Settings
from tests.unit.stubbed_place import ACCOUNT, IDENTITY, REGION, StubbedTarget, denied, place, without_docker

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
C5 = InstanceNeed("ml.c5.2xlarge", "training", 2)


@pytest.fixture
def target() -> StubbedTarget:
    return StubbedTarget()


def statuses(findings: Iterable[Finding]) -> list[str]:
    return [finding.status for finding in findings]


def only(findings: Iterable[Finding]) -> Finding:
    (found,) = findings
    return found


def answers(identity: Identity | None = None, error: Exception | None = None, date: Any = None) -> credentials.Answer:
    return credentials.Answer(identity, error, date)


def asked(target: StubbedTarget, arn: str, aliases: list[str] | None = None) -> credentials.Answer:
    headers = {"HTTPHeaders": {"date": "Thu, 01 Jan 2026 12:00:00 GMT"}}
    target.stub("sts").add_response(
        "get_caller_identity", {"Account": ACCOUNT, "Arn": arn, "UserId": "AID", "ResponseMetadata": headers}
    )
    if aliases is None:
        denied(target, "iam", "list_account_aliases")
    else:
        target.stub("iam").add_response("list_account_aliases", {"AccountAliases": aliases})
    return credentials.ask(place(target))


def test_credentials_are_told_with_account_and_alias(target: StubbedTarget) -> None:
    answer = asked(target, IDENTITY.arn, ["the-lab"])
    found = only(credentials.credentials(place(target), answer))
    assert found.status == "pass"
    assert found.found == f"{IDENTITY.arn} in account {ACCOUNT} (the-lab)"
    assert answer.date == NOON


def test_an_alias_that_may_not_be_read_is_done_without(target: StubbedTarget) -> None:
    answer = asked(target, IDENTITY.arn)
    assert answer.identity == IDENTITY


def test_the_root_user_is_warned_of(target: StubbedTarget) -> None:
    answer = asked(target, f"arn:aws:iam::{ACCOUNT}:root", [])
    found = only(credentials.credentials(place(target), answer))
    assert (found.status, found.found) == ("warn", f"the root user of account {ACCOUNT}")


def test_an_account_other_than_the_settings_fails(target: StubbedTarget) -> None:
    found = only(credentials.credentials(place(target, account="999999999999"), answers(IDENTITY)))
    assert found.status == "fail"
    assert f"is of account {ACCOUNT}, but settings/dev.toml names 999999999999" in found.found


def test_expired_credentials_fail_and_still_tell_the_time(target: StubbedTarget) -> None:
    target.stub("sts").add_client_error("get_caller_identity", "ExpiredToken", "expired")
    found = only(credentials.credentials(place(target), credentials.ask(place(target))))
    assert (found.status, found.found) == ("fail", "your AWS credentials have expired; sign in again")


def test_missing_credentials_fail(target: StubbedTarget, monkeypatch: pytest.MonkeyPatch) -> None:
    def none() -> None:
        raise NoCredentialsError

    monkeypatch.setattr(target.client("sts"), "get_caller_identity", none)
    found = only(credentials.credentials(place(target), credentials.ask(place(target))))
    assert found.status == "fail"
    assert found.found.startswith("no AWS credentials were found")


@pytest.mark.parametrize(
    ("ahead_s", "status", "words"),
    [
        (2, "pass", "within 30 s"),
        (45, "warn", "45 s ahead of AWS's"),
        (-45, "warn", "45 s behind AWS's"),
        (400, "fail", "400 s ahead of AWS's, and AWS refuses signatures over 300 s off"),
    ],
)
def test_a_clock_that_is_off_is_told_before_aws_refuses_it(ahead_s: int, status: str, words: str) -> None:
    found = only(credentials.clock(answers(date=NOON), NOON + timedelta(seconds=ahead_s)))
    assert found.status == status
    assert words in found.found


def test_without_an_answer_nothing_is_said_of_the_clock() -> None:
    assert list(credentials.clock(answers(), NOON)) == []


@pytest.mark.parametrize(
    ("region", "status", "words"),
    [
        ("eu-west-1", "pass", "offers SageMaker"),
        ("eu-nowhere-9", "fail", "no region is called eu-nowhere-9"),
    ],
)
def test_a_region_is_known_or_not(target: StubbedTarget, region: str, status: str, words: str) -> None:
    found = only(quotas.region(place(target, region)))
    assert found.status == status
    assert words in found.found


def test_a_region_without_sagemaker_fails(target: StubbedTarget, monkeypatch: pytest.MonkeyPatch) -> None:
    import botocore.session

    def regions(_self: object, service: str, partition_name: str = "aws") -> list[str]:
        return ["eu-west-1"] if service == "sts" and partition_name == "aws" else []

    monkeypatch.setattr(botocore.session.Session, "get_available_regions", regions)
    found = only(quotas.region(place(target)))
    assert (found.status, found.found) == ("fail", "eu-west-1 does not offer SageMaker")


def quota(name: str, value: float, *, adjustable: bool = True) -> dict[str, Any]:
    code = f"L-{abs(hash(name)) % 10**8:08d}"
    return {"QuotaCode": code, "QuotaName": name, "Value": value, "Adjustable": adjustable}


def listed(target: StubbedTarget, defaults: list[dict[str, Any]], applied: list[dict[str, Any]]) -> None:
    stub = target.stub("service-quotas")
    stub.add_response("list_aws_default_service_quotas", {"Quotas": defaults}, {"ServiceCode": "sagemaker"})
    stub.add_response("list_service_quotas", {"Quotas": applied}, {"ServiceCode": "sagemaker"})


def pending(target: StubbedTarget, *requested: tuple[dict[str, Any], float, str]) -> None:
    told = [
        {"QuotaCode": one["QuotaCode"], "DesiredValue": value, "Status": status} for one, value, status in requested
    ]
    target.stub("service-quotas").add_response(
        "list_requested_service_quota_change_history", {"RequestedQuotas": told}, {"ServiceCode": "sagemaker"}
    )


def test_quotas_that_are_enough_pass(target: StubbedTarget) -> None:
    listed(target, [quota(C5.quota, 0)], [quota(C5.quota, 4)])
    types, enough = quotas.look(place(target), [C5])
    assert (types.status, types.found) == ("pass", f"{REGION} has ml.c5.2xlarge")
    assert (enough.status, enough.found) == ("pass", "ml.c5.2xlarge for training job usage: 4, needed 2")


def test_a_quota_that_aws_never_applied_counts_as_by_default(target: StubbedTarget) -> None:
    listed(target, [quota(C5.quota, 2)], [])
    assert statuses(quotas.look(place(target), [C5])) == ["pass", "pass"]


def test_a_quota_below_the_need_fails_until_somebody_asks(target: StubbedTarget) -> None:
    for asking, status in ((False, "fail"), (True, "warn")):
        listed(target, [], [quota(C5.quota, 1)])
        pending(target)
        *_, short = quotas.look(place(target), [C5], asking=asking)
        assert (short.status, short.found) == (status, "ml.c5.2xlarge for training job usage: 1, needed 2")


def test_an_increase_that_is_pending_is_waited_for_and_not_asked_for_again(target: StubbedTarget) -> None:
    one = quota(C5.quota, 1)
    for _ in range(2):
        listed(target, [], [one])
        pending(target, (one, 2.0, "CASE_OPENED"))
    *_, short = quotas.look(place(target), [C5])
    assert (short.status, short.found.split("; ")[1]) == ("warn", "2 are asked for")
    assert quotas.request(place(target), [C5]) == []


def test_an_increase_that_was_denied_or_was_too_small_is_asked_for(target: StubbedTarget) -> None:
    one, need = quota(C5.quota, 1), InstanceNeed("ml.c5.2xlarge", "training", 5)
    listed(target, [], [one])
    pending(target, (one, 5.0, "DENIED"), (one, 2.0, "PENDING"))
    target.stub("service-quotas").add_response(
        "request_service_quota_increase",
        {"RequestedQuota": {}},
        {"ServiceCode": "sagemaker", "QuotaCode": one["QuotaCode"], "DesiredValue": 5.0},
    )
    assert quotas.request(place(target), [need]) == ["ml.c5.2xlarge for training job usage: from 1 to 5"]


def test_a_quota_that_cannot_be_raised_fails_whoever_asks(target: StubbedTarget) -> None:
    listed(target, [], [quota(C5.quota, 1, adjustable=False)])
    pending(target)
    *_, short = quotas.look(place(target), [C5], asking=True)
    assert short.status == "fail"
    assert "cannot be raised" in short.found


def test_a_type_that_the_region_lacks_fails_by_its_name(target: StubbedTarget) -> None:
    hosting = InstanceNeed("ml.c5.2xlarge", "hosting", 1)
    listed(target, [quota("ml.c5.2xlarge for training job usage", 4)], [])
    found = list(quotas.look(place(target), [C5, hosting, InstanceNeed("ml.x9.huge", "spot", 1)]))
    assert [(one.status, one.found) for one in found[:2]] == [
        ("fail", f"{REGION} has no ml.c5.2xlarge for hosting"),
        ("fail", f"{REGION} has no ml.x9.huge"),
    ]
    assert statuses(found) == ["fail", "fail", "pass"]


def test_the_needs_are_the_settings_or_one_run_of_each_algorithm() -> None:
    settings = Settings(needs={"ml.m5.large": {"hosting": 3, "spot": 0}})  # type: ignore[arg-type]
    assert needs_of(settings) == [InstanceNeed("ml.m5.large", "hosting", 3)]
    by_default = needs_of(Settings())
    assert InstanceNeed("ml.c5.2xlarge", "training", 1) in by_default
    assert {need.purpose for need in by_default} == {"training", "processing", "hosting"}


def test_a_missing_permission_is_a_warning_that_names_it(target: StubbedTarget) -> None:
    check = Check(name="quota", needs=quotas.LISTING, look=lambda: quotas.look(place(target), [C5]))
    denied(target, "service-quotas", "list_aws_default_service_quotas")
    found = only(check.findings())
    assert found.status == "warn"
    assert "the permission servicequotas:ListAWSDefaultServiceQuotas is missing" in found.found
    message = "User: x is not authorized to perform: kms:Decrypt because"
    denied(target, "service-quotas", "list_aws_default_service_quotas", message)
    assert "the permission kms:Decrypt is missing" in only(check.findings()).found


def test_a_service_that_does_not_answer_fails_and_another_refusal_warns(target: StubbedTarget) -> None:
    def unreachable() -> Iterable[Finding]:
        raise EndpointConnectionError(endpoint_url="https://x")

    assert only(Check(name="quota", needs=("a:B",), look=unreachable).findings()).status == "fail"
    target.stub("service-quotas").add_client_error("list_aws_default_service_quotas", "TooManyRequests", "slow down")
    check = Check(name="quota", needs=quotas.LISTING, look=lambda: quotas.look(place(target), [C5]))
    found = only(check.findings())
    assert found.status == "warn"
    assert "slow down" in found.found


def test_service_roles_that_are_missing_are_left_to_aws(target: StubbedTarget) -> None:
    role = {
        "Path": "/",
        "RoleName": "r",
        "RoleId": "AROA0123456789012",
        "Arn": "arn:aws:iam::1:role/r",
        "CreateDate": NOON,
    }
    target.stub("iam").add_response("get_role", {"Role": role})
    target.stub("iam").add_client_error("get_role", "NoSuchEntity", "none")
    target.stub("iam").add_client_error("get_role", "NoSuchEntity", "none")
    found = list(service_roles.look(place(target, registry_scanning="enhanced")))
    assert statuses(found) == ["pass", "warn", "warn"]
    assert found[2].found == "no AWSServiceRoleForAmazonInspector2, for scanning images with Amazon Inspector"


def test_what_is_not_used_needs_no_service_role() -> None:
    settings = Settings(access_analyzer=False)
    assert list(service_roles.roles(settings)) == ["AWSServiceRoleForApplicationAutoScaling_SageMakerEndpoint"]


OURS = [f"arn:aws:iam::{ACCOUNT}:policy/kindling-deployment-{REGION}"]
ADMINISTRATOR = "arn:aws:iam::aws:policy/AdministratorAccess"


@pytest.mark.parametrize(
    ("version", "attached", "expected", "words"),
    [
        (None, [], ["warn"], "there is none"),
        ("5", OURS, ["warn", "pass"], "version 5, but the templates need 6"),
        ("33", OURS, ["pass", "pass"], "version 33, at least 6"),
        ("33", [ADMINISTRATOR], ["pass", "warn"], "version 33"),
        ("33", ["arn:aws:iam::1:policy/other"], ["pass", "warn"], "version 33"),
    ],
)
def test_the_bootstrap_has_a_version_and_narrow_policies(
    target: StubbedTarget, version: str | None, attached: list[str], expected: list[str], words: str
) -> None:
    if version is None:
        target.stub("ssm").add_client_error("get_parameter", "ParameterNotFound", "none")
    else:
        target.stub("ssm").add_response("get_parameter", {"Parameter": {"Value": version}})
    policies = [{"PolicyName": "p", "PolicyArn": arn} for arn in attached]
    target.stub("iam").add_response(
        "list_attached_role_policies",
        {"AttachedPolicies": policies},
        {"RoleName": f"cdk-hnb659fds-cfn-exec-role-{ACCOUNT}-{REGION}"},
    )
    found = list(toolkit.look(place(target), IDENTITY, OURS))
    assert statuses(found) == expected
    assert words in found[0].found


@pytest.mark.parametrize(
    ("boundary", "is_there", "status"),
    [("other", True, "pass"), ("kindling-boundary", False, "warn"), ("other", False, "fail")],
)
def test_a_boundary_in_the_settings_must_be_there_or_be_made(
    target: StubbedTarget, boundary: str, is_there: bool, status: str
) -> None:
    arn = {"PolicyArn": f"arn:aws:iam::{ACCOUNT}:policy/{boundary}"}
    if is_there:
        target.stub("iam").add_response("get_policy", {"Policy": {}}, arn)
    else:
        target.stub("iam").add_client_error("get_policy", "NoSuchEntity", "none", expected_params=arn)
    found = only(preflight._boundary(place(target, permissions_boundary=boundary), IDENTITY))
    assert found.status == status


def stack(target: StubbedTarget, status: str | None) -> None:
    stub = target.stub("cloudformation")
    if status is None:
        stub.add_client_error("describe_stacks", "ValidationError", "Stack with id x does not exist")
    else:
        described = {"StackName": "x", "CreationTime": NOON, "StackStatus": status}
        stub.add_response("describe_stacks", {"Stacks": [described]})


def test_stacks_at_rest_pass_and_those_stuck_or_being_changed_fail(target: StubbedTarget) -> None:
    for status in (None, "REVIEW_IN_PROGRESS", "ROLLBACK_COMPLETE"):
        stack(target, status)
    assert only(preflight._stacks(place(target))).status == "pass"
    for status in ("UPDATE_ROLLBACK_FAILED", "UPDATE_IN_PROGRESS", "CREATE_COMPLETE"):
        stack(target, status)
    stuck, changing = preflight._stacks(place(target))
    assert stuck.found == "stack kindling-deployment-policies is UPDATE_ROLLBACK_FAILED"
    assert (changing.status, changing.remedy) == ("fail", "wait until that change has ended, then run this again.")


def test_the_cdk_is_there_in_the_pinned_version_or_not(tmp_path: Path) -> None:
    (tmp_path / "package.json").write_text('{"dependencies": {"aws-cdk": "2.1"}}')
    assert only(tools.cdk(tmp_path)).status == "fail"
    program = tmp_path / "node_modules" / ".bin" / "cdk"
    program.parent.mkdir(parents=True)
    for script, status, words in (
        ("echo '2.1 (build x)'", "pass", "CDK 2.1"),
        ("echo '2.0 (build x)'", "warn", "the CDK is 2.0, but package.json pins 2.1"),
        ("echo no node >&2; exit 1", "fail", "does not run (no node)"),
    ):
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
        found = only(tools.cdk(tmp_path))
        assert (found.status, words in found.found) == (status, True), found


@pytest.fixture
def no_docker(monkeypatch: pytest.MonkeyPatch) -> None:
    without_docker(monkeypatch)


def test_docker_is_needed_where_images_are_built(no_docker: None, monkeypatch: pytest.MonkeyPatch) -> None:
    assert only(tools.docker()).status == "warn"
    engine = SimpleNamespace(version=lambda: {"Version": "27.1"}, close=lambda: None)
    monkeypatch.setattr(image_builds, "connect", lambda: engine)
    assert only(tools.docker()) == Finding("Docker", "pass", "engine 27.1")


@pytest.mark.parametrize(("free_gb", "status"), [(100, "pass"), (5, "warn"), (0.5, "fail")])
def test_room_for_the_images(free_gb: float, status: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: SimpleNamespace(free=int(free_gb * 1e9)))
    assert only(tools.disk(tmp_path / "not" / "yet")).status == status


@pytest.mark.wide
def test_where_a_region_or_the_credentials_fail_nothing_more_is_asked_of_aws(
    target: StubbedTarget, no_docker: None
) -> None:
    """The stubs would fail on any further call."""
    found = preflight.preflight(place(target, "eu-nowhere-9"))
    assert not found.passed
    assert found.identity is None
    target.stub("sts").add_client_error("get_caller_identity", "InvalidClientTokenId", "bad")
    found = preflight.preflight(place(target))
    assert not found.passed
    assert {one.check for one in found.findings} >= {"credentials", "region", "Node and CDK"}


def test_the_policies_of_a_region_are_named_after_it() -> None:
    scope = Scope(settings=Settings(name="my-team"), partition="aws", account=ACCOUNT, region=REGION)
    assert [arn.rpartition("/")[2] for arn in execution_policy.policy_arns(scope)] == [
        f"my-team-deployment-{REGION}",
        f"my-team-deployment-account-{REGION}",
    ]


@pytest.mark.wide
def test_the_pinned_cdk_is_that_of_this_repository() -> None:
    assert only(tools.cdk(ROOT)).status == "pass"
