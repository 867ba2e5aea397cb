"""The account's own stack: what it promises, what it leaves out, and that its boundary fits the app's roles."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from kindling.localcloud.policy_evaluation import Document, Request, as_list, concerns, decide
from kindling.policy_documents import ACCOUNT, REGION, Documents
from tests.stacks.policies import policies
from tests.stacks.synthesis import Assembly, Template, run_app

STACK = "KindlingAccount"
HERE = f"{REGION}:{ACCOUNT}"
# What a role of the app asks for in the conditions of its statements, where a test has to make a request of them.
ANY_TEXT = ("x", "a/b:c-1")
LONGEST_MANAGED_POLICY = 6144


pytestmark = pytest.mark.wide


@pytest.fixture(scope="module")
def stack(account_assembly: Assembly) -> Template:
    return account_assembly.templates[STACK]


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Template:
    """What the settings' defaults give."""
    return synthesised(tmp_path_factory.mktemp("plain"))


def synthesised(folder: Path, **settings: Any) -> Template:
    process = run_app(folder / "out", program="account.py", **settings)
    assert process.returncode == 0, process.stderr
    assembly = Assembly(folder / "out")
    assert len(assembly.templates) == 1
    return next(iter(assembly.templates.values()))


def of_type(stack: Template, type: str) -> list[dict[str, Any]]:
    return [resource["Properties"] for resource in stack["Resources"].values() if resource["Type"] == type]


def test_the_apps_own_stacks_do_not_have_it(assembly: Assembly) -> None:
    assert STACK not in assembly.templates


def test_the_same_settings_give_the_same_bytes_and_cdk_nag_has_nothing_to_say(
    account_assembly: Assembly, plain: Template, tmp_path: Path
) -> None:
    assert not account_assembly.violations()
    assert json.dumps(synthesised(tmp_path)) == json.dumps(plain)


def test_a_setting_that_cannot_be_meant_ends_with_one_sentence(tmp_path: Path) -> None:
    process = run_app(tmp_path / "out", program="account.py", monthly_budget_usd="0")
    assert process.returncode == 1
    assert process.stderr.strip() == "The context key monthly_budget_usd is '0'; it must be US dollars above 0."


def test_budgets_tell_the_topic_at_50_80_and_100_percent_and_when_more_is_forecast(stack: Template) -> None:
    account, sagemaker = of_type(stack, "AWS::Budgets::Budget")
    assert account["Budget"]["BudgetLimit"] == {"Amount": 200, "Unit": "USD"}
    assert sagemaker["Budget"]["BudgetLimit"] == {"Amount": 150, "Unit": "USD"}
    assert "CostFilters" not in account["Budget"]
    assert sagemaker["Budget"]["CostFilters"] == {"Service": ["Amazon SageMaker"]}
    (topic,) = (name for name, one in stack["Resources"].items() if one["Type"] == "AWS::SNS::Topic")
    for budget in (account, sagemaker):
        assert (budget["Budget"]["BudgetType"], budget["Budget"]["TimeUnit"]) == ("COST", "MONTHLY")
        told = budget["NotificationsWithSubscribers"]
        assert [(one["Notification"]["NotificationType"], one["Notification"]["Threshold"]) for one in told] == [
            *(("ACTUAL", 50), ("ACTUAL", 80), ("ACTUAL", 100), ("FORECASTED", 100)),
        ]
        assert all(one["Subscribers"] == [{"Address": {"Ref": topic}, "SubscriptionType": "SNS"}] for one in told)


def test_a_budget_is_made_after_the_topic_may_be_published_to(stack: Template) -> None:
    (policy,) = (name for name, one in stack["Resources"].items() if one["Type"] == "AWS::SNS::TopicPolicy")
    for resource in stack["Resources"].values():
        if resource["Type"] == "AWS::Budgets::Budget":
            assert policy in resource["DependsOn"]


def test_without_amounts_addresses_or_wishes_there_is_none_of_it(plain: Template, tmp_path: Path) -> None:
    assert not of_type(plain, "AWS::Budgets::Budget")
    assert not of_type(plain, "AWS::SNS::Subscription")
    bare = synthesised(tmp_path, access_analyzer="false", registry_scanning="none")
    assert not of_type(bare, "AWS::AccessAnalyzer::Analyzer")
    assert not of_type(bare, "AWS::ECR::RegistryScanningConfiguration")
    assert len(of_type(bare, "AWS::Events::Rule")) == 3


def test_the_topic_is_encrypted_and_every_address_is_subscribed(stack: Template) -> None:
    (topic,) = of_type(stack, "AWS::SNS::Topic")
    assert "Fn::GetAtt" in topic["KmsMasterKeyId"]
    subscribed = {(one["Protocol"], one["Endpoint"]) for one in of_type(stack, "AWS::SNS::Subscription")}
    assert subscribed == {("email", "ml@example.org"), ("email", "money@example.org")}
    (key,) = of_type(stack, "AWS::KMS::Key")
    assert key["EnableKeyRotation"] is True


@pytest.mark.parametrize(
    ("service", "on_behalf_of"),
    [
        ("budgets", {"aws:SourceAccount": [ACCOUNT], "aws:SourceArn": [f"arn:aws:budgets::{ACCOUNT}:budget/x"]}),
        ("cloudwatch", {"aws:SourceAccount": [ACCOUNT], "aws:SourceArn": [f"arn:aws:cloudwatch:{HERE}:alarm:x"]}),
        ("events", {}),
    ],
)
def test_a_service_may_publish_to_the_topic_and_use_its_key_for_this_account(
    account_assembly: Assembly, service: str, on_behalf_of: dict[str, list[str]]
) -> None:
    key, topic = (_of_service(account_assembly, service, path) for path in ("Alarms/Key", "Alarms/Topic/Policy"))
    topic_arn, key_arn = (as_list(one["Statement"][0]["Resource"])[0] for one in (topic, key))
    for action, document, arn in (
        ("sns:Publish", topic, topic_arn),
        ("kms:GenerateDataKey", key, key_arn),
        ("kms:Decrypt", key, key_arn),
    ):
        assert decide([document], Request(action, arn, on_behalf_of)) == "allowed", action
        if on_behalf_of:
            stranger = {**on_behalf_of, "aws:SourceAccount": ["999999999999"]}
            assert decide([document], Request(action, arn, stranger)) == "implicitDeny", action


def _of_service(assembly: Assembly, service: str, path: str) -> Document:
    """The statements about one service in the policy of a resource."""
    principal = {"Service": f"{service}.amazonaws.com"}
    (policy,) = (one for one in policies(assembly) if one.resource == f"{STACK}/{path}/Resource")
    return {"Statement": [one for one in policy.document["Statement"] if one["Principal"] == principal]}


def test_nobody_may_publish_without_tls(account_assembly: Assembly) -> None:
    (policy,) = (one for one in policies(account_assembly) if one.resource == f"{STACK}/Alarms/Topic/Policy/Resource")
    (topic,) = {statement["Resource"] for statement in policy.document["Statement"]}
    plain_text = Request("sns:Publish", topic, {"aws:SecureTransport": ["false"]})
    assert decide([policy.document], plain_text) == "explicitDeny"


@pytest.mark.parametrize(
    ("wanted", "scan_type", "frequency"),
    [("enhanced", "ENHANCED", "CONTINUOUS_SCAN"), ("basic", "BASIC", "SCAN_ON_PUSH")],
)
def test_all_images_of_the_account_are_scanned(
    wanted: str, scan_type: str, frequency: str, stack: Template, plain: Template
) -> None:
    (scanning,) = of_type(stack if wanted == "enhanced" else plain, "AWS::ECR::RegistryScanningConfiguration")
    everything = {"RepositoryFilters": [{"Filter": "*", "FilterType": "WILDCARD"}], "ScanFrequency": frequency}
    assert scanning == {"Rules": [everything], "ScanType": scan_type}


def test_only_critical_findings_reach_the_topic(stack: Template) -> None:
    (topic,) = (name for name, one in stack["Resources"].items() if one["Type"] == "AWS::SNS::Topic")
    rules = [rule for rule in of_type(stack, "AWS::Events::Rule") if "EventPattern" in rule]
    assert [rule["EventPattern"]["detail"] for rule in rules] == [
        {"finding-severity-counts": {"CRITICAL": [{"numeric": [">", 0]}]}},
        {"severity": ["CRITICAL"], "status": ["ACTIVE"], "resources": {"type": ["AWS_ECR_CONTAINER_IMAGE"]}},
    ]
    assert all([target["Arn"] for target in rule["Targets"]] == [{"Ref": topic}] for rule in rules)


def test_the_analyser_watches_the_account(stack: Template) -> None:
    assert of_type(stack, "AWS::AccessAnalyzer::Analyzer")[0]["Type"] == "ACCOUNT"


@pytest.mark.parametrize(("action", "expected"), [("delete", "rate(1 hour)"), ("report", "rate(1 day)")])
def test_the_reaper_is_asked_what_the_settings_want_when_it_is_due(
    action: str, expected: str, stack: Template, plain: Template
) -> None:
    (rule,) = (
        one
        for one in of_type(stack if action == "delete" else plain, "AWS::Events::Rule")
        if "ScheduleExpression" in one
    )
    assert rule["ScheduleExpression"] == expected
    transformer = rule["Targets"][0]["InputTransformer"]
    assert transformer["InputPathsMap"] == {"time": "$.time"}
    before, topic, after = transformer["InputTemplate"]["Fn::Join"][1]
    asked = json.loads((before + topic["Ref"] + after).replace("<time>", '"2026-01-01T00:00:00Z"'))
    assert asked["prices_usd_per_hour"]["ml.m5.large"] == 0.115
    del asked["prices_usd_per_hour"]
    assert asked == {
        "at": "2026-01-01T00:00:00Z",
        "ours": "kindling-",
        "action": action,
        "idle_hours": 24,
        "topic_arn": topic["Ref"],
        "log_retention_days": 90,
    }


def test_a_reaper_that_fails_raises_an_alarm(stack: Template) -> None:
    (alarm,) = of_type(stack, "AWS::CloudWatch::Alarm")
    assert (alarm["MetricName"], alarm["Threshold"], alarm["TreatMissingData"]) == ("Errors", 1, "notBreaching")
    assert len(alarm["AlarmActions"]) == 1


def reaper_allows(stack: Template, request: Request) -> bool:
    (role,) = Documents({STACK: stack}, naming=as_made).roles()
    return decide([{"Statement": list(role.statements)}], request) == "allowed"


def endpoint(**tags: str) -> Request:
    context = {f"aws:ResourceTag/kindling:{key}": [value] for key, value in tags.items()}
    return Request("sagemaker:DeleteEndpoint", f"arn:aws:sagemaker:{HERE}:endpoint/text8", context)


def test_the_reaper_may_delete_what_pipelines_made_and_nothing_that_is_kept(stack: Template, plain: Template) -> None:
    ours, foreign = (
        [
            Request("sagemaker:DeleteEndpointConfig", f"arn:aws:sagemaker:{HERE}:endpoint-config/{name}"),
            Request("sagemaker:DeleteModel", f"arn:aws:sagemaker:{HERE}:model/{name}"),
            Request("cloudwatch:DeleteAlarms", f"arn:aws:cloudwatch:{HERE}:alarm:{name}"),
        ]
        for name in ("kindling-blazingtext-1", "payroll-1")
    )
    assert all(reaper_allows(stack, request) for request in (endpoint(algorithm="blazingtext"), *ours))
    forbidden = (endpoint(), endpoint(keep="false"), endpoint(algorithm="x", keep="TRUE"), *foreign)
    assert not any(reaper_allows(stack, request) for request in forbidden)
    # One that only reports may delete nothing at all.
    assert not any(reaper_allows(plain, request) for request in (endpoint(algorithm="x"), *ours, *foreign))


# -- the boundary ------------------------------------------------------------------------------------------------------


def as_made(stack: str, logical_id: str, resource: Mapping[str, Any]) -> str:
    """A name as CloudFormation makes it, or the one that the template gives."""
    properties = resource.get("Properties", {})
    given = next((properties[key] for key in ("RepositoryName", "TopicName", "AlarmName") if key in properties), None)
    if given is not None:
        return str(given)
    if resource["Type"] == "AWS::StepFunctions::StateMachine":
        return f"{logical_id}-AbCdEf123"
    name = f"{stack[:24]}-{logical_id[:24]}-AbCdEf123"
    return name.lower() if resource["Type"] == "AWS::S3::Bucket" else name


@pytest.fixture(scope="module")
def boundary(account_assembly: Assembly) -> Document:
    (policy,) = (one for one in policies(account_assembly) if one.resource == f"{STACK}/Boundary/Policy/Resource")
    return policy.document


def test_the_boundary_has_the_name_that_the_setting_takes_and_fits(stack: Template, boundary: Document) -> None:
    (policy,) = of_type(stack, "AWS::IAM::ManagedPolicy")
    assert policy["ManagedPolicyName"] == "kindling-boundary"
    assert "Roles" not in policy
    assert len(json.dumps(boundary, separators=(",", ":"))) <= LONGEST_MANAGED_POLICY


def requests_of(statement: Mapping[str, Any]) -> Iterator[Request]:
    """What a statement of a role allows, with texts in the place of wildcards."""
    conditions = statement.get("Condition", {})
    context = {
        key: [re.sub(r"\*", "x", one) for one in as_list(wanted)][:1]
        for operator, keys in conditions.items()
        if operator != "Null" and "Not" not in operator
        for key, wanted in keys.items()
    }
    for action in as_list(statement["Action"]):
        assert "*" not in action, "a role's statement names its actions"
        for resource in as_list(statement["Resource"]):
            for text in ANY_TEXT:
                yield Request(action, resource if resource == "*" else resource.replace("*", text), context)


def test_what_the_roles_may_do_they_may_under_the_boundary(widest: dict[str, Template], boundary: Document) -> None:
    roles = Documents(widest, naming=as_made).roles()
    assert any(role.path.startswith(STACK) for role in roles)
    assert len(roles) > 10
    denied = {
        f"{role.path}: {request.action} on {request.resource} with {dict(request.context)}"
        for role in roles
        for statement in role.statements
        for request in requests_of(statement)
        if decide([boundary], request) != "allowed"
    }
    assert not denied, "\n".join(sorted(denied))


def test_the_boundary_allows_nothing_that_no_role_asks_for(widest: dict[str, Template], boundary: Document) -> None:
    asked = {
        action
        for role in Documents(widest, naming=as_made).roles()
        for statement in role.statements
        for action in as_list(statement["Action"])
    }
    unasked = [
        pattern
        for statement in boundary["Statement"]
        if statement["Effect"] == "Allow"
        for pattern in as_list(statement["Action"])
        if not any(concerns({"Action": pattern}, Request(action)) for action in asked)
    ]
    assert not unasked


ADMINISTRATOR: Document = {"Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
ROLE = f"arn:aws:iam::{ACCOUNT}:role/KindlingTraining-Role-AbC"
OURS, OTHERS = f"arn:aws:iam::{ACCOUNT}:policy/kindling-boundary", f"arn:aws:iam::{ACCOUNT}:policy/others"


@pytest.mark.parametrize(
    "request_",
    [
        *(
            Request(f"iam:{action}", ROLE)
            for action in (
                *("AttachRolePolicy", "DeleteRolePermissionsBoundary", "DeleteRolePolicy", "PutRolePolicy", "TagRole"),
                *("UpdateAssumeRolePolicy", "DetachRolePolicy", "DeleteRole", "UpdateRole"),
            )
        ),
        Request("iam:PutRolePermissionsBoundary", ROLE, {"iam:PermissionsBoundary": [OTHERS]}),
        Request("iam:CreateRole", ROLE),
        Request("iam:CreateRole", ROLE, {"iam:PermissionsBoundary": [OURS]}),
        Request("iam:CreateRole", ROLE, {"iam:PermissionsBoundary": [OTHERS]}),
        Request("iam:CreateUser", f"arn:aws:iam::{ACCOUNT}:user/eve"),
        Request("iam:CreateAccessKey", f"arn:aws:iam::{ACCOUNT}:user/admin"),
        Request("iam:CreatePolicyVersion", OURS),
        Request("iam:SetDefaultPolicyVersion", OURS),
        Request("iam:DeletePolicy", OURS),
        Request("iam:CreateServiceLinkedRole", f"arn:aws:iam::{ACCOUNT}:role/aws-service-role/ec2.amazonaws.com/x"),
        Request("organizations:LeaveOrganization"),
        Request("organizations:DescribeOrganization"),
        Request("account:CloseAccount"),
    ],
    ids=lambda request: request.action,
)
def test_an_administrator_under_the_boundary_cannot_change_iam_or_leave(request_: Request, boundary: Document) -> None:
    assert decide([ADMINISTRATOR], request_) == "allowed"
    assert decide([ADMINISTRATOR], request_, boundary) == "explicitDeny"


@pytest.mark.parametrize(
    "request_",
    [
        Request(
            "iam:PassRole", f"arn:aws:iam::{ACCOUNT}:role/admin", {"iam:PassedToService": ["sagemaker.amazonaws.com"]}
        ),
        Request("iam:PassRole", ROLE, {"iam:PassedToService": ["lambda.amazonaws.com"]}),
        Request("sts:AssumeRole", f"arn:aws:iam::{ACCOUNT}:role/admin"),
        Request("s3:GetObject", "arn:aws:s3:::payroll/2026.csv"),
        Request("s3:PutBucketPolicy", "arn:aws:s3:::kindlingstorage-data-x"),
        Request("lambda:InvokeFunction", f"arn:aws:lambda:{HERE}:function:payroll"),
        Request("lambda:UpdateFunctionCode", f"arn:aws:lambda:{HERE}:function:KindlingTraining-Plan-x"),
        Request("sagemaker:CreateTrainingJob", f"arn:aws:sagemaker:{HERE}:training-job/payroll-1"),
        Request("sagemaker:DeleteModel", f"arn:aws:sagemaker:{HERE}:model/payroll-1"),
        Request("sagemaker:CreateNotebookInstance", f"arn:aws:sagemaker:{HERE}:notebook-instance/kindling-1"),
        Request("sns:Publish", f"arn:aws:sns:{HERE}:payroll"),
        Request("kms:ScheduleKeyDeletion", f"arn:aws:kms:{HERE}:key/x"),
        Request("logs:DeleteLogGroup", f"arn:aws:logs:{HERE}:log-group:/aws/sagemaker/TrainingJobs"),
        Request("ec2:RunInstances", f"arn:aws:ec2:{HERE}:instance/*"),
        Request("secretsmanager:GetSecretValue", f"arn:aws:secretsmanager:{HERE}:secret:x"),
        Request("sagemaker:DeleteEndpoint", "arn:aws:sagemaker:eu-west-1:999999999999:endpoint/x"),
    ],
    ids=lambda request: f"{request.action} {request.resource}",
)
def test_an_administrator_under_the_boundary_reaches_nothing_of_others(request_: Request, boundary: Document) -> None:
    assert decide([ADMINISTRATOR], request_, boundary) == "implicitDeny"


def test_the_reapers_role_waits_for_a_boundary_of_the_same_stack(tmp_path: Path) -> None:
    stack = synthesised(tmp_path, permissions_boundary="kindling-boundary")
    (policy,) = (name for name, one in stack["Resources"].items() if one["Type"] == "AWS::IAM::ManagedPolicy")
    roles = [one for one in stack["Resources"].values() if one["Type"] == "AWS::IAM::Role"]
    assert roles
    for role in roles:
        assert "policy/kindling-boundary" in json.dumps(role["Properties"]["PermissionsBoundary"])
        assert policy in role["DependsOn"]
