"""Plans of a deployment whose jobs and models are in a VPC."""

from __future__ import annotations

from typing import Any

import pytest

from contract.specification import InvalidJobError
from lambdas.plan.plan import plan
from lambdas.plan.site import Site
from tests.unit.test_lambda_plan import ALGORITHM, GOOD, SITE

VPC: dict[str, list[str]] = {"Subnets": ["subnet-1", "subnet-2"], "SecurityGroupIds": ["sg-1"]}
INSIDE = Site.model_validate({**SITE.model_dump(), "vpc": VPC})


def planned(site: Site, **more: Any) -> dict[str, Any]:
    given = {"name": "r", "input": {**GOOD, **more}}
    return plan(ALGORITHM, site, given, lambda bucket, prefix: True)


def test_a_training_job_and_the_jobs_of_a_tuning_job_are_put_into_the_vpc() -> None:
    found = planned(INSIDE, tuning={"ranges": {"learning_rate": [0.01, 0.1]}, "metric": "train:mean_rho"})
    assert found["training"]["VpcConfig"] == VPC
    assert found["tuning"]["TrainingJobDefinition"]["VpcConfig"] == VPC


def test_a_preparation_is_put_into_the_vpc_beside_its_isolation() -> None:
    name = sorted(ALGORITHM.preparations)[0]
    described = ALGORITHM.preparations[name]
    asked = {
        "inputs": {} if "train" in described.channels else GOOD["inputs"],
        "preparation": {
            "name": name,
            "inputs": dict.fromkeys(described.inputs, "s3://the-data/blazingtext/raw"),
        },
    }
    network = planned(INSIDE, **asked)["preparation"]["NetworkConfig"]
    assert network["VpcConfig"] == VPC
    assert "EnableNetworkIsolation" in network
    assert "VpcConfig" not in planned(SITE, **asked)["preparation"]["NetworkConfig"]


def test_without_a_network_no_job_has_the_field() -> None:
    found = planned(SITE, tuning={"ranges": {"learning_rate": [0.01, 0.1]}, "metric": "train:mean_rho"})
    assert "VpcConfig" not in str(found)


def test_a_serverless_endpoint_is_refused_where_models_are_in_a_vpc_and_only_there() -> None:
    endpoint = {"name": "text8", "serverless": {}}
    assert "ServerlessConfig" in planned(SITE, endpoint=endpoint)["deployment"]["variants"][0]
    with pytest.raises(InvalidJobError, match=r"^endpoint\.serverless is given, but models of this deployment are in"):
        planned(INSIDE, endpoint=endpoint)
