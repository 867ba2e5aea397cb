"""One embedded cloud with the real app deployed to it, for all end-to-end tests of a session."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from kindling import deployment, resources, runs
from kindling.histories import history_of
from kindling.localcloud import lifecycle
from kindling.localcloud.cloud import RunnerName
from kindling.ports import free_port
from kindling.resources import camel
from kindling.runs import Run
from kindling.targets import EmbeddedTarget, running_embedded_cloud
from tests.e2e.state_coverage import StateCoverage

ALGORITHM = "blazingtext"
# Quick to train, yet words enough to be looked up.
SMALL = {"mode": "batch_skipgram", "vector_dim": "20", "epochs": "2", "min_count": "2", "evaluation": "True"}

# Keys of the JSON that AWS wraps causes in.
WRAPPINGS = ('"FailureReason"', '"errorMessage"', '"stackTrace"', '"TrainingJobName"')


def until(holds: Callable[[], Any], seconds: float, what: str) -> Any:
    """What `holds` gives as soon as it gives something."""
    deadline = time.monotonic() + seconds
    while not (found := holds()):
        assert time.monotonic() < deadline, f"{what}: not within {seconds:.0f} s"
        time.sleep(0.2)
    return found


@dataclass(frozen=True)
class Deployment:
    """The deployed app on an embedded cloud of the tests' own."""

    target: EmbeddedTarget
    found: resources.Resources
    coverage: StateCoverage = field(default_factory=StateCoverage)

    def client(self, service: str) -> Any:
        return self.target.client(service)

    @property
    def state_machine(self) -> str:
        return self.found.state_machine(ALGORITHM)

    def upload(self, path: Path, key: str, algorithm: str = ALGORITHM) -> str:
        """Puts a file into an algorithm's part of the data bucket and gives the address of the folder it lies in."""
        self.client("s3").upload_file(str(path), self.found.data_bucket, f"{algorithm}/{key}/{path.name}")
        return f"s3://{self.found.data_bucket}/{algorithm}/{key}"

    def start(self, execution_input: dict[str, Any], state_machine: str | None = None) -> str:
        """Starts an execution and gives its ARN."""
        started = self.client("stepfunctions").start_execution(
            stateMachineArn=state_machine or self.state_machine, input=json.dumps(execution_input)
        )
        return str(started["executionArn"])

    def wait(self, execution: str, seconds: float = 240) -> dict[str, Any]:
        """The description of an execution once it has ended."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            description: dict[str, Any] = self.client("stepfunctions").describe_execution(executionArn=execution)
            if description["status"] != "RUNNING":
                self.coverage.note(history_of(self.events(execution)))
                return description
            time.sleep(0.3)
        raise AssertionError(f"{execution} did not end within {seconds:.0f} s")

    def run(self, execution_input: dict[str, Any], state_machine: str | None = None) -> dict[str, Any]:
        """Starts an execution and waits for its end."""
        return self.wait(self.start(execution_input, state_machine))

    def process(
        self, name: str, algorithm: str, command: list[str], inputs: dict[str, str], output: str, hosts: int = 1
    ) -> None:
        """Runs a Processing job of an algorithm's image to its end; it must succeed.

        Args:
            command: what the container runs.
            inputs: addresses by the names of the folders below /opt/ml/processing that they come to.
            output: where the folder `output` beside them goes.
        """
        roles = self.client("iam").list_roles()["Roles"]
        role_name = f"{camel(algorithm)}TrainingRole"
        image = self.client("ssm").get_parameter(Name=f"/kindling/images/{algorithm}")["Parameter"]["Value"]
        sagemaker = self.client("sagemaker")
        local = {folder: f"/opt/ml/processing/{folder}" for folder in (*inputs, "output")}
        sagemaker.create_processing_job(
            ProcessingJobName=name,
            AppSpecification={"ImageUri": image, "ContainerEntrypoint": command},
            ProcessingInputs=[
                {
                    "InputName": folder,
                    "S3Input": {
                        "S3Uri": address,
                        "LocalPath": local[folder],
                        "S3DataType": "S3Prefix",
                        "S3InputMode": "File",
                    },
                }
                for folder, address in inputs.items()
            ],
            ProcessingOutputConfig={
                "Outputs": [
                    {
                        "OutputName": "data",
                        "S3Output": {"S3Uri": output, "LocalPath": local["output"], "S3UploadMode": "EndOfJob"},
                    }
                ]
            },
            ProcessingResources={
                "ClusterConfig": {"InstanceCount": hosts, "InstanceType": "ml.m5.large", "VolumeSizeInGB": 10}
            },
            RoleArn=next(one["Arn"] for one in roles if role_name in one["RoleName"]),
        )
        sagemaker.get_waiter("processing_job_completed_or_stopped").wait(
            ProcessingJobName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 300}
        )
        job = sagemaker.describe_processing_job(ProcessingJobName=name)
        assert job["ProcessingJobStatus"] == "Completed", job.get("ExitMessage") or job.get("FailureReason")

    @contextmanager
    def asking(self, endpoint: str) -> Iterator[None]:
        """Somebody asks an endpoint for a word all the time, as soon as it is there."""
        ending = threading.Event()

        def ask() -> None:
            runtime, sagemaker = self.client("sagemaker-runtime"), self.client("sagemaker")
            while not ending.wait(0.2):
                if endpoint not in [found["EndpointName"] for found in sagemaker.list_endpoints()["Endpoints"]]:
                    continue
                with suppress(runtime.exceptions.ValidationError):  # it is still being made
                    runtime.invoke_endpoint(
                        EndpointName=endpoint, ContentType="application/json", Body=b'{"instances": ["the"]}'
                    )

        thread = threading.Thread(target=ask)
        thread.start()
        try:
            yield
        finally:
            ending.set()
            thread.join()

    def waiting(self, execution: str) -> Run:
        """The run of an execution once it waits for a person."""

        def asks() -> Run | None:
            run = runs.find(self.target, self.found, execution.rsplit(":", 1)[1])
            assert not run.is_over, run.cause
            return run if runs.history(self.target, run).token else None

        found: Run = until(asks, 240, "somebody is asked")
        return found

    def states(self, execution: str) -> list[str]:
        """The names of the states that an execution entered, in order."""
        return [
            event["stateEnteredEventDetails"]["name"]
            for event in self.events(execution)
            if "stateEnteredEventDetails" in event
        ]

    def events(self, execution: str) -> list[dict[str, Any]]:
        """What happened in an execution, in order."""
        pages = self.client("stepfunctions").get_paginator("get_execution_history").paginate(executionArn=execution)
        return [event for page in pages for event in page["events"]]

    def running_jobs(self) -> list[str]:
        """The names of the training jobs that have not ended."""
        sagemaker = self.client("sagemaker")
        return [
            job["TrainingJobName"]
            for status in ("InProgress", "Stopping")
            for job in sagemaker.list_training_jobs(StatusEquals=status)["TrainingJobSummaries"]
        ]

    def hosted(self) -> dict[str, list[str]]:
        """The names of every model, endpoint config and endpoint there is."""
        sagemaker = self.client("sagemaker")
        return {
            "models": sorted(item["ModelName"] for item in sagemaker.list_models()["Models"]),
            "configs": sorted(
                item["EndpointConfigName"] for item in sagemaker.list_endpoint_configs()["EndpointConfigs"]
            ),
            "endpoints": sorted(item["EndpointName"] for item in sagemaker.list_endpoints()["Endpoints"]),
        }


@contextmanager
def deployment_in(
    state: Path, runner: RunnerName = "process", settings: Mapping[str, str] | None = None
) -> Iterator[Deployment]:
    """The app, deployed with the CDK's command line to an embedded cloud of its own, with these settings besides."""
    lifecycle.up(state, free_port(), runner)
    try:
        target = running_embedded_cloud(state)
        deployment.deploy(target, settings or {}, print)
        yield Deployment(target, resources.find(target))
    finally:
        lifecycle.down(state)


@pytest.fixture(scope="session")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """The deployment that the tests of a session share."""
    with deployment_in(tmp_path_factory.mktemp("cloud")) as found:
        yield found


@pytest.fixture(scope="session")
def corpus(deployed: Deployment) -> str:
    """The address of a small English corpus: 300 news texts that come with gensim."""
    from gensim.test.utils import datapath

    return deployed.upload(Path(datapath("lee_background.cor")), "lee")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The cloud is killed when everything else has run, and then what was covered is looked at."""
    last = ("test_killed_cloud.py", "test_state_coverage.py")
    items.sort(key=lambda item: last.index(item.path.name) if item.path.name in last else -1)
