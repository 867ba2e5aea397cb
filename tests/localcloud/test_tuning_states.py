"""State machines that tune on the embedded SageMaker."""

from __future__ import annotations

import json
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.localcloud.sagemaker.conftest import until
from tests.localcloud.sagemaker.embedded import client, make_role
from tests.localcloud.sagemaker.tuning import Tuner

ROOT = Path(__file__).resolve().parents[2]
SYNC = "arn:aws:states:::sagemaker:createHyperParameterTuningJob.sync"


class Machines:
    """Runs state machines of one state, which tunes."""

    def __init__(self, port: int) -> None:
        role = make_role(port)
        client("s3", port).create_bucket(Bucket="tuned")
        account: Any = SimpleNamespace(sagemaker=client("sagemaker", port), role=role, bucket="tuned")
        self.tuner = Tuner(account)
        self.steps = client("stepfunctions", port)

    def start(self, request: dict[str, Any]) -> str:
        state = {"Type": "Task", "Resource": SYNC, "Parameters": request, "End": True}
        definition = json.dumps({"StartAt": "Tune", "States": {"Tune": state}})
        name = f"m-{uuid.uuid4().hex[:8]}"
        machine = self.steps.create_state_machine(name=name, roleArn=self.tuner.account.role, definition=definition)
        return str(self.steps.start_execution(stateMachineArn=machine["stateMachineArn"])["executionArn"])

    def run(self, request: dict[str, Any]) -> dict[str, Any]:
        """Start one and wait for its end; its description."""
        arn = self.start(request)
        until(lambda: self.steps.describe_execution(executionArn=arn)["status"] != "RUNNING")
        return dict(self.steps.describe_execution(executionArn=arn))


@pytest.fixture(scope="module")
def machines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machines]:
    state = tmp_path_factory.mktemp("tuning")
    command = [sys.executable, "-m", "tests.localcloud.training_cloud", str(state)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield Machines(int(process.stdout.readline()))
        process.terminate()


def test_a_tuning_state_waits_for_its_job_and_gives_the_best(machines: Machines) -> None:
    ended = machines.run(machines.tuner.request(jobs=2))
    assert ended["status"] == "SUCCEEDED", ended
    output = json.loads(ended["output"])
    assert output["HyperParameterTuningJobStatus"] == "Completed"
    best = output["BestTrainingJob"]
    assert best["FinalHyperParameterTuningJobObjectiveMetric"]["Value"] == pytest.approx(
        (float(best["TunedHyperParameters"]["x"]) - 2) ** 2, rel=1e-6
    )


def test_a_failed_tuning_job_fails_its_state_with_the_description_as_cause(machines: Machines) -> None:
    ended = machines.run(machines.tuner.request(jobs=1, static={"failure": "ClientError: no."}))
    assert (ended["status"], ended["error"]) == ("FAILED", "States.TaskFailed")
    assert json.loads(ended["cause"])["FailureReason"].startswith("All training jobs failed.")


def test_stopping_an_execution_stops_its_tuning_job_and_the_training_jobs(machines: Machines) -> None:
    request = machines.tuner.request(jobs=2, static={"hold": "True"})
    name = request["HyperParameterTuningJobName"]
    arn = machines.start(request)
    sagemaker = machines.tuner.sagemaker
    until(
        lambda: (
            sagemaker.list_hyper_parameter_tuning_jobs(NameContains=name)["HyperParameterTuningJobSummaries"]
            and len(machines.tuner.trainings(name)) == 2
        )
    )
    machines.steps.stop_execution(executionArn=arn)
    assert machines.tuner.ended(name)["HyperParameterTuningJobStatus"] == "Stopped"
    assert {one["TrainingJobStatus"] for one in machines.tuner.trainings(name)} == {"Stopped"}
