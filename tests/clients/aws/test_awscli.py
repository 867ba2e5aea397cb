"""The AWS CLI: a job, its log, an endpoint and a state machine, each by a command that AWS's own pages give."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.clients.conftest import IMAGE, ROOT, Cloud, until

pytestmark = pytest.mark.slow
AWS = ROOT / ".venvs" / "client-awscli" / "bin" / "aws"
BUCKET = "cli"


def aws(*arguments: str) -> Any:
    """What a command prints, read as JSON where it is."""
    done = subprocess.run([str(AWS), *arguments], capture_output=True, text=True, env=os.environ.copy(), check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout) if done.stdout.startswith("{") else done.stdout


@pytest.fixture(scope="module")
def bucket(cloud: Cloud, corpus: Path) -> str:
    aws("s3", "mb", f"s3://{BUCKET}")
    aws("s3", "cp", str(corpus), f"s3://{BUCKET}/train/corpus.txt", "--no-progress")
    return BUCKET


@pytest.fixture(scope="module")
def trained(cloud: Cloud, bucket: str) -> dict[str, Any]:
    """The description of a job that has ended."""
    channel = {"S3DataType": "S3Prefix", "S3Uri": f"s3://{bucket}/train", "S3DataDistributionType": "FullyReplicated"}
    job = "cli-words"
    aws(
        *("sagemaker", "create-training-job", "--training-job-name", job, "--role-arn", cloud.role),
        *("--algorithm-specification", f"TrainingImage={IMAGE},TrainingInputMode=File"),
        *("--input-data-config", json.dumps([{"ChannelName": "train", "DataSource": {"S3DataSource": channel}}])),
        *("--output-data-config", f"S3OutputPath=s3://{bucket}/output"),
        *("--resource-config", "InstanceType=ml.c5.xlarge,InstanceCount=1,VolumeSizeInGB=10"),
        *("--stopping-condition", "MaxRuntimeInSeconds=600"),
        *("--hyper-parameters", "mode=skipgram,min_count=1,vector_dim=10,epochs=2"),
    )

    def ended() -> dict[str, Any] | None:
        found = cloud.client("sagemaker").describe_training_job(TrainingJobName=job)
        return found if found["TrainingJobStatus"] != "InProgress" else None

    until(ended)  # the command that waits looks again after a minute
    aws("sagemaker", "wait", "training-job-completed-or-stopped", "--training-job-name", job)
    described: dict[str, Any] = aws("sagemaker", "describe-training-job", "--training-job-name", job)
    return described


def test_a_job_ends_is_listed_and_its_log_is_read(trained: dict[str, Any]) -> None:
    job = trained["TrainingJobName"]
    assert trained["TrainingJobStatus"] == "Completed"
    names = ("--query", "TrainingJobSummaries[].TrainingJobName", "--output", "text")
    assert job in aws("sagemaker", "list-training-jobs", "--name-contains", "cli", *names).split()
    group = ("--log-group-name", "/aws/sagemaker/TrainingJobs", "--log-stream-name-prefix", job)
    messages = aws("logs", "filter-log-events", *group, "--query", "events[].message", "--output", "text")
    assert "Million Words/sec" in messages


def test_folders_are_synchronised_both_ways(trained: dict[str, Any], tmp_path: Path) -> None:
    aws("s3", "sync", f"s3://{BUCKET}/output", str(tmp_path / "down"), "--no-progress")
    model = tmp_path / "down" / trained["TrainingJobName"] / "output" / "model.tar.gz"
    assert model.read_bytes()[:2] == b"\x1f\x8b"
    aws("s3", "sync", str(tmp_path / "down"), f"s3://{BUCKET}/up", "--no-progress")
    assert f"up/{trained['TrainingJobName']}/output/model.tar.gz" in aws("s3", "ls", f"s3://{BUCKET}", "--recursive")
    assert aws("s3", "sync", str(tmp_path / "down"), f"s3://{BUCKET}/up") == "", "nothing is left to do"


def test_an_endpoint_is_made_waited_for_asked_and_deleted(
    trained: dict[str, Any], cloud: Cloud, tmp_path: Path
) -> None:
    name, data = "cli-words", trained["ModelArtifacts"]["S3ModelArtifacts"]
    container = f"Image={IMAGE},ModelDataUrl={data}"
    aws(
        *("sagemaker", "create-model", "--model-name", name, "--execution-role-arn", cloud.role),
        *("--primary-container", container),
    )
    variant = f"VariantName=A,ModelName={name},InitialInstanceCount=1,InstanceType=ml.m5.large"
    aws("sagemaker", "create-endpoint-config", "--endpoint-config-name", name, "--production-variants", variant)
    aws("sagemaker", "create-endpoint", "--endpoint-name", name, "--endpoint-config-name", name)
    aws("sagemaker", "wait", "endpoint-in-service", "--endpoint-name", name)
    answer = tmp_path / "answer.json"
    told = aws(
        *("sagemaker-runtime", "invoke-endpoint", "--endpoint-name", name, "--content-type", "application/json"),
        *("--body", '{"instances": ["king"]}', str(answer)),
    )
    assert told["InvokedProductionVariant"] == "A"
    assert len(json.loads(answer.read_text())[0]["vector"]) == 10
    aws("sagemaker", "delete-endpoint", "--endpoint-name", name)
    aws("sagemaker", "wait", "endpoint-deleted", "--endpoint-name", name)


def test_an_execution_is_started_and_described(cloud: Cloud) -> None:
    definition = {"StartAt": "A", "States": {"A": {"Type": "Pass", "Result": {"said": "yes"}, "End": True}}}
    machine = aws(
        *("stepfunctions", "create-state-machine", "--name", "cli", "--role-arn", cloud.role),
        *("--definition", json.dumps(definition)),
    )["stateMachineArn"]
    execution = aws("stepfunctions", "start-execution", "--state-machine-arn", machine, "--input", "{}")["executionArn"]

    def ended() -> Any:
        found = aws("stepfunctions", "describe-execution", "--execution-arn", execution)
        return found if found["status"] != "RUNNING" else None

    found = until(ended)
    assert (found["status"], json.loads(found["output"])) == ("SUCCEEDED", {"said": "yes"})


def test_a_mistake_is_told_in_the_services_words() -> None:
    done = subprocess.run(
        [str(AWS), "sagemaker", "describe-endpoint", "--endpoint-name", "nowhere"],
        capture_output=True,
        text=True,
        env=os.environ.copy(),
        check=False,
    )
    assert done.returncode != 0
    assert "(ValidationException) when calling the DescribeEndpoint operation: Could not find endpoint" in done.stderr
