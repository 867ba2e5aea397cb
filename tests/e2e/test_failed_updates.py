"""A state fails while an endpoint is updated: the endpoint is put back, whatever state it was."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from typing import Any

import pytest

from tests.e2e.conftest import SMALL, Deployment

_NO_FUNCTION = "arn:aws:lambda:us-east-1:123456789012:function:gone"
_NO_TOPIC = "arn:aws:sns:us-east-1:123456789012:gone"
SERVED = "served-before"

# What is done to a state so that it fails, and what the execution then says.
BROKEN: dict[str, tuple[dict[str, Any], str, str]] = {
    "Plan": ({"Resource": _NO_FUNCTION}, "PlanFailed", "Plan: Function not found"),
    "UpdateEndpoint": ({"Parameters": {"EndpointConfigName": "no_name"}}, "DeployFailed", "UpdateEndpoint: "),
    "CheckEndpoint": ({"Resource": _NO_FUNCTION}, "DeployFailed", "CheckEndpoint: Function not found"),
    "RetireOld": ({"Resource": _NO_FUNCTION}, "DeployFailed", "RetireOld: Function not found"),
}
UPDATING = ["UpdateEndpoint", "CheckEndpoint", "RetireOld"]


@pytest.fixture(scope="module")
def served(deployed: Deployment, corpus: str) -> Iterator[str]:
    """An endpoint that was there before anything fails."""
    assert deployed.run(_request(corpus, SERVED))["status"] == "SUCCEEDED"
    yield SERVED
    sagemaker = deployed.client("sagemaker")
    config = sagemaker.describe_endpoint(EndpointName=SERVED)["EndpointConfigName"]
    sagemaker.delete_endpoint(EndpointName=SERVED)
    sagemaker.delete_endpoint_config(EndpointConfigName=config)


def _request(corpus: str, endpoint: str) -> dict[str, Any]:
    return {
        "inputs": {"train": corpus},
        "hyperparameters": {**SMALL, "evaluation": "False"},
        "endpoint": {"name": endpoint},
    }


def _broken(deployed: Deployment, *states: str) -> str:
    """A copy of the pipeline in which some states cannot succeed."""
    client = deployed.client("stepfunctions")
    machine = client.describe_state_machine(stateMachineArn=deployed.state_machine)
    definition = json.loads(machine["definition"])
    for name in states:
        state, change = definition["States"][name], BROKEN[name][0]
        parameters = {**state["Parameters"]}
        for key, value in change.get("Parameters", {}).items():
            parameters.pop(f"{key}.$", None)
            parameters[key] = value
        state |= {**change, "Parameters": parameters, "Retry": state["Retry"]}
        for retry in state["Retry"]:
            retry |= {"IntervalSeconds": 1, "MaxAttempts": 1}
    made = client.create_state_machine(
        name=f"broken-{states[0]}-{secrets.token_hex(3)}", definition=json.dumps(definition), roleArn=machine["roleArn"]
    )
    return str(made["stateMachineArn"])


@pytest.mark.parametrize("state", UPDATING)
def test_a_failure_while_updating_puts_the_endpoint_back(
    deployed: Deployment, corpus: str, served: str, state: str
) -> None:
    sagemaker = deployed.client("sagemaker")
    before, config = deployed.hosted(), sagemaker.describe_endpoint(EndpointName=served)["EndpointConfigName"]
    _, error, cause = BROKEN[state]
    ended = deployed.run(_request(corpus, served), _broken(deployed, state))
    assert (ended["status"], ended["error"]) == ("FAILED", error)
    assert ended["cause"].startswith(cause)
    assert deployed.hosted() == before
    endpoint = sagemaker.describe_endpoint(EndpointName=served)
    assert (endpoint["EndpointConfigName"], endpoint["EndpointStatus"]) == (config, "InService")


def test_a_failure_that_cannot_be_announced_keeps_its_cause(deployed: Deployment, corpus: str) -> None:
    client = deployed.client("stepfunctions")
    definition = json.loads(client.describe_state_machine(stateMachineArn=_broken(deployed, "Plan"))["definition"])
    definition["States"]["NotifyFailure"]["Parameters"]["TopicArn"] = _NO_TOPIC
    role = client.describe_state_machine(stateMachineArn=deployed.state_machine)["roleArn"]
    machine = client.create_state_machine(
        name=f"mute-{secrets.token_hex(3)}", definition=json.dumps(definition), roleArn=role
    )["stateMachineArn"]
    ended = deployed.run(_request(corpus, "never-seen"), machine)
    assert ended["error"] == "PlanFailed"
    assert ended["cause"].startswith("Plan: Function not found")
    assert "could not be announced" in ended["cause"]
