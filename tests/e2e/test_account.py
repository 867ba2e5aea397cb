"""The account's stack, beside the app: what is there, and an endpoint that nobody asks is told of and deleted."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from kindling import resources
from kindling.environments import ROOT
from kindling.localcloud import lifecycle

from .conftest import ALGORITHM, SMALL, Deployment

pytestmark = pytest.mark.slow  # a cloud of its own, deployed with other settings

ACCOUNT, REGION = "123456789012", "us-east-1"
STACK = "KindlingAccount"
ENDPOINT = "forgotten"
SETTINGS = {
    "removal": "destroy",
    "termination_protection": "false",
    "monthly_budget_usd": "200",
    "sagemaker_budget_usd": "150",
    "alarm_email": "ml@example.org,money@example.org",
    "permissions_boundary": "kindling-boundary",
    "log_retention_days": "30",
}


@dataclass(frozen=True)
class AccountStack:
    """The stack, and a queue that hears what the alarm topic hears."""

    deployed: Deployment
    cdk: Callable[..., None]
    queue: str

    def client(self, service: str) -> Any:
        return self.deployed.client(service)

    def topic(self) -> str:
        found = resources.outputs(self.deployed.target, STACK)
        assert found is not None
        return found["AlarmTopicArn"]

    def rule(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """The reaper's schedule and its target."""
        events = self.client("events")
        (rule,) = (one for one in events.list_rules(NamePrefix=STACK)["Rules"] if "ScheduleExpression" in one)
        (target,) = events.list_targets_by_rule(Rule=rule["Name"])["Targets"]
        return rule, target

    def look(self, hours_from_now: float) -> dict[str, Any]:
        """Asks the reaper what its rule asks it, at that time."""
        due = (datetime.now(UTC) + timedelta(hours=hours_from_now)).isoformat(timespec="seconds")
        _, target = self.rule()
        asked = target["InputTransformer"]["InputTemplate"].replace("<time>", json.dumps(due))
        answer = self.client("lambda").invoke(FunctionName=target["Arn"], Payload=asked)
        result: dict[str, Any] = json.loads(answer["Payload"].read())
        assert "FunctionError" not in answer, result
        return result

    def told(self) -> dict[str, str]:
        """The next message on the alarm topic."""
        sqs, deadline = self.client("sqs"), time.monotonic() + 15
        while time.monotonic() < deadline:
            for message in sqs.receive_message(QueueUrl=self.queue).get("Messages", []):
                sqs.delete_message(QueueUrl=self.queue, ReceiptHandle=message["ReceiptHandle"])
                found: dict[str, str] = json.loads(message["Body"])
                return found
            time.sleep(0.1)
        raise AssertionError("nothing was told")


@pytest.fixture(scope="module")
def account(deployed: Deployment, tmp_path_factory: pytest.TempPathFactory) -> Iterator[AccountStack]:
    info = lifecycle.info(deployed.target.state)
    assert info is not None
    here = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    environment = {**here, **lifecycle.deploy_environment(info), "PATH": path}

    def cdk(*command: str, **settings: str) -> None:
        program = [str(ROOT / "node_modules" / ".bin" / "cdk"), "--app", f"{sys.executable} account.py"]
        output = ["--output", str(tmp_path_factory.mktemp("account") / "out"), "--no-notices", "--no-color", "--ci"]
        context = [word for name, value in settings.items() for word in ("--context", f"{name}={value}")]
        process = subprocess.run(
            [*program, *command, "--all", *output, *context],
            cwd=ROOT,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert process.returncode == 0, process.stdout

    deploy = ("deploy", "--method", "direct", "--require-approval", "never")
    cdk(*deploy, **SETTINGS)
    sqs = deployed.client("sqs")
    queue = sqs.create_queue(QueueName="alarms")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    stack = AccountStack(deployed, lambda **settings: cdk(*deploy, **{**SETTINGS, **settings}), queue)
    deployed.client("sns").subscribe(TopicArn=stack.topic(), Protocol="sqs", Endpoint=arn)
    yield stack
    cdk("destroy", "--force", **SETTINGS)
    sqs.delete_queue(QueueUrl=queue)
    assert resources.outputs(deployed.target, STACK) is None
    assert deployed.client("budgets").describe_budgets(AccountId=ACCOUNT)["Budgets"] == []
    assert not deployed.client("events").list_rules(NamePrefix=STACK)["Rules"]


@pytest.fixture(scope="module")
def endpoint(deployed: Deployment, corpus: str) -> tuple[str, str]:
    """An endpoint as a pipeline makes it: the run, and the name of the configuration and the model behind it."""
    execution = deployed.run(
        {
            "name": "forgotten-run",
            "inputs": {"train": corpus},
            "hyperparameters": SMALL,
            "gate": None,
            "endpoint": {"name": ENDPOINT, "instance_type": "ml.m5.large", "alarms": {"errors_5xx": 5}},
        }
    )
    assert execution["status"] == "SUCCEEDED", execution.get("cause")
    described = deployed.client("sagemaker").describe_endpoint(EndpointName=ENDPOINT)
    return str(execution["name"]), str(described["EndpointConfigName"])


def test_what_an_account_has_is_there(account: AccountStack) -> None:
    budgets = account.client("budgets")
    found = budgets.describe_budgets(AccountId=ACCOUNT)["Budgets"]
    assert {one["BudgetName"]: (one["BudgetLimit"]["Amount"], one.get("CostFilters")) for one in found} == {
        "kindling-account-us-east-1": ("200", None),
        "kindling-sagemaker-us-east-1": ("150", {"Service": ["Amazon SageMaker"]}),
    }
    for budget in found:
        name = {"AccountId": ACCOUNT, "BudgetName": budget["BudgetName"]}
        told = budgets.describe_notifications_for_budget(**name)["Notifications"]
        assert [one["Threshold"] for one in told] == [50, 80, 100, 100]

    attributes = account.client("sns").get_topic_attributes(TopicArn=account.topic())["Attributes"]
    key = account.client("kms").describe_key(KeyId=attributes["KmsMasterKeyId"])["KeyMetadata"]
    assert account.client("kms").get_key_rotation_status(KeyId=key["KeyId"])["KeyRotationEnabled"]
    subscribed = account.client("sns").list_subscriptions_by_topic(TopicArn=account.topic())["Subscriptions"]
    assert {one["Endpoint"] for one in subscribed if one["Protocol"] == "email"} == {
        "ml@example.org",
        "money@example.org",
    }
    scanning = account.client("ecr").get_registry_scanning_configuration()["scanningConfiguration"]
    assert (scanning["scanType"], scanning["rules"][0]["scanFrequency"]) == ("BASIC", "SCAN_ON_PUSH")
    kinds = account.client("cloudformation").describe_stack_resources(StackName=STACK)["StackResources"]
    assert "AWS::AccessAnalyzer::Analyzer" in {one["ResourceType"] for one in kinds}
    assert account.rule()[0]["ScheduleExpression"] == "rate(1 day)"
    (alarm,) = account.client("cloudwatch").describe_alarms(AlarmNamePrefix=STACK)["MetricAlarms"]
    assert alarm["AlarmActions"] == [account.topic()]


def test_the_boundary_bounds_the_roles_of_the_stack_that_makes_it(account: AccountStack) -> None:
    iam = account.client("iam")
    boundary = f"arn:aws:iam::{ACCOUNT}:policy/kindling-boundary"
    version = iam.get_policy(PolicyArn=boundary)["Policy"]["DefaultVersionId"]
    document = iam.get_policy_version(PolicyArn=boundary, VersionId=version)["PolicyVersion"]["Document"]
    assert {"Allow", "Deny"} == {statement["Effect"] for statement in document["Statement"]}
    roles = [one["RoleName"] for one in iam.list_roles()["Roles"] if one["RoleName"].startswith(STACK)]
    assert roles
    for role in roles:
        found = iam.get_role(RoleName=role)["Role"]["PermissionsBoundary"]
        assert found["PermissionsBoundaryArn"] == boundary


def test_critical_findings_in_an_image_are_told_and_others_are_not(account: AccountStack) -> None:
    for repository, counts in (("harmless", {"HIGH": 9}), ("kindling-algorithms", {"CRITICAL": 2, "HIGH": 1})):
        detail = {"scan-status": "COMPLETE", "repository-name": repository, "finding-severity-counts": counts}
        entry = {"Source": "aws.ecr", "DetailType": "ECR Image Scan", "Detail": json.dumps(detail)}
        account.client("events").put_events(Entries=[entry])
    event = json.loads(account.told()["Message"])
    assert event["detail"]["repository-name"] == "kindling-algorithms"


def test_an_endpoint_that_nobody_asks_is_told_and_then_deleted(
    account: AccountStack, endpoint: tuple[str, str]
) -> None:
    sagemaker, (run, config) = account.client("sagemaker"), endpoint
    alarm = f"kindling-{ALGORITHM}-{ENDPOINT}-5xx"
    assert account.client("cloudwatch").describe_alarms(AlarmNames=[alarm])["MetricAlarms"]
    assert account.look(hours_from_now=1)["idle"] == {}, "it has just been made, and asked by the smoke test"

    asked_at = datetime.now(UTC) + timedelta(hours=10)
    names = [{"Name": "EndpointName", "Value": ENDPOINT}, {"Name": "VariantName", "Value": "AllTraffic"}]
    asked = {"MetricName": "Invocations", "Dimensions": names, "Timestamp": asked_at, "Value": 1.0}
    account.client("cloudwatch").put_metric_data(Namespace="AWS/SageMaker", MetricData=[asked])
    assert account.look(hours_from_now=30)["idle"] == {}, "it was asked 20 hours before"

    assert account.look(hours_from_now=40)["idle"] == {ENDPOINT: None}
    message = account.told()
    assert message["Subject"] == "Kindling: 1 idle endpoint"
    expected = f"- {ENDPOINT} ({ALGORITHM}, run {run}): 1 x ml.m5.large, 83.95 USD a month. Delete it with "
    assert expected in message["Message"]
    assert sagemaker.describe_endpoint(EndpointName=ENDPOINT)["EndpointStatus"] == "InService"

    account.cdk(idle_endpoint_action="delete")
    assert account.rule()[0]["ScheduleExpression"] == "rate(1 hour)"
    arn = sagemaker.describe_endpoint(EndpointName=ENDPOINT)["EndpointArn"]
    sagemaker.add_tags(ResourceArn=arn, Tags=[{"Key": "kindling:keep", "Value": "true"}])
    assert account.look(hours_from_now=40)["idle"] == {}, "it is kept"
    sagemaker.delete_tags(ResourceArn=arn, TagKeys=["kindling:keep"])

    outcome = account.look(hours_from_now=40)["idle"][ENDPOINT]
    assert outcome == "It was deleted with its configuration and its models."
    assert outcome in account.told()["Message"]
    sagemaker.get_waiter("endpoint_deleted").wait(EndpointName=ENDPOINT, WaiterConfig={"Delay": 1, "MaxAttempts": 60})
    left = account.deployed.hosted()
    assert config not in left["configs"]
    assert config not in left["models"]
    assert not account.client("cloudwatch").describe_alarms(AlarmNames=[alarm])["MetricAlarms"]


def test_what_sagemaker_logged_expires(account: AccountStack, endpoint: tuple[str, str]) -> None:
    account.look(hours_from_now=0)
    groups = account.client("logs").describe_log_groups(logGroupNamePrefix="/aws/sagemaker/")["logGroups"]
    retention = {group["logGroupName"]: group.get("retentionInDays") for group in groups}
    assert retention["/aws/sagemaker/TrainingJobs"] == 30
    assert retention[f"/aws/sagemaker/Endpoints/{ENDPOINT}"] == 30
