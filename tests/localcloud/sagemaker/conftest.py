"""A cloud for these tests, and what they ask of it again and again."""

from __future__ import annotations

import io
import itertools
import json
import tarfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pytest

from kindling.localcloud.cloud import Cloud
from kindling.localcloud.sagemaker.objects import Objects
from tests.localcloud.sagemaker.embedded import IMAGE, client, make_role, start

PATIENCE_S = 60
_numbers = itertools.count(1)


@dataclass
class Account:
    """Clients of the cloud, a bucket and a role."""

    cloud: Cloud
    role: str
    bucket: str = "kindling-tests"

    def client(self, service: str) -> Any:
        return client(service, self.cloud.port)

    @cached_property
    def sagemaker(self) -> Any:
        return self.client("sagemaker")

    @cached_property
    def runtime(self) -> Any:
        return self.client("sagemaker-runtime")

    @cached_property
    def s3(self) -> Any:
        return self.client("s3")

    def put(self, key: str, body: bytes) -> str:
        self.s3.put_object(Bucket=self.bucket, Key=key, Body=body)
        return f"s3://{self.bucket}/{key}"

    def archive(self, address: str) -> dict[str, bytes]:
        """The files of a tar.gz at an address, by name."""
        bucket, _, key = address.removeprefix("s3://").partition("/")
        body = self.s3.get_object(Bucket=bucket, Key=key)["Body"].read()
        with tarfile.open(fileobj=io.BytesIO(body), mode="r:gz") as tar:
            return {member.name: tar.extractfile(member).read() for member in tar if member.isfile()}  # type: ignore[union-attr]

    def training_request(self, hosts: int = 1, **changes: Any) -> dict[str, Any]:
        return {
            "TrainingJobName": new_name("job"),
            "AlgorithmSpecification": {"TrainingImage": IMAGE, "TrainingInputMode": "File"},
            "RoleArn": self.role,
            "OutputDataConfig": {"S3OutputPath": f"s3://{self.bucket}/models"},
            "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": hosts, "VolumeSizeInGB": 10},
            "StoppingCondition": {"MaxRuntimeInSeconds": 600},
            **changes,
        }

    def begin(self, hosts: int = 1, **changes: Any) -> str:
        """Create a training job; its name."""
        request = self.training_request(hosts, **changes)
        self.sagemaker.create_training_job(**request)
        return str(request["TrainingJobName"])

    def job(self, name: str, *statuses: str) -> dict[str, Any]:
        """The description of a job once its status or secondary status is one of these; by default once it ended."""
        wanted = statuses or ("Completed", "Failed", "Stopped")

        def look() -> dict[str, Any] | None:
            description = self.sagemaker.describe_training_job(TrainingJobName=name)
            found = {description["TrainingJobStatus"], description["SecondaryStatus"]}
            return dict(description) if found & set(wanted) else None

        return dict(until(look))

    def train(self, hosts: int = 1, **changes: Any) -> dict[str, Any]:
        """Run a training job to its end; its description."""
        return self.job(self.begin(hosts, **changes))

    def reports(self, job: dict[str, Any]) -> dict[str, Any]:
        """What each host of a job found, by host."""
        files = self.archive(job["ModelArtifacts"]["S3ModelArtifacts"])
        return {name.removesuffix(".json"): json.loads(body) for name, body in files.items() if name.endswith(".json")}

    def log_lines(self, group: str, prefix: str) -> list[str]:
        """Every line of the streams of a group whose names begin with a prefix."""
        logs = self.client("logs")
        streams = logs.describe_log_streams(logGroupName=group, logStreamNamePrefix=prefix)["logStreams"]
        return [
            event["message"]
            for stream in streams
            for event in logs.get_log_events(logGroupName=group, logStreamName=stream["logStreamName"])["events"]
        ]

    def model(self, environment: dict[str, str] | None = None, data: str | None = None) -> str:
        """Create a model; its name."""
        name = new_name("model")
        container: dict[str, Any] = {"Image": IMAGE, "Environment": environment or {}}
        if data:
            container["ModelDataUrl"] = data
        self.sagemaker.create_model(ModelName=name, PrimaryContainer=container, ExecutionRoleArn=self.role)
        return name

    def endpoint_config(self, model: str, instances: int = 1) -> str:
        """Create an endpoint configuration of one variant; its name."""
        name = new_name("config")
        variant = {
            "VariantName": "AllTraffic",
            "ModelName": model,
            "InstanceType": "ml.m5.large",
            "InitialInstanceCount": instances,
        }
        self.sagemaker.create_endpoint_config(EndpointConfigName=name, ProductionVariants=[variant])
        return name

    def endpoint(self, name: str) -> dict[str, Any]:
        """The description of an endpoint once no change is under way."""

        def look() -> dict[str, Any] | None:
            description = self.sagemaker.describe_endpoint(EndpointName=name)
            return dict(description) if description["EndpointStatus"] in ("InService", "Failed") else None

        return dict(until(look))

    def serve(self, environment: dict[str, str] | None = None, instances: int = 1) -> str:
        """Create an endpoint that is in service; its name."""
        name = new_name("endpoint")
        config = self.endpoint_config(self.model(environment), instances)
        self.sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=config)
        assert self.endpoint(name)["EndpointStatus"] == "InService"
        return name

    def ask(self, endpoint: str, body: bytes = b"hello", **more: Any) -> dict[str, Any]:
        """What an endpoint's container answers."""
        answer = self.runtime.invoke_endpoint(EndpointName=endpoint, Body=body, **more)
        return dict(json.loads(answer["Body"].read()))


def new_name(kind: str) -> str:
    """A name that no other test uses."""
    return f"{kind}-{next(_numbers)}"


def until(look: Any, patience_s: float = PATIENCE_S) -> Any:
    """What `look` finds, as soon as it finds something."""
    deadline = time.monotonic() + patience_s
    while time.monotonic() < deadline:
        found = look()
        if found:
            return found
        time.sleep(0.05)
    raise AssertionError(f"nothing within {patience_s} s")


@pytest.fixture(scope="session")
def account(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Account]:
    cloud, server = start(tmp_path_factory.mktemp("state"))
    account = Account(cloud, make_role(cloud.port))
    account.s3.create_bucket(Bucket=account.bucket)
    yield account
    cloud.processes.end_all(grace_s=0)
    for end_part in cloud.at_end:
        end_part()
    server.shutdown()
    server.server_close()


@pytest.fixture
def held_downloads(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """While it is not set, no object gets to a host."""
    gate, read_into = threading.Event(), Objects.read_into

    def read_later(*arguments: Any) -> None:
        assert gate.wait(PATIENCE_S)
        read_into(*arguments)

    monkeypatch.setattr(Objects, "read_into", read_later)
    return gate
