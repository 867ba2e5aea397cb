"""Many jobs and executions at the same time: they queue for cores, and all end right."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from kindling.localcloud import aws_images, lifecycle
from kindling.localcloud.cloud import REGION
from kindling.ports import free_port
from tests.localcloud.conftest import client_of
from tests.localcloud.sagemaker.conftest import until
from tests.localcloud.sagemaker.embedded import make_role


def training(name: Any, role: str) -> dict[str, Any]:
    """A request for a short job; `name` may be a reference of a state machine."""
    return {
        "TrainingJobName" if not str(name).startswith("$") else "TrainingJobName.$": name,
        "AlgorithmSpecification": {
            "TrainingImage": aws_images.address("blazingtext", REGION),
            "TrainingInputMode": "File",
            "ContainerEntrypoint": ["/bin/sh", "-c"],
            "ContainerArguments": ["echo trained > /opt/ml/model/words"],
        },
        "RoleArn": role,
        "OutputDataConfig": {"S3OutputPath": "s3://many/models"},
        "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 10},
        "StoppingCondition": {"MaxRuntimeInSeconds": 600},
    }


@pytest.mark.parametrize(("jobs", "executions"), [(8, 3), pytest.param(100, 20, marks=pytest.mark.slow)])
def test_many_jobs_and_executions_all_end_right(tmp_path: Path, jobs: int, executions: int) -> None:
    cloud = lifecycle.up(tmp_path, free_port())
    try:
        role = make_role(cloud.port)
        sagemaker, sfn = client_of(cloud, "sagemaker"), client_of(cloud, "stepfunctions")
        client_of(cloud, "s3").create_bucket(Bucket="many")
        train = {
            "Type": "Task",
            "Resource": "arn:aws:states:::sagemaker:createTrainingJob.sync",
            "Parameters": training("$.name", role),
            "ResultSelector": {"status.$": "$.TrainingJobStatus", "model.$": "$.ModelArtifacts.S3ModelArtifacts"},
            "End": True,
        }
        definition = json.dumps({"StartAt": "Train", "States": {"Train": train}})
        machine = sfn.create_state_machine(name="m", roleArn=role, definition=definition)["stateMachineArn"]

        def begin(number: int) -> str | None:
            if number < jobs:
                sagemaker.create_training_job(**training(f"job-{number}", role))
                return None
            named = json.dumps({"name": f"of-{number}"})
            return str(sfn.start_execution(stateMachineArn=machine, name=f"of-{number}", input=named)["executionArn"])

        with ThreadPoolExecutor(16) as pool:
            started = [arn for arn in pool.map(begin, range(jobs + executions)) if arn]

        def ended() -> bool:
            pages = sagemaker.get_paginator("list_training_jobs").paginate(StatusEquals="InProgress")
            running = sfn.list_executions(stateMachineArn=machine, statusFilter="RUNNING")["executions"]
            return not running and not any(page["TrainingJobSummaries"] for page in pages)

        until(ended, patience_s=240)
        for number in range(jobs):
            job = sagemaker.describe_training_job(TrainingJobName=f"job-{number}")
            assert job["TrainingJobStatus"] == "Completed", job.get("FailureReason")
        for arn in started:
            execution = sfn.describe_execution(executionArn=arn)
            assert execution["status"] == "SUCCEEDED", execution.get("cause")
            name = execution["name"]
            expected = {"status": "Completed", "model": f"s3://many/models/{name}/output/model.tar.gz"}
            assert json.loads(execution["output"]) == expected
        assert not list((tmp_path / "jobs").iterdir())
    finally:
        lifecycle.down(tmp_path)
