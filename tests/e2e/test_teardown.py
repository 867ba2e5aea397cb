"""A deployment is taken away: nothing is left that costs money, and what is kept is listed and really there."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from kindling import deployment, resources
from kindling.localcloud import lifecycle
from kindling.ports import free_port
from kindling.targets import running_embedded_cloud
from tests.e2e.conftest import SMALL, Deployment, until
from tests.e2e.inventory import Names, inventory, of_stack, without

# Deploying and taking away, twice; test_whole_life.py does so once.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

TOOLKIT = "CDKToolkit"  # kept by default: other apps of the account use it


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The state folder of a cloud of this module's own."""
    folder = tmp_path_factory.mktemp("teardown")
    lifecycle.up(folder, free_port())
    yield folder
    lifecycle.down(folder)


def kindling(state: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).parent / "kindling"), *arguments]
    environment = {**os.environ, "KINDLING_STATE": str(state), "COLUMNS": "250"}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=600)


def deploy(state: Path, **context: str) -> Deployment:
    target = running_embedded_cloud(state)
    deployment.deploy(target, context, print)
    return Deployment(target, resources.find(target))


def inventory_but_toolkit(client: Callable[[str], Any]) -> dict[str, Names]:
    """All there is in the account but for what the CDK's toolkit holds, which the first deployment makes."""
    found = inventory(client)
    return without(found, of_stack(client, TOOLKIT)) if TOOLKIT in found["stacks"] else found


def plant_orphans(deployed: Deployment) -> Names:
    """What a run can leave behind when it is stopped, here of a run that there never was; the names."""
    sagemaker = deployed.client("sagemaker")
    model = sagemaker.describe_model(ModelName=deployed.hosted()["models"][0])
    tags = [{"Key": "kindling:algorithm", "Value": "blazingtext"}, {"Key": "kindling:run", "Value": "never-was"}]
    name = "kindling-blazingtext-never-was-12345678"
    sagemaker.create_model(
        ModelName=name,
        PrimaryContainer=model["PrimaryContainer"],
        ExecutionRoleArn=model["ExecutionRoleArn"],
        Tags=tags,
    )
    variant = {"VariantName": "AllTraffic", "ModelName": name, "InstanceType": "ml.m5.large", "InitialInstanceCount": 1}
    sagemaker.create_endpoint_config(EndpointConfigName=name, ProductionVariants=[variant], Tags=tags)
    sagemaker.create_endpoint(EndpointName="left-behind", EndpointConfigName=name, Tags=tags)
    sagemaker.get_waiter("endpoint_in_service").wait(EndpointName="left-behind", WaiterConfig={"Delay": 1})
    alarm = "kindling-blazingtext-gone-5xx"
    deployed.client("cloudwatch").put_metric_alarm(
        AlarmName=alarm,
        Namespace="AWS/SageMaker",
        MetricName="Invocation5XXErrors",
        Dimensions=[{"Name": "EndpointName", "Value": "gone"}, {"Name": "VariantName", "Value": "AllTraffic"}],
        Statistic="Sum",
        Period=60,
        EvaluationPeriods=1,
        Threshold=1,
        ComparisonOperator="GreaterThanOrEqualToThreshold",
    )
    deployed.client("application-autoscaling").register_scalable_target(
        ServiceNamespace="sagemaker",
        ResourceId="endpoint/left-behind/variant/AllTraffic",
        ScalableDimension="sagemaker:variant:DesiredInstanceCount",
        MinCapacity=1,
        MaxCapacity=2,
    )
    return {name, "left-behind", alarm}


def stand_apart(deployed: Deployment) -> Names:
    """What another deployment and a person by hand have in the account; the names."""
    sagemaker = deployed.client("sagemaker")
    model = sagemaker.describe_model(ModelName=deployed.hosted()["models"][0])
    names = {"kindling-dev-blazingtext-words-12345678", "by-hand"}
    for name in names:
        sagemaker.create_model(
            ModelName=name, PrimaryContainer=model["PrimaryContainer"], ExecutionRoleArn=model["ExecutionRoleArn"]
        )
    return names


def test_after_a_teardown_with_data_the_account_is_as_it_was_before_the_deployment(state: Path) -> None:
    from gensim.test.utils import datapath

    client = running_embedded_cloud(state).client
    before = inventory_but_toolkit(client)
    deployed = deploy(state, removal="retain")
    corpus = deployed.upload(Path(datapath("lee_background.cor")), "lee")
    run = {
        "name": "words",
        "inputs": {"train": corpus},
        "hyperparameters": SMALL,
        "endpoint": {"name": "words", "alarms": True},
        "registration": {},
    }
    assert deployed.run(run)["status"] == "SUCCEEDED"
    apart = stand_apart(deployed)

    planted = plant_orphans(deployed)
    listed = json.loads(kindling(state, "orphans", "--json").stdout)
    assert {one["name"] for one in listed} == planted
    assert {one["kind"] for one in listed} == {"endpoint", "endpoint configuration", "model", "alarm"}
    assert next(one["reason"] for one in listed if one["kind"] == "endpoint") == (
        "bears the tag of run never-was, which there is not"
    )
    declined = kindling(state, "orphans", "--delete")
    assert declined.returncode == 1, "nobody was there to say yes"
    assert "left-behind" in deployed.hosted()["endpoints"]
    deleted = kindling(state, "orphans", "--delete", "--yes")
    assert deleted.returncode == 0, deleted.stderr
    assert kindling(state, "orphans").stdout == "no orphans.\n"
    assert deployed.hosted()["endpoints"] == ["words"]
    plant_orphans(deployed)

    # A stack that somebody deleted by hand, an execution that runs, and protection.
    long_run = {**run, "name": "long", "hyperparameters": {**SMALL, "epochs": "10000"}, "endpoint": None}
    running = deployed.start(long_run)
    until(lambda: deployed.running_jobs() != [], 60, "training starts")
    cloudformation = deployed.client("cloudformation")
    cloudformation.delete_stack(StackName="KindlingExperiments")
    cloudformation.update_termination_protection(StackName="KindlingStorage", EnableTerminationProtection=True)

    refused = kindling(state, "teardown", "--include-data", "--yes")
    assert refused.returncode == 1
    assert "nothing was deleted: KindlingStorage is protected from deletion; add --unprotect" in refused.stderr
    everything = inventory(client)
    dry = kindling(state, "teardown", "--include-data", "--dry-run")
    assert dry.returncode == 0, dry.stderr
    for name in (*planted, "words", running.rpartition(":")[2], "KindlingStorage", TOOLKIT, deployed.found.data_bucket):
        assert name in dry.stdout
    assert inventory(client) == everything, "a dry run changes nothing"

    done = kindling(state, "teardown", "--include-data", "--yes", "--unprotect")
    assert done.returncode == 0, done.stderr + done.stdout
    ended = deployed.client("cloudformation").list_stacks(StackStatusFilter=["DELETE_COMPLETE"])["StackSummaries"]
    assert "KindlingTraining" in {stack["StackName"] for stack in ended}
    assert deployed.running_jobs() == []
    left = without(inventory_but_toolkit(client), apart)
    assert left == before
    assert apart <= inventory(client)["models"], "what is not of this deployment is left alone"

    again = kindling(state, "teardown", "--include-data", "--yes")
    assert again.returncode == 0, again.stderr
    assert "nothing of kindling is left to delete" in again.stderr
    for model in apart:
        deployed.client("sagemaker").delete_model(ModelName=model)


def test_without_data_what_is_kept_is_listed_and_there_and_can_be_deleted_later(state: Path) -> None:
    client = running_embedded_cloud(state).client
    before = inventory_but_toolkit(client)
    deployed = deploy(state, removal="retain")
    deployed.client("s3").put_object(Bucket=deployed.found.data_bucket, Key="blazingtext/a.txt", Body=b"a word")
    everything = inventory_but_toolkit(client)

    done = kindling(state, "teardown", "--yes")
    assert done.returncode == 0, done.stderr + done.stdout
    after = inventory_but_toolkit(client)
    gone = ("functions", "state machines", "roles", "topics", "parameters", "rules", "alarms")
    assert {kind: after[kind] for kind in gone} == {kind: before[kind] for kind in gone}
    stays = ("buckets", "keys", "repositories", "log groups", "model package groups")
    kept = {name for kind in stays for name in after[kind] - before[kind]}
    assert kept == {name for kind in stays for name in everything[kind] - before[kind]}
    lines = done.stdout.splitlines()
    for name in kept:
        line = next((line for line in lines if name in line), "")
        assert "retains it (removal=retain)" in line, f"{name} is not listed"
    bucket = next(line for line in lines if deployed.found.data_bucket in line)
    assert "1 object, old versions included, 0.0 MB: 0.023" in bucket
    body = deployed.client("s3").get_object(Bucket=deployed.found.data_bucket, Key="blazingtext/a.txt")["Body"]
    assert body.read() == b"a word"

    later = kindling(state, "teardown", "--include-data", "--yes")
    assert later.returncode == 0, later.stderr + later.stdout
    assert inventory_but_toolkit(client) == before
