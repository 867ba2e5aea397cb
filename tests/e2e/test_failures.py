"""Each step of the pipeline fails once: nothing is left behind, and the execution's output holds the cause in words.

A step is made to fail by altering its state in a copy of the deployed state machine; everything else is as deployed.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.e2e.conftest import SMALL, WRAPPINGS, Deployment

States = dict[str, Any]

NO_TOPIC = "arn:aws:sns:us-east-1:123456789012:nowhere"


def _nowhere(state: str) -> Callable[[States], None]:
    """The Lambda that the state calls does not exist."""

    def alter(states: States) -> None:
        states[state]["Resource"] = "arn:aws:lambda:us-east-1:123456789012:function:nowhere"

    return alter


def _train(states: States) -> None:
    states["Train"]["Parameters"]["AlgorithmSpecification"] = {
        "TrainingImage": "nowhere/nothing:1",
        "TrainingInputMode": "File",
    }
    del states["Train"]["Parameters"]["AlgorithmSpecification.$"]
    states["Train"]["Retry"] = []


def _create_model(states: States) -> None:
    container = states["CreateModel"]["Parameters"]["PrimaryContainer"]
    container["ModelDataUrl.$"] = "States.Format('{}.missing', $.job.ModelArtifacts.S3ModelArtifacts)"
    container["Image"] = "nowhere/nothing:1"
    del container["Image.$"]


def _create_endpoint_config(states: States) -> None:
    states["CreateEndpointConfig"]["Parameters"]["ProductionVariants"] = [
        {"VariantName": "a", "ModelName": "no-such-model", "InstanceType": "ml.m5.large", "InitialInstanceCount": 1}
    ]
    del states["CreateEndpointConfig"]["Parameters"]["ProductionVariants.$"]


def _create_endpoint(states: States) -> None:
    states["CreateEndpoint"]["Parameters"]["EndpointConfigName"] = "no-such-config"
    del states["CreateEndpoint"]["Parameters"]["EndpointConfigName.$"]


def _endpoint_never_healthy(states: States) -> None:
    # The model's data is no archive, so the server cannot start.
    container = states["CreateModel"]["Parameters"]["PrimaryContainer"]
    container["ModelDataUrl.$"] = "$.execution.input.inputs.train"


def _smoke_test(states: States) -> None:
    states["SmokeTest"]["Parameters"]["smoke_test"]["expect"] = "[0].no_such_field"


def _update_endpoint(states: States) -> None:
    states["UpdateEndpoint"]["Parameters"]["EndpointConfigName"] = "no-such-config"
    del states["UpdateEndpoint"]["Parameters"]["EndpointConfigName.$"]


def _unannounced(states: States) -> None:
    _nowhere("Plan")(states)
    states["NotifyFailure"]["Parameters"]["TopicArn"] = NO_TOPIC


def _notify(states: States) -> None:
    states["Notify"]["Parameters"]["TopicArn"] = NO_TOPIC


def _gate(states: States) -> None:
    """The gate needs no altered state: the input asks for a rho that cannot be."""


FAULTS: dict[str, tuple[Callable[[States], None], str, str]] = {
    "Plan": (_nowhere("Plan"), "PlanFailed", "Plan: "),
    "Train": (_train, "TrainFailed", "nowhere/nothing:1"),
    "Evaluate": (_nowhere("Evaluate"), "EvaluateFailed", "Evaluate: "),
    "Gate": (_gate, "GateFailed", "train:mean_rho"),
    "CreateModel": (_create_model, "DeployFailed", "nowhere/nothing:1"),
    "CreateEndpointConfig": (_create_endpoint_config, "DeployFailed", "no-such-model"),
    "FindEndpoint": (_nowhere("FindEndpoint"), "DeployFailed", "FindEndpoint: "),
    "CreateEndpoint": (_create_endpoint, "DeployFailed", "no-such-config"),
    "WaitForEndpoint": (_endpoint_never_healthy, "DeployFailed", "CheckEndpoint: "),
    "SmokeTest": (_smoke_test, "SmokeTestFailed", "no_such_field"),
    "RetireOld": (_nowhere("RetireOld"), "DeployFailed", "RetireOld: "),
    "Notify": (_notify, "NotifyFailed", "Notify: "),
}


@pytest.fixture(scope="module")
def sabotaged(deployed: Deployment) -> Iterator[Callable[[Callable[[States], None]], str]]:
    """Makes a copy of the deployed state machine with one state altered, and gives its ARN."""
    stepfunctions = deployed.client("stepfunctions")
    original = stepfunctions.describe_state_machine(stateMachineArn=deployed.state_machine)
    made: list[str] = []

    def make(alter: Callable[[States], None]) -> str:
        definition = json.loads(original["definition"])
        alter(definition["States"])
        machine = stepfunctions.create_state_machine(
            name=f"sabotaged-{len(made)}", definition=json.dumps(definition), roleArn=original["roleArn"]
        )
        made.append(machine["stateMachineArn"])
        return made[-1]

    yield make
    for arn in made:
        stepfunctions.delete_state_machine(stateMachineArn=arn)


@pytest.mark.parametrize("state", FAULTS)
def test_a_failure_leaves_nothing_behind_and_tells_its_cause_in_words(
    deployed: Deployment, corpus: str, sabotaged: Callable[[Callable[[States], None]], str], state: str
) -> None:
    alter, error, words = FAULTS[state]
    before = deployed.hosted()
    execution = deployed.run(
        {
            "name": "broken",
            "inputs": {"train": f"{corpus}/lee_background.cor"},
            "hyperparameters": {**SMALL, "epochs": "1"},
            "gate": {"metric": "train:mean_rho", "at_least": 2 if state == "Gate" else -1},
            "endpoint": {"name": f"broken-{state.lower()}"},
        },
        sabotaged(alter),
    )
    assert execution["status"] == "FAILED"
    assert (execution["error"], words in execution["cause"]) == (error, True), execution["cause"]
    assert not any(key in execution["cause"] for key in WRAPPINGS), "the cause is to be words, not JSON"
    assert "could not be undone" not in execution["cause"]
    assert deployed.hosted() == before
    assert deployed.running_jobs() == []


UPDATES: dict[str, tuple[Callable[[States], None], str]] = {
    "UpdateEndpoint": (_update_endpoint, "DeployFailed"),
    "CheckEndpoint": (_nowhere("CheckEndpoint"), "DeployFailed"),
    "SmokeTest": (_smoke_test, "SmokeTestFailed"),
    "RetireOld": (_nowhere("RetireOld"), "DeployFailed"),
}


@pytest.fixture(scope="module")
def update(deployed: Deployment, corpus: str) -> dict[str, Any]:
    """The input of an execution that updates an endpoint which is there."""
    request = {
        "name": "kept",
        "inputs": {"train": corpus},
        "hyperparameters": {**SMALL, "epochs": "1"},
        "endpoint": {"name": "kept"},
    }
    assert deployed.run(request)["status"] == "SUCCEEDED"
    return request


@pytest.mark.parametrize("state", UPDATES)
def test_a_failing_update_puts_the_endpoint_back_on_its_former_model(
    deployed: Deployment, update: dict[str, Any], sabotaged: Callable[[Callable[[States], None]], str], state: str
) -> None:
    alter, error = UPDATES[state]
    before = deployed.hosted()
    serving = deployed.client("sagemaker").describe_endpoint(EndpointName="kept")["EndpointConfigName"]

    execution = deployed.run(update, sabotaged(alter))

    assert execution["error"] == error
    assert execution["cause"].startswith(f"{state}: ")
    endpoint = deployed.client("sagemaker").describe_endpoint(EndpointName="kept")
    assert (endpoint["EndpointStatus"], endpoint["EndpointConfigName"]) == ("InService", serving)
    assert deployed.hosted() == before
    answer = deployed.client("sagemaker-runtime").invoke_endpoint(
        EndpointName="kept", ContentType="application/json", Body=b'{"instances": ["the"]}'
    )
    assert any(json.loads(answer["Body"].read())[0]["vector"])


def test_a_failure_is_announced(deployed: Deployment, corpus: str) -> None:
    execution = deployed.start({"name": "announced", "inputs": {"train": corpus}, "hyperparameters": {"mode": "warp"}})
    assert deployed.wait(execution)["status"] == "FAILED"
    assert deployed.states(execution)[-3:] == ["IsRolledBack", "NotifyFailure", "Failed"]


def test_a_failure_that_cannot_be_announced_keeps_its_cause(
    deployed: Deployment, corpus: str, sabotaged: Callable[[Callable[[States], None]], str]
) -> None:
    request = {"inputs": {"train": corpus}, "hyperparameters": SMALL, "endpoint": {"name": "never-seen"}}
    execution = deployed.run(request, sabotaged(_unannounced))
    assert execution["error"] == "PlanFailed"
    assert execution["cause"].startswith("Plan: ")
    assert "could not be announced" in execution["cause"]
