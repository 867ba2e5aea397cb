"""Each step of the pipeline fails once: nothing is left behind, and the execution's output holds the cause in words.

A step is made to fail by altering its state in a copy of the deployed state machine; everything else is as deployed,
but that later steps get a model that has been trained before.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
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


def _of_nowhere(*names: str) -> Callable[[States], None]:
    """The Lambdas that these states call do not exist, in branches either."""

    def alter(states: States) -> None:
        for name in names:
            around = states if name in states else states["TrainOnSpot"]["Branches"][0]["States"]
            around[name] = {
                **{key: value for key, value in around[name].items() if key not in ("Parameters", "Retry")},
                "Resource": "arn:aws:lambda:us-east-1:123456789012:function:nowhere",
            }

    return alter


def _straight_to_on_demand(states: States) -> None:
    states["TrainOnSpot"] = {"Type": "Pass", "Next": "TrainOnDemand"}
    _of_nowhere("TrainOnDemand")(states)


def _approved_at_once(states: States) -> None:
    answer = {"by": "somebody", "comment": "fine"}
    states["Approve"] = {"Type": "Pass", "Result": answer, "ResultPath": "$.made.approval", "Next": "AcceptPackage"}
    _of_nowhere("AcceptPackage")(states)


PREPARATION = {"name": "phrases", "inputs": {"corpus": "{corpus}/lee_background.cor"}}
TUNING = {"ranges": {"window_size": [2, 5]}, "jobs": 1}
BATCH = {"input": "{corpus}/lee_background.cor"}
SPOT = {"spot": True}

# State -> how it is altered, the error, words of the cause, and what of the input leads to it.
OPTIONAL: dict[str, tuple[Callable[[States], None], str, dict[str, Any]]] = {
    "Prepare": (_of_nowhere("Prepare"), "PrepareFailed", {"preparation": PREPARATION, "inputs": {}}),
    "Tune": (_of_nowhere("Tune"), "TuneFailed", {"tuning": TUNING}),
    "FindBest": (_of_nowhere("FindBest"), "TuneFailed", {"tuning": TUNING}),
    "FindSpotJob": (_of_nowhere("OnSpotHosts", "FindSpotJob"), "TrainFailed", {"resources": SPOT}),
    "TrainOnDemand": (_straight_to_on_demand, "TrainFailed", {"resources": SPOT}),
    "Compare": (_of_nowhere("Compare"), "CompareFailed", {"comparison": True, "endpoint": {"name": "never"}}),
    "Register": (_of_nowhere("Register"), "RegisterFailed", {"registration": True}),
    "AcceptPackage": (_approved_at_once, "ApproveFailed", {"approval": True}),
    "CreateBatchModel": (_of_nowhere("CreateBatchModel"), "BatchFailed", {"batch": BATCH}),
    "Batch": (_of_nowhere("Batch"), "BatchFailed", {"batch": BATCH}),
    "DeleteBatchModel": (
        _of_nowhere("DeleteBatchModel"),
        "BatchFailed",
        {"batch": {"input": "{corpus}/words.jsonl", "content_type": "application/jsonlines"}},
    ),
    "PutAlarms": (_of_nowhere("PutAlarms"), "DeployFailed", {"endpoint": {"name": "unwatched", "alarms": True}}),
    "Scale": (
        _of_nowhere("Scale"),
        "DeployFailed",
        {"endpoint": {"name": "unscaled", "alarms": True, "scaling": {"max_instances": 2}}},
    ),
}


@pytest.fixture(scope="module")
def trained(deployed: Deployment, corpus: str) -> dict[str, Any]:
    """The description of a training job that has made a model."""
    request = {"inputs": {"train": corpus}, "hyperparameters": {**SMALL, "epochs": "1"}, "endpoint": None}
    output = json.loads(deployed.run(request)["output"])
    job = deployed.client("sagemaker").describe_training_job(TrainingJobName=output["training"]["job_name"])
    described: dict[str, Any] = json.loads(json.dumps(job, default=str))
    return described


Sabotage = Callable[[Callable[[States], None]], str]


@pytest.fixture(scope="module")
def sabotaged(deployed: Deployment, trained: dict[str, Any]) -> Iterator[Sabotage]:
    """Makes a copy of the deployed state machine with one state altered, and gives its ARN."""
    stepfunctions = deployed.client("stepfunctions")
    original = stepfunctions.describe_state_machine(stateMachineArn=deployed.state_machine)
    made: list[str] = []

    def make(alter: Callable[[States], None]) -> str:
        definition = json.loads(original["definition"])
        states = definition["States"]
        alter(states)
        if states["Train"] == json.loads(original["definition"])["States"]["Train"]:
            states["Train"] = {"Type": "Pass", "Result": trained, "ResultPath": "$.job", "Next": "Evaluate"}
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
    deployed: Deployment, corpus: str, sabotaged: Sabotage, state: str
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


@pytest.mark.parametrize("state", OPTIONAL)
def test_a_failure_of_an_optional_state_leaves_nothing_behind(
    deployed: Deployment, corpus: str, sabotaged: Sabotage, state: str, tmp_path: Path
) -> None:
    (tmp_path / "words.jsonl").write_text('{"source": "the"}\n')
    deployed.upload(tmp_path / "words.jsonl", "lee")
    alter, error, more = OPTIONAL[state]
    more = json.loads(json.dumps(more).replace("{corpus}", corpus))
    before, alarms = deployed.hosted(), _alarms(deployed)
    given = {
        "inputs": {"train": f"{corpus}/lee_background.cor"},
        "hyperparameters": {name: value for name, value in SMALL.items() if name not in ("epochs",)},
        "endpoint": None,
    }
    execution = deployed.run({**given, **more}, sabotaged(alter))
    assert (execution["status"], execution["error"]) == ("FAILED", error), execution["cause"]
    assert not any(key in execution["cause"] for key in WRAPPINGS), "the cause is to be words, not JSON"
    assert "could not be undone" not in execution["cause"]
    assert deployed.hosted() == before
    assert deployed.running_jobs() == []
    assert _alarms(deployed) == alarms
    approved = [one for one in _versions(deployed) if one["ModelApprovalStatus"] != "Rejected"]
    assert not [one for one in approved if execution["name"] in one["ModelPackageDescription"]]


def _alarms(deployed: Deployment) -> list[str]:
    alarms = deployed.client("cloudwatch").describe_alarms(AlarmNamePrefix="kindling-")["MetricAlarms"]
    return sorted(alarm["AlarmName"] for alarm in alarms)


def _versions(deployed: Deployment) -> list[dict[str, Any]]:
    listed = deployed.client("sagemaker").list_model_packages(ModelPackageGroupName="kindling-blazingtext")
    found: list[dict[str, Any]] = listed["ModelPackageSummaryList"]
    return found


def test_a_run_does_not_fail_of_its_litter(deployed: Deployment, corpus: str, sabotaged: Sabotage) -> None:
    request = {
        "preparation": {"name": "phrases", "inputs": {"corpus": f"{corpus}/lee_background.cor"}},
        "hyperparameters": SMALL,
        "endpoint": None,
    }
    arn = deployed.start(request, sabotaged(_of_nowhere("CleanUp")))
    assert deployed.wait(arn)["status"] == "SUCCEEDED"
    assert deployed.states(arn)[-3:] == ["CleanUp", "Notify", "Succeeded"]


def test_a_rollback_that_fails_itself_is_told_with_what_was_to_be_undone(
    deployed: Deployment, corpus: str, sabotaged: Sabotage
) -> None:
    execution = deployed.run(
        {"inputs": {"train": corpus}, "hyperparameters": SMALL, "endpoint": {"name": "never-there"}},
        sabotaged(_of_nowhere("FindEndpoint", "Rollback")),
    )
    assert execution["error"] == "RollbackFailed"
    assert "FindEndpoint" in execution["cause"]
    assert "could not be undone" in execution["cause"]
    sagemaker = deployed.client("sagemaker")
    for config in sagemaker.list_endpoint_configs(NameContains=execution["name"][:12])["EndpointConfigs"]:
        sagemaker.delete_endpoint_config(EndpointConfigName=config["EndpointConfigName"])
    for model in sagemaker.list_models(NameContains=execution["name"][:12])["Models"]:
        sagemaker.delete_model(ModelName=model["ModelName"])


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
    deployed: Deployment, update: dict[str, Any], sabotaged: Sabotage, state: str
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


@pytest.mark.parametrize("state", ["CreateShadowConfig", "SmokeTest"])
def test_a_failing_shadow_leaves_the_endpoint_with_what_it_served(
    deployed: Deployment, update: dict[str, Any], sabotaged: Sabotage, state: str
) -> None:
    before = deployed.hosted()
    serving = deployed.client("sagemaker").describe_endpoint(EndpointName="kept")["EndpointConfigName"]
    alter = _smoke_test if state == "SmokeTest" else _of_nowhere(state)
    execution = deployed.run({**update, "endpoint": {"name": "kept", "shadow": True}}, sabotaged(alter))
    assert execution["error"] == ("SmokeTestFailed" if state == "SmokeTest" else "DeployFailed"), execution["cause"]
    endpoint = deployed.client("sagemaker").describe_endpoint(EndpointName="kept")
    assert (endpoint["EndpointStatus"], endpoint["EndpointConfigName"]) == ("InService", serving)
    assert deployed.hosted() == before


def test_a_failure_is_announced(deployed: Deployment, corpus: str) -> None:
    execution = deployed.start({"name": "announced", "inputs": {"train": corpus}, "hyperparameters": {"mode": "warp"}})
    assert deployed.wait(execution)["status"] == "FAILED"
    assert deployed.states(execution)[-3:] == ["IsRolledBack", "NotifyFailure", "Failed"]


def test_a_failure_that_cannot_be_announced_keeps_its_cause(
    deployed: Deployment, corpus: str, sabotaged: Sabotage
) -> None:
    request = {"inputs": {"train": corpus}, "hyperparameters": SMALL, "endpoint": {"name": "never-seen"}}
    execution = deployed.run(request, sabotaged(_unannounced))
    assert execution["error"] == "PlanFailed"
    assert execution["cause"].startswith("Plan: ")
    assert "could not be announced" in execution["cause"]
