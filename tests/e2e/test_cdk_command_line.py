"""The CDK's own command line with an app that is not ours, by the methods it takes when nobody names one."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import aws_cdk as cdk
import pytest
from aws_cdk import aws_iam as iam
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_sagemaker as sagemaker
from aws_cdk import aws_ssm as ssm

from kindling.environments import ROOT
from kindling.localcloud import lifecycle

from .conftest import Deployment

Cdk = Callable[..., "subprocess.CompletedProcess[str]"]


def assembly(folder: Path, value: str, *, broken: bool = False) -> str:
    """Synthesises two stacks, the second of which imports from the first, and gives their folder."""
    app = cdk.App(outdir=str(folder), analytics_reporting=False)
    environment = cdk.Environment(account="123456789012", region="us-east-1")
    first = cdk.Stack(app, "Stranger", env=environment)
    bucket = s3.Bucket(first, "Bucket", removal_policy=cdk.RemovalPolicy.DESTROY)
    parameter = ssm.StringParameter(first, "Parameter", parameter_name="/stranger", string_value=value)
    role = iam.Role(first, "Role", assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"))
    if broken:  # SageMaker may not assume that role; the parameter has been changed by then
        container = sagemaker.CfnModel.ContainerDefinitionProperty(image="nobody/s:image")
        model = sagemaker.CfnModel(first, "Model", execution_role_arn=role.role_arn, primary_container=container)
        model.node.add_dependency(parameter)
    second = cdk.Stack(app, "StrangersGuest", env=environment)
    ssm.StringParameter(second, "Parameter", parameter_name="/guest", string_value=bucket.bucket_name)
    app.synth()
    return str(folder)


@pytest.fixture(scope="module")
def run(deployed: Deployment) -> Cdk:
    """Runs a command of the CDK on the apps of a folder."""
    info = lifecycle.info(deployed.target.state)
    assert info is not None
    here = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    environment = {**here, **lifecycle.deploy_environment(info), "PATH": path}

    def run(app: str, *command: str) -> subprocess.CompletedProcess[str]:
        program = [str(ROOT / "node_modules" / ".bin" / "cdk"), "--app", app, "--no-notices", "--no-color", "--ci"]
        line = [*program, *command]
        return subprocess.run(
            line, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
        )

    return run


@pytest.fixture(scope="module")
def apps(tmp_path_factory: pytest.TempPathFactory, deployed: Deployment, run: Cdk) -> Iterator[dict[str, str]]:
    """The app as it was first, changed, and changed to what cannot be made; taken away in the end."""
    folder = tmp_path_factory.mktemp("apps")
    apps = {
        "first": assembly(folder / "first", "one"),
        "changed": assembly(folder / "changed", "two"),
        "broken": assembly(folder / "broken", "three", broken=True),
    }
    yield apps
    run(apps["first"], "destroy", "--all", "--force")


def deploy(run: Cdk, app: str) -> subprocess.CompletedProcess[str]:
    return run(app, "deploy", "--all", "--require-approval", "never")


def value(deployed: Deployment) -> str:
    return str(deployed.client("ssm").get_parameter(Name="/stranger")["Parameter"]["Value"])


def test_an_app_is_looked_at_deployed_changed_put_back_and_destroyed(
    deployed: Deployment, run: Cdk, apps: dict[str, str]
) -> None:
    stacks = deployed.client("cloudformation")

    def told() -> dict[str, str]:
        found = stacks.list_stacks()["StackSummaries"]
        mine = [one for one in found if "Stranger" in one["StackName"] and one["StackStatus"] != "DELETE_COMPLETE"]
        assert len({one["StackName"] for one in mine}) == len(mine), "a stack is there once"
        return {one["StackName"]: one["StackStatus"] for one in mine}

    difference = run(apps["first"], "diff", "--fail")
    assert difference.returncode == 1, "what is not there is a difference"
    assert "[+] AWS::S3::Bucket Bucket" in difference.stdout

    made = deploy(run, apps["first"])
    assert made.returncode == 0, made.stdout
    assert told() == {"Stranger": "CREATE_COMPLETE", "StrangersGuest": "CREATE_COMPLETE"}
    bucket = deployed.client("ssm").get_parameter(Name="/guest")["Parameter"]["Value"]
    deployed.client("s3").head_bucket(Bucket=bucket)
    same = run(apps["first"], "diff", "--fail")
    assert same.returncode == 0, same.stdout
    again = deploy(run, apps["first"])
    assert (again.returncode, again.stdout.count("(no changes)")) == (0, 2), again.stdout

    difference = run(apps["changed"], "diff", "--fail")
    assert difference.returncode == 1
    assert "[~] AWS::SSM::Parameter Parameter" in difference.stdout
    assert value(deployed) == "one", "a look changes nothing"
    updated = deploy(run, apps["changed"])
    assert updated.returncode == 0, updated.stdout
    assert (value(deployed), told()["Stranger"]) == ("two", "UPDATE_COMPLETE")

    failed = deploy(run, apps["broken"])
    assert failed.returncode == 1
    assert "Model (AWS::SageMaker::Model)" in failed.stdout
    assert "Could not assume role" in failed.stdout
    assert (value(deployed), told()["Stranger"]) == ("two", "UPDATE_ROLLBACK_COMPLETE")
    assert run(apps["changed"], "diff", "--fail").returncode == 0, "all of it was put back"

    destroyed = run(apps["changed"], "destroy", "--all", "--force")
    assert destroyed.returncode == 0, destroyed.stdout
    assert told() == {}
    with pytest.raises(deployed.client("s3").exceptions.ClientError, match="404"):
        deployed.client("s3").head_bucket(Bucket=bucket)
