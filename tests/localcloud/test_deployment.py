"""The CDK's command line, as pinned, deploys to the embedded cloud."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kindling.localcloud import lifecycle
from kindling.localcloud.images import Images
from kindling.localcloud.lifecycle import CloudInfo

ROOT = Path(__file__).resolve().parents[2]
CDK = ROOT / "node_modules" / ".bin" / "cdk"

pytestmark = pytest.mark.skipif(not CDK.exists(), reason="the CDK's command line is not installed; run make install")

_FUNCTION = """
import os
from aws_lambda_powertools import Logger
from layered import WORD

def handler(event, context):
    return f"{os.environ['GREETING']} {WORD}"
"""


@pytest.fixture(scope="module")
def assets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The app's function, layer and image context."""
    folder = tmp_path_factory.mktemp("assets")
    files = {
        "function/app.py": _FUNCTION,
        "layer/python/layered.py": "WORD = 'from the layer'\n",
        "containers/blazingtext/Dockerfile": "FROM scratch\n",
    }
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content)
    return folder


@pytest.fixture(scope="module")
def cdk(cloud: CloudInfo, assets: Path, aws: Any) -> Callable[..., str]:
    """Run the CDK's command line; gives what it printed."""
    folder = assets / "run"
    folder.mkdir()

    def run(*arguments: str) -> str:
        done = subprocess.run(
            [str(CDK), *arguments],
            cwd=folder,
            env={**os.environ, "HOME": str(folder), **lifecycle.deploy_environment(cloud)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout[-6000:]
        return done.stdout

    run("bootstrap", "aws://123456789012/us-east-1")
    return run


def synthesise(assets: Path, **environment: str) -> None:
    """Synthesise the app, without the command line's detour through a shell."""
    subprocess.run(
        [sys.executable, str(Path(__file__).with_name("deployed_app.py")), str(assets)],
        env={**os.environ, "CDK_OUTDIR": str(assets / "cdk.out"), **environment},
        check=True,
        capture_output=True,
    )


@pytest.fixture(scope="module")
def deploy(cdk: Callable[..., str], assets: Path) -> Callable[[], str]:
    """Deploy every stack as last synthesised; gives what the command printed. It has been done once."""
    synthesise(assets)

    def run() -> str:
        # The repository of the images is made by the first stack, so images must not be built before it is there.
        how = ("--method", "direct", "--require-approval", "never", "--asset-prebuild=false")
        return cdk("deploy", "--all", *how, "--app", str(assets / "cdk.out"))

    run()
    return run


def outputs(aws: Any, stack: str) -> dict[str, str]:
    """A stack's outputs by name."""
    found = aws("cloudformation").describe_stacks(StackName=stack)["Stacks"][0]
    return {one["OutputKey"]: one["OutputValue"] for one in found.get("Outputs", [])}


def ask(aws: Any, stack: str = "DeployedPipeline") -> Any:
    """What the deployed state machine comes to."""
    sfn = aws("stepfunctions")
    arn = sfn.start_execution(stateMachineArn=outputs(aws, stack)["StateMachineArn"])["executionArn"]
    while (found := sfn.describe_execution(executionArn=arn))["status"] == "RUNNING":
        pass
    assert found["status"] == "SUCCEEDED", found
    return json.loads(found["output"])["Payload"]


def test_everything_is_there_and_runs(deploy: Callable[[], str], aws: Any) -> None:
    base = outputs(aws, "DeployedBase")
    bucket = base["DataBucketName"]
    assert aws("s3").get_bucket_versioning(Bucket=bucket)["Status"] == "Enabled"
    policy = json.loads(aws("s3").get_bucket_policy(Bucket=bucket)["Policy"])
    assert any("aws:SecureTransport" in json.dumps(one) for one in policy["Statement"])
    rules = aws("s3").get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]["Rules"]
    assert rules[0]["ApplyServerSideEncryptionByDefault"]["KMSMasterKeyID"] == base["KeyArn"]
    assert aws("kms").get_key_rotation_status(KeyId=base["KeyArn"])["KeyRotationEnabled"]
    subscriptions = aws("sns").list_subscriptions_by_topic(TopicArn=base["TopicArn"])["Subscriptions"]
    assert [one["Endpoint"] for one in subscriptions] == ["someone@example.com"]
    assert aws("ecr").get_lifecycle_policy(repositoryName="deployed/images")["lifecyclePolicyText"]
    alarm = aws("cloudwatch").describe_alarms()["MetricAlarms"][0]
    assert alarm["AlarmActions"] == [base["TopicArn"]]
    machine = aws("stepfunctions").describe_state_machine(
        stateMachineArn=outputs(aws, "DeployedPipeline")["StateMachineArn"]
    )
    assert machine["loggingConfiguration"]["level"] == "ALL"
    assert machine["tracingConfiguration"]["enabled"]
    groups = aws("logs").describe_log_groups()["logGroups"]
    assert any(group.get("kmsKeyId") == base["KeyArn"] and group["retentionInDays"] == 7 for group in groups)
    assert ask(aws) == "hello from the layer"


def test_the_image_s_uri_names_its_algorithm(deploy: Callable[[], str], aws: Any, cloud: CloudInfo) -> None:
    uri = outputs(aws, "DeployedImages")["ImageUri"]
    assert Images(cloud.state / "images").algorithm_of(uri) == "blazingtext"
    assert "/deployed/images:" in uri
    tag = uri.rpartition(":")[2]
    images = aws("ecr").describe_images(repositoryName="deployed/images")["imageDetails"]
    assert tag in [one for image in images for one in image["imageTags"]]
    assert aws("ssm").get_parameter(Name="/deployed/image")["Parameter"]["Value"] == uri


def test_a_second_deployment_changes_nothing(deploy: Callable[[], str]) -> None:
    assert deploy().count("(no changes)") == 3


def test_a_change_of_code_layer_and_environment_takes_effect(deploy: Callable[[], str], assets: Path, aws: Any) -> None:
    (assets / "layer" / "python" / "layered.py").write_text("WORD = 'from the newer layer'\n")
    synthesise(assets, DEPLOYED_APP_GREETING="good evening")
    deploy()
    assert ask(aws) == "good evening from the newer layer"


def test_what_was_deployed_can_be_destroyed(
    deploy: Callable[[], str], cdk: Callable[..., str], assets: Path, aws: Any
) -> None:
    bucket = outputs(aws, "DeployedBase")["DataBucketName"]
    function = outputs(aws, "DeployedPipeline")["FunctionName"]
    cdk("destroy", "--all", "--force", "--app", str(assets / "cdk.out"))
    assert bucket not in [one["Name"] for one in aws("s3").list_buckets()["Buckets"]]
    assert function not in [one["FunctionName"] for one in aws("lambda").list_functions()["Functions"]]
    assert aws("cloudwatch").describe_alarms()["MetricAlarms"] == []
    stacks = aws("cloudformation").describe_stacks()["Stacks"]
    assert [one["StackName"] for one in stacks if one["StackName"].startswith("Deployed")] == []
