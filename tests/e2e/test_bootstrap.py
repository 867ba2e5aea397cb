"""An account made ready from nothing, looked at before and after, deployed to, and all of it done twice."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kindling.bootstrap import execution_policy
from kindling.bootstrap.grants import Scope
from kindling.environments import ROOT
from kindling.localcloud import lifecycle
from kindling.localcloud.cloud import REGION
from kindling.localcloud.policy_evaluation import Request, concerns, statements
from kindling.ports import free_port
from kindling.targets import EmbeddedTarget, running_embedded_cloud
from stacks.settings import Settings

ACCOUNT = "123456789012"
STACKS = ["kindling-deployment-policies", "CDKToolkit", "KindlingAccount"]

# Python runs this when it starts: in the cloud's process it writes down each call that CloudFormation's resource types
# make of the cloud's own API.
_RECORDER = """
import os, sys
if "kindling.localcloud.server" in " ".join(sys.orig_argv):
    from botocore.client import BaseClient
    call = BaseClient._make_api_call
    def recorded(self, operation, arguments):
        with open(os.environ["RECORDED_CALLS"], "a") as file:
            file.write(f"{self.meta.service_model.service_name} {operation}\\n")
        return call(self, operation, arguments)
    BaseClient._make_api_call = recorded
"""
# Operations that IAM has another name for: https://docs.aws.amazon.com/service-authorization/latest/reference/
_ACTIONS = {
    "s3:PutBucketEncryption": "s3:PutEncryptionConfiguration",
    "s3:DeleteBucketEncryption": "s3:PutEncryptionConfiguration",
    "s3:PutBucketLifecycleConfiguration": "s3:PutLifecycleConfiguration",
    "s3:DeleteBucketLifecycle": "s3:PutLifecycleConfiguration",
    "s3:PutBucketNotificationConfiguration": "s3:PutBucketNotification",
    "s3:PutPublicAccessBlock": "s3:PutBucketPublicAccessBlock",
    "s3:DeletePublicAccessBlock": "s3:PutBucketPublicAccessBlock",
    "s3:DeleteBucketOwnershipControls": "s3:PutBucketOwnershipControls",
    "s3:DeleteBucketTagging": "s3:PutBucketTagging",
}


@pytest.fixture(scope="module")
def calls(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of what CloudFormation's resource types have called."""
    return tmp_path_factory.mktemp("calls") / "calls"


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory, calls: Path) -> Iterator[EmbeddedTarget]:
    """A bare cloud, whose calls of itself are recorded."""
    state, recorder = tmp_path_factory.mktemp("bare"), tmp_path_factory.mktemp("recorder")
    (recorder / "sitecustomize.py").write_text(_RECORDER)
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("PYTHONPATH", str(recorder))
        environment.setenv("RECORDED_CALLS", str(calls))
        lifecycle.up(state, free_port())
    yield running_embedded_cloud(state)
    lifecycle.down(state)


def command(cloud: EmbeddedTarget, *words: str) -> subprocess.CompletedProcess[str]:
    """A command of the command line, which must succeed."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "KINDLING_"))}
    line = [sys.executable, "-m", "kindling.cli", *words, "--state", str(cloud.state)]
    done = subprocess.run(line, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done


def kindling(cloud: EmbeddedTarget, *words: str) -> Any:
    """What a command tells of the only place that there is."""
    (place,) = json.loads(command(cloud, *words, "--json").stdout)["places"]
    return place


def stacks(cloud: EmbeddedTarget) -> list[str]:
    return [stack["StackName"] for stack in cloud.client("cloudformation").describe_stacks()["Stacks"]]


def found(place: Any, check: str) -> list[str]:
    return [one["status"] for one in place["checks"] if one["check"] == check]


def results(place: Any) -> dict[str, str]:
    return {step["what"]: step["result"] for step in place["steps"]}


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_an_account_is_made_ready_and_deployed_to(cloud: EmbeddedTarget, calls: Path) -> None:
    bare = kindling(cloud, "doctor")
    assert (bare["account"], bare["region"]) == (ACCOUNT, REGION)
    assert found(bare, "CDK bootstrap") == ["warn"]
    assert set(found(bare, "quota")) == {"pass"}

    dry = kindling(cloud, "bootstrap", "--dry-run")
    changes = {step["what"]: {change["type"] for change in step["changes"]} for step in dry["steps"]}
    assert list(changes) == [*STACKS, "cost tags"]
    assert changes[STACKS[0]] == {"AWS::IAM::ManagedPolicy"}
    assert "AWS::KMS::Key" in changes[STACKS[1]], "assets are encrypted with a key of their own"
    assert "AWS::SNS::Topic" in changes[STACKS[2]]
    assert stacks(cloud) == [], "a dry run makes nothing"

    assert set(results(kindling(cloud, "bootstrap", "--yes")).values()) == {"made", "changed"}
    assert sorted(stacks(cloud)) == sorted(STACKS)
    role = f"cdk-hnb659fds-cfn-exec-role-{ACCOUNT}-{REGION}"
    attached = cloud.client("iam").list_attached_role_policies(RoleName=role)["AttachedPolicies"]
    assert sorted(one["PolicyName"] for one in attached) == [
        f"kindling-deployment-account-{REGION}",
        f"kindling-deployment-{REGION}",
    ]
    assert set(results(kindling(cloud, "bootstrap", "--yes")).values()) == {"unchanged"}
    calls.unlink()
    deployed = command(cloud, "deploy")
    assert "bootstrapping" not in deployed.stderr, "it was bootstrapped already"
    ready = kindling(cloud, "doctor")
    assert found(ready, "CDK bootstrap") == found(ready, "execution policy") == ["pass"]
    assert all(step["changes"] == [] for step in kindling(cloud, "bootstrap", "--dry-run")["steps"])

    command(cloud, "teardown", "--yes")
    assert refused(calls) == set()


def refused(calls: Path) -> set[str]:
    """Of what CloudFormation called while it deployed and removed the app: what the policies do not allow anywhere."""
    scope = Scope(settings=Settings(), partition="aws", account=ACCOUNT, region=REGION)
    somewhere = [
        {"Action": one["Action"], "Resource": "*"} for one in statements(execution_policy.documents(scope).values())
    ]
    called = {line.replace(" ", ":", 1) for line in calls.read_text().splitlines()}
    assert len(called) > 40
    asked = {_ACTIONS.get(name, name.replace("stepfunctions:", "states:")) for name in called}
    return {action for action in asked if not any(concerns(one, Request(action)) for one in somewhere)}
