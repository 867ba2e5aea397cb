"""A deployment as for production: a network of its own, encrypted volumes, dashboards."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from gensim.test.utils import datapath

from containers import catalogue
from kindling import resources
from tests.e2e.conftest import SMALL, Deployment, deployment_in

pytestmark = pytest.mark.slow  # a cloud of its own, deployed with other settings

SETTINGS = {"network": "private", "network_zones": "3", "dashboards": "true"}


@pytest.fixture(scope="module")
def networked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    with deployment_in(tmp_path_factory.mktemp("private"), settings=SETTINGS) as found:
        yield found


@pytest.fixture(scope="module")
def vpc_config(networked: Deployment) -> dict[str, list[str]]:
    """What the network's stack says of itself."""
    made = resources.outputs(networked.target, "KindlingNetwork")
    assert made is not None
    return {"Subnets": made["SubnetIds"].split(","), "SecurityGroupIds": [made["SecurityGroupId"]]}


@pytest.fixture(scope="module")
def corpus(networked: Deployment) -> str:
    return networked.upload(Path(datapath("lee_background.cor")), "lee")


def test_the_network_has_no_way_to_the_internet(networked: Deployment, vpc_config: dict[str, list[str]]) -> None:
    ec2 = networked.client("ec2")
    subnets = ec2.describe_subnets(SubnetIds=vpc_config["Subnets"])["Subnets"]
    assert len({subnet["AvailabilityZone"] for subnet in subnets}) == 3
    (vpc,) = {subnet["VpcId"] for subnet in subnets}
    assert not ec2.describe_internet_gateways(Filters=[{"Name": "attachment.vpc-id", "Values": [vpc]}])[
        "InternetGateways"
    ]
    assert not ec2.describe_nat_gateways(Filters=[{"Name": "vpc-id", "Values": [vpc]}])["NatGateways"]


def test_a_run_trains_tunes_and_serves_inside_the_network_on_encrypted_volumes(
    networked: Deployment, corpus: str, vpc_config: dict[str, list[str]]
) -> None:
    ended = networked.run(
        {
            "inputs": {"train": corpus},
            "hyperparameters": SMALL,
            "tuning": {
                "metric": "train:mean_rho",
                "ranges": {"learning_rate": [0.01, 0.05]},
                "jobs": 1,
                "then": "train",
            },
            "endpoint": {"name": "inside"},
        }
    )
    assert ended["status"] == "SUCCEEDED", ended.get("cause")
    output: dict[str, Any] = json.loads(ended["output"])
    sagemaker = networked.client("sagemaker")
    trained = sagemaker.describe_training_job(TrainingJobName=output["training"]["job_name"])
    tuned = sagemaker.describe_hyper_parameter_tuning_job(HyperParameterTuningJobName=output["tuning"]["job_name"])
    config = sagemaker.describe_endpoint(EndpointName="inside")["EndpointConfigName"]
    served = sagemaker.describe_endpoint_config(EndpointConfigName=config)
    model = sagemaker.describe_model(ModelName=served["ProductionVariants"][0]["ModelName"])
    assert trained["VpcConfig"] == tuned["TrainingJobDefinition"]["VpcConfig"] == model["VpcConfig"] == vpc_config
    key = (resources.outputs(networked.target, "KindlingStorage") or {})["KeyArn"]
    assert trained["ResourceConfig"]["VolumeKmsKeyId"] == served["KmsKeyId"] == key


def test_every_dashboard_is_kept_and_is_about_what_is_there(networked: Deployment) -> None:
    cloudwatch = networked.client("cloudwatch")
    named = {entry["DashboardName"] for entry in cloudwatch.list_dashboards()["DashboardEntries"]}
    assert named == {"kindling", *(f"kindling-{name.replace('_', '-')}" for name in catalogue.algorithms())}
    functions = {one["FunctionName"] for one in networked.client("lambda").list_functions()["Functions"]}
    machines = {
        one["stateMachineArn"] for one in networked.client("stepfunctions").list_state_machines()["stateMachines"]
    }
    for name in named:
        body = json.loads(cloudwatch.get_dashboard(DashboardName=name)["DashboardBody"])
        metrics = [metric for widget in body["widgets"] for metric in widget["properties"].get("metrics", [])]
        assert {metric[3] for metric in metrics if metric[0] == "AWS/Lambda"} == functions
        shown = {metric[3] for metric in metrics if metric[0] == "AWS/States"}
        assert shown == machines if name == "kindling" else len(shown & machines) == len(shown) == 1
