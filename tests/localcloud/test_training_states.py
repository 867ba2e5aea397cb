"""State machines that train and serve on the embedded SageMaker."""

from __future__ import annotations

import json
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.localcloud.sagemaker.embedded import IMAGE, client, make_role

ROOT = Path(__file__).resolve().parents[2]
SYNC = "arn:aws:states:::sagemaker:createTrainingJob.sync"


def wait_until(look: Callable[[], Any]) -> Any:
    """The first truthy value of `look`."""
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline:
        if found := look():
            return found
        time.sleep(0.05)
    pytest.fail("nothing came")


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The port of a cloud whose image is the small program."""
    state = tmp_path_factory.mktemp("training")
    command = [sys.executable, "-m", "tests.localcloud.training_cloud", str(state)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield int(process.stdout.readline())
        process.terminate()


@pytest.fixture(scope="module")
def role(port: int) -> str:
    """A role that SageMaker may assume; a bucket for models is there too."""
    client("s3", port).create_bucket(Bucket="models")
    return make_role(port)


@pytest.fixture
def start(port: int, role: str) -> Callable[[dict[str, Any]], str]:
    """Start an execution of a machine with these states; gives its ARN."""

    def begin(states: dict[str, Any]) -> str:
        sfn = client("stepfunctions", port)
        definition = json.dumps({"StartAt": next(iter(states)), "States": states})
        machine = sfn.create_state_machine(name=f"m-{uuid.uuid4().hex[:8]}", roleArn=role, definition=definition)
        return str(sfn.start_execution(stateMachineArn=machine["stateMachineArn"])["executionArn"])

    return begin


@pytest.fixture
def run(port: int, start: Callable[[dict[str, Any]], str]) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """Run a machine with these states to its end; gives its description, the output parsed."""

    def execute(states: dict[str, Any]) -> dict[str, Any]:
        arn, sfn = start(states), client("stepfunctions", port)
        wait_until(lambda: sfn.describe_execution(executionArn=arn)["status"] != "RUNNING")
        described = dict(sfn.describe_execution(executionArn=arn))
        if "output" in described:
            described["output"] = json.loads(described["output"])
        return described

    return execute


def training(role: str, name: str | None = None, **hyperparameters: str) -> dict[str, Any]:
    """A state that trains."""
    parameters = {
        "TrainingJobName": name or f"job-{uuid.uuid4().hex[:8]}",
        "AlgorithmSpecification": {"TrainingImage": IMAGE, "TrainingInputMode": "File"},
        "RoleArn": role,
        "OutputDataConfig": {"S3OutputPath": "s3://models/out"},
        "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 10},
        "StoppingCondition": {"MaxRuntimeInSeconds": 600},
        "HyperParameters": hyperparameters,
    }
    return {"Type": "Task", "Resource": SYNC, "Parameters": parameters, "End": True}


def test_a_training_state_waits_for_its_job_and_gives_the_description(run: Any, role: str) -> None:
    ended = run({"Train": training(role, "trained")})
    assert ended["status"] == "SUCCEEDED", ended
    assert ended["output"]["TrainingJobStatus"] == "Completed"
    assert ended["output"]["ModelArtifacts"]["S3ModelArtifacts"] == "s3://models/out/trained/output/model.tar.gz"
    assert isinstance(ended["output"]["CreationTime"], int)


def test_a_failed_job_fails_its_state_with_the_description_as_cause(run: Any, role: str) -> None:
    ended = run({"Train": training(role, failure="ClientError: hyperparameter vector_dim=0 is out of range.")})
    assert (ended["status"], ended["error"]) == ("FAILED", "States.TaskFailed")
    cause = json.loads(ended["cause"])
    assert cause["TrainingJobStatus"] == "Failed"
    assert "hyperparameter vector_dim=0 is out of range." in cause["FailureReason"]


def test_a_second_job_of_the_same_name_has_the_service_s_exception(run: Any, role: str) -> None:
    assert run({"Train": training(role, "taken")})["status"] == "SUCCEEDED"
    assert run({"Train": training(role, "taken")})["error"] == "SageMaker.ResourceInUseException"


def test_stopping_an_execution_stops_its_job(start: Any, role: str, port: int) -> None:
    arn = start({"Train": training(role, "cut-short", wait="politely")})
    sagemaker = client("sagemaker", port)

    def status() -> str:
        jobs = sagemaker.list_training_jobs(NameContains="cut-short")["TrainingJobSummaries"]
        return str(jobs[0]["TrainingJobStatus"]) if jobs else ""

    wait_until(lambda: status() == "InProgress")
    client("stepfunctions", port).stop_execution(executionArn=arn)
    wait_until(lambda: status() == "Stopped")
    assert client("stepfunctions", port).describe_execution(executionArn=arn)["status"] == "ABORTED"


def test_a_state_past_its_time_stops_its_job(run: Any, role: str, port: int) -> None:
    ended = run({"Train": training(role, "too-long", wait="politely") | {"TimeoutSeconds": 2}})
    assert ended["error"] == "States.Timeout"
    describe = client("sagemaker", port).describe_training_job
    wait_until(lambda: describe(TrainingJobName="too-long")["TrainingJobStatus"] == "Stopped")


def test_a_model_is_served_updated_and_removed_by_states(run: Any, role: str) -> None:
    def task(operation: str, parameters: dict[str, Any], following: str) -> dict[str, Any]:
        resource = f"arn:aws:states:::{operation}"
        return {"Type": "Task", "Resource": resource, "Parameters": parameters, "ResultPath": None, "Next": following}

    def config(name: str, following: str) -> dict[str, Any]:
        variant = {
            "VariantName": "AllTraffic",
            "ModelName": "served",
            "InstanceType": "ml.m5.large",
            "InitialInstanceCount": 1,
        }
        parameters = {"EndpointConfigName": name, "ProductionVariants": [variant]}
        return task("sagemaker:createEndpointConfig", parameters, following)

    def until_in_service(prefix: str, following: str) -> dict[str, Any]:
        find = task("aws-sdk:sagemaker:describeEndpoint", {"EndpointName": "served"}, f"{prefix}Check")
        in_service = {"Variable": "$.found.EndpointStatus", "StringEquals": "InService", "Next": following}
        return {
            f"{prefix}Wait": {"Type": "Wait", "Seconds": 1, "Next": f"{prefix}Find"},
            f"{prefix}Find": find | {"ResultPath": "$.found"},
            f"{prefix}Check": {"Type": "Choice", "Choices": [in_service], "Default": f"{prefix}Wait"},
        }

    model = {"ModelName": "served", "PrimaryContainer": {"Image": IMAGE}, "ExecutionRoleArn": role}
    first = {"EndpointName": "served", "EndpointConfigName": "first"}
    states = {
        "CreateModel": task("sagemaker:createModel", model, "First"),
        "First": config("first", "CreateEndpoint"),
        "CreateEndpoint": task("sagemaker:createEndpoint", first, "NewWait"),
        **until_in_service("New", "Second"),
        "Second": config("second", "Update"),
        "Update": task("sagemaker:updateEndpoint", first | {"EndpointConfigName": "second"}, "ChangedWait"),
        **until_in_service("Changed", "Retire"),
        "Retire": task("aws-sdk:sagemaker:deleteEndpointConfig", {"EndpointConfigName": "first"}, "Remove"),
        "Remove": task("aws-sdk:sagemaker:deleteEndpoint", {"EndpointName": "served"}, "Forget"),
        "Forget": task("aws-sdk:sagemaker:deleteModel", {"ModelName": "served"}, "Done"),
        "Done": {"Type": "Succeed"},
    }
    ended = run(states)
    assert ended["status"] == "SUCCEEDED", ended
    assert ended["output"]["found"]["EndpointConfigName"] == "second"
    assert isinstance(ended["output"]["found"]["CreationTime"], str)
