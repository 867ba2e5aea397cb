"""State machines that process and transform data on the embedded SageMaker."""

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

from tests.localcloud.sagemaker import processing_jobs, transform_jobs
from tests.localcloud.sagemaker.conftest import Account, until
from tests.localcloud.sagemaker.embedded import make_role

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def account(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Account]:
    """Clients of a cloud with Step Functions, whose image is the small program."""
    command = [sys.executable, "-m", "tests.localcloud.training_cloud", str(tmp_path_factory.mktemp("states"))]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        port = int(process.stdout.readline())
        account = Account(SimpleNamespace(port=port), make_role(port))  # type: ignore[arg-type]
        account.s3.create_bucket(Bucket=account.bucket)
        yield account
        process.terminate()


def start(account: Account, operation: str, parameters: dict[str, Any]) -> str:
    """Start an execution whose one state is a job that it waits for; its ARN."""
    resource = f"arn:aws:states:::sagemaker:{operation}.sync"
    states = {"Job": {"Type": "Task", "Resource": resource, "Parameters": parameters, "End": True}}
    sfn = account.client("stepfunctions")
    definition = json.dumps({"StartAt": "Job", "States": states})
    machine = sfn.create_state_machine(name=f"m-{uuid.uuid4().hex[:8]}", roleArn=account.role, definition=definition)
    return str(sfn.start_execution(stateMachineArn=machine["stateMachineArn"])["executionArn"])


def ended(account: Account, arn: str) -> dict[str, Any]:
    """The description of an execution once it ended."""
    sfn = account.client("stepfunctions")

    def look() -> dict[str, Any] | None:
        described = dict(sfn.describe_execution(executionArn=arn))
        return described if described["status"] != "RUNNING" else None

    return dict(until(look))


def test_a_state_waits_for_its_processing_job_and_gives_the_description(account: Account) -> None:
    script = "import os, pathlib\npathlib.Path(os.environ['SAGEMAKER_BASE_DIR'], 'output/message').write_text('ok')\n"
    execution = ended(account, start(account, "createProcessingJob", processing_jobs.request(account, script)))
    assert execution["status"] == "SUCCEEDED", execution
    described = json.loads(execution["output"])
    assert (described["ProcessingJobStatus"], described["ExitMessage"]) == ("Completed", "ok")
    assert isinstance(described["ProcessingEndTime"], int)


def test_a_failed_processing_job_fails_its_state_with_the_reason(account: Account) -> None:
    asked = processing_jobs.request(account, "raise SystemExit('no rows')")
    execution = ended(account, start(account, "createProcessingJob", asked))
    assert (execution["status"], execution["error"]) == ("FAILED", "States.TaskFailed")
    assert "no rows" in json.loads(execution["cause"])["FailureReason"]


def test_stopping_an_execution_stops_its_processing_job(account: Account) -> None:
    asked = processing_jobs.request(account, "import time\nprint('ready', flush=True)\ntime.sleep(60)\n")
    arn = start(account, "createProcessingJob", asked)
    processing_jobs.until_logged(account, asked["ProcessingJobName"], "ready")
    account.client("stepfunctions").stop_execution(executionArn=arn)
    stopped = processing_jobs.job(account, asked["ProcessingJobName"])
    assert stopped["ProcessingJobStatus"] == "Stopped"
    assert ended(account, arn)["status"] == "ABORTED"


def test_a_state_waits_for_its_transform_job_and_gives_the_description(account: Account) -> None:
    asked = transform_jobs.request(account, account.model({"TRANSFORM": "upper"}), {"a": b"text"})
    execution = ended(account, start(account, "createTransformJob", asked))
    assert execution["status"] == "SUCCEEDED", execution
    described = json.loads(execution["output"])
    assert described["TransformJobStatus"] == "Completed"
    assert transform_jobs.output(account, described) == {"a.out": b"TEXT"}


def test_a_failed_transform_job_fails_its_state_with_the_reason(account: Account) -> None:
    asked = transform_jobs.request(account, account.model(), {"a": b"fail 400 "})
    execution = ended(account, start(account, "createTransformJob", asked))
    assert (execution["status"], execution["error"]) == ("FAILED", "States.TaskFailed")
    assert "/in/a: Bad HTTP status" in json.loads(execution["cause"])["FailureReason"]


def test_stopping_an_execution_stops_its_transform_job(account: Account) -> None:
    asked = transform_jobs.request(account, account.model({"TRANSFORM": "upper"}), {"1": b"done", "2": b"sleep"})
    arn = start(account, "createTransformJob", asked)
    until(lambda: transform_jobs.output(account, asked))
    account.client("stepfunctions").stop_execution(executionArn=arn)
    assert transform_jobs.job(account, asked["TransformJobName"])["TransformJobStatus"] == "Stopped"
    assert ended(account, arn)["status"] == "ABORTED"
