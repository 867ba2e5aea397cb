"""Jobs and endpoints of the embedded cloud in containers: their network, their means, their end."""

from __future__ import annotations

import io
import itertools
import json
import random
import tarfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kindling.localcloud import lifecycle
from kindling.localcloud.docker_leftovers import LABEL
from kindling.ports import free_port
from kindling.targets import EmbeddedTarget, running_embedded_cloud

from .conftest import cloud_in

IMAGE = "811284229777.dkr.ecr.us-east-1.amazonaws.com/blazingtext:1"  # AWS's own address of the algorithm
BUCKET = "containers"
TRUST = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": "sagemaker.amazonaws.com"}}],
}
ANIMALS, VEHICLES = ["cat", "dog", "horse", "cow"], ["car", "bus", "train", "bike"]
WORD2VEC = {"mode": "batch_skipgram", "vector_dim": "20", "min_count": "1", "epochs": "10", "sampling_threshold": "0.9"}
_numbers = itertools.count(1)

pytestmark = pytest.mark.timeout(600)


def until(look: Callable[[], Any], patience_s: float = 120) -> Any:
    deadline = time.monotonic() + patience_s
    while time.monotonic() < deadline:
        if found := look():
            return found
        time.sleep(0.1)
    raise AssertionError(f"nothing within {patience_s} s")


class Account:
    """What the tests ask of a cloud."""

    def __init__(self, target: EmbeddedTarget) -> None:
        self.client = target.client
        self.sagemaker = target.client("sagemaker")
        self.role = target.client("iam").create_role(RoleName="r", AssumeRolePolicyDocument=json.dumps(TRUST))["Role"]
        target.client("s3").create_bucket(Bucket=BUCKET)
        target.client("s3").put_object(Bucket=BUCKET, Key="train/corpus.txt", Body=corpus())

    def begin(self, hosts: int = 1, script: str | None = None, **changes: Any) -> str:
        name = f"job-{next(_numbers)}"
        algorithm: dict[str, Any] = {"TrainingImage": IMAGE, "TrainingInputMode": "File"}
        source = {"S3DataType": "S3Prefix", "S3Uri": f"s3://{BUCKET}/train/"}
        if script:
            source["S3Uri"] = f"s3://{BUCKET}/{name}/"
            self.client("s3").put_object(Bucket=BUCKET, Key=f"{name}/script.py", Body=script.encode())
            algorithm["ContainerEntrypoint"] = ["python", "/opt/ml/input/data/train/script.py"]
        request = {
            "TrainingJobName": name,
            "AlgorithmSpecification": algorithm,
            "RoleArn": self.role["Arn"],
            "HyperParameters": WORD2VEC,
            "InputDataConfig": [{"ChannelName": "train", "DataSource": {"S3DataSource": source}}],
            "OutputDataConfig": {"S3OutputPath": f"s3://{BUCKET}/models"},
            "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": hosts, "VolumeSizeInGB": 10},
            "StoppingCondition": {"MaxRuntimeInSeconds": 600},
        }
        self.sagemaker.create_training_job(**(request | changes))
        return name

    def ended(self, name: str, patience_s: float = 120) -> dict[str, Any]:
        def look() -> dict[str, Any] | None:
            found: dict[str, Any] = self.sagemaker.describe_training_job(TrainingJobName=name)
            return found if found["TrainingJobStatus"] in ("Completed", "Failed", "Stopped") else None

        return dict(until(look, patience_s))

    def model(self, job: dict[str, Any]) -> dict[str, bytes]:
        """The files of a job's model by name."""
        key = job["ModelArtifacts"]["S3ModelArtifacts"].removeprefix(f"s3://{BUCKET}/")
        body = self.client("s3").get_object(Bucket=BUCKET, Key=key)["Body"].read()
        with tarfile.open(fileobj=io.BytesIO(body)) as tar:
            return {member.name: tar.extractfile(member).read() for member in tar if member.isfile()}  # type: ignore[union-attr]

    def serve(self, name: str, *variants: dict[str, Any]) -> None:
        """Trains a model and has an endpoint of that name serve it in variants, by name, instances and isolation."""
        container = {"Image": IMAGE, "ModelDataUrl": self.ended(self.begin())["ModelArtifacts"]["S3ModelArtifacts"]}
        configured = []
        for variant in variants:
            self.sagemaker.create_model(
                ModelName=f"{name}-{variant['name']}",
                PrimaryContainer=container,
                ExecutionRoleArn=self.role["Arn"],
                EnableNetworkIsolation=variant.get("isolated", False),
            )
            configured.append(
                {
                    "VariantName": variant["name"],
                    "ModelName": f"{name}-{variant['name']}",
                    "InitialInstanceCount": variant.get("instances", 1),
                    "InstanceType": "ml.m5.large",
                }
            )
        self.sagemaker.create_endpoint_config(EndpointConfigName=name, ProductionVariants=configured)
        self.sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=name)

        def in_service() -> bool:
            status = self.sagemaker.describe_endpoint(EndpointName=name)
            assert status["EndpointStatus"] != "Failed", status["FailureReason"]
            return bool(status["EndpointStatus"] == "InService")

        until(in_service)

    def said(self, script: str, hosts: int = 1, **changes: Any) -> dict[str, Any]:
        """What a script in a container of the image leaves as JSON, by host."""
        job = self.ended(self.begin(hosts, script, **changes))
        assert job["TrainingJobStatus"] == "Completed", job["FailureReason"]
        return {name: json.loads(body) for name, body in self.model(job).items()}


def corpus() -> bytes:
    order = random.Random(1)
    lines = (" ".join(order.choices(order.choice([ANIMALS, VEHICLES]), k=8)) for _ in range(4000))
    return "\n".join(lines).encode()


@pytest.fixture(scope="module")
def account(cloud: EmbeddedTarget) -> Account:
    return Account(cloud)


def of(engine: Any, state: Path) -> list[Any]:
    """The containers and networks of a cloud."""
    chosen = {"label": f"{LABEL}={state}"}
    return [
        *engine.containers.list(all=True, filters=chosen, ignore_removed=True),
        *engine.networks.list(filters=chosen),
    ]


def similarity(vectors: dict[str, list[float]], one: str, other: str) -> float:
    a, b = vectors[one], vectors[other]
    product = sum(x * y for x, y in zip(a, b, strict=True))
    return product / (sum(x * x for x in a) ** 0.5 * sum(x * x for x in b) ** 0.5)


def test_two_containers_train_one_model_and_leave_nothing(account: Account, cloud: EmbeddedTarget, engine: Any) -> None:
    job = account.ended(account.begin(hosts=2))
    assert job["TrainingJobStatus"] == "Completed", job["FailureReason"]
    lines = account.model(job)["vectors.txt"].decode().splitlines()[1:]
    vectors = {line.split()[0]: [float(value) for value in line.split()[1:]] for line in lines}
    assert similarity(vectors, "cat", "dog") > similarity(vectors, "cat", "bus") + 0.2
    assert similarity(vectors, "car", "bus") > similarity(vectors, "dog", "car") + 0.2
    until(lambda: not of(engine, cloud.state), 10)


def test_a_killed_container_ends_the_job_on_the_other_with_the_reason(
    account: Account, cloud: EmbeddedTarget, engine: Any
) -> None:
    name = account.begin(hosts=2, HyperParameters=WORD2VEC | {"epochs": "10000"})

    def second() -> Any:
        running = engine.containers.list(filters={"label": f"{LABEL}={cloud.state}", "name": f"{name}-algo-2"})
        return running[0] if running and b"Alpha" in running[0].logs() else None

    victim = until(second)
    began = time.monotonic()
    victim.kill()
    job = account.ended(name)
    assert time.monotonic() - began < 60
    assert job["TrainingJobStatus"] == "Failed"
    assert "algo-2" in job["FailureReason"]
    until(lambda: not of(engine, cloud.state), 15)


MEANS = """
import json, os, socket, pathlib, time
def address(name):
    for _ in range(100):
        try:
            return socket.gethostbyname(name)
        except socket.gaierror:  # that container is still to be started
            time.sleep(0.1)
found = {
    "hostname": socket.gethostname(),
    "others": sorted({address(name) for name in ("algo-1", "algo-2")}),
    "memory": int(next(path for path in (pathlib.Path("/sys/fs/cgroup/memory.max"),
        pathlib.Path("/sys/fs/cgroup/memory/memory.limit_in_bytes")) if path.exists()).read_text()),
    "shared_memory": os.statvfs("/dev/shm").f_frsize * os.statvfs("/dev/shm").f_blocks,
    "cores": os.environ["KINDLING_CPUS_PER_HOST"],
    "nic": json.load(open("/opt/ml/input/config/resourceconfig.json"))["network_interface_name"],
    "nics": sorted(os.listdir("/sys/class/net")),
}
open(f"/opt/ml/model/{socket.gethostname()}", "w").write(json.dumps(found))
time.sleep(3)  # the other may still ask for this one's address
"""


def test_hosts_have_their_names_and_the_means_of_their_instance(account: Account) -> None:
    found = account.said(MEANS, hosts=2)
    assert sorted(found) == ["algo-1", "algo-2"]
    for name, one in found.items():
        assert one["hostname"] == name
        assert len(one["others"]) == 2, "both names are known, and stand for two addresses"
        assert one["memory"] == 8 << 30, "ml.m5.large has 8 GiB"
        assert one["shared_memory"] == 4 << 30
        assert int(one["cores"]) >= 1
        assert one["nic"] in one["nics"]


REACHING = """
import json, os, socket
cloud = json.load(open("/opt/ml/input/config/hyperparameters.json"))
found = {}
for name, address in {"cloud": (cloud["host"], int(cloud["port"])), "itself": ("algo-1", 9)}.items():
    try:
        socket.create_connection(address, 3).close()
        found[name] = "reached"
    except ConnectionRefusedError:
        found[name] = "refused"
    except OSError as error:
        found[name] = "unreachable"
found["told"] = os.environ.get("AWS_ENDPOINT_URL")
open("/opt/ml/model/algo-1", "w").write(json.dumps(found))
"""


@pytest.mark.parametrize("isolated", [False, True])
def test_an_isolated_container_reaches_nothing_outside(account: Account, isolated: bool, engine: Any) -> None:
    [pool] = engine.networks.get("bridge").attrs["IPAM"]["Config"]
    port = account.sagemaker.meta.endpoint_url.rpartition(":")[2]
    gateway = pool.get("Gateway") or pool["Subnet"].rpartition(".")[0] + ".1"
    where = {"host": gateway, "port": port}
    found = account.said(REACHING, HyperParameters=where, EnableNetworkIsolation=isolated)
    assert found["algo-1"] == {
        "cloud": "unreachable" if isolated else "reached",
        "itself": "refused",  # it is there, and nobody listens
        "told": None if isolated else f"http://{gateway}:{port}",
    }


def networks(engine: Any, state: Path) -> dict[str, set[str]]:
    """The names of the running containers of a cloud, by the network they are on."""
    found: dict[str, set[str]] = {}
    for container in engine.containers.list(filters={"label": f"{LABEL}={state}"}, ignore_removed=True):
        for network in container.attrs["NetworkSettings"]["Networks"]:
            found.setdefault(network, set()).add(container.name)
    return found


def test_jobs_of_one_name_do_not_see_each_other(
    blazingtext: str, engine: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KINDLING_CORES", "8")  # so that both run at the same time
    with cloud_in(tmp_path) as target:
        account = Account(target)
        algorithm = {"TrainingImage": IMAGE, "TrainingInputMode": "File", "ContainerEntrypoint": SLEEP}
        name = account.begin(hosts=2, HyperParameters={}, AlgorithmSpecification=algorithm)
        cluster = {"InstanceType": "ml.m5.large", "InstanceCount": 2, "VolumeSizeInGB": 10}
        account.sagemaker.create_processing_job(
            ProcessingJobName=name,
            ProcessingResources={"ClusterConfig": cluster},
            AppSpecification={"ImageUri": IMAGE, "ContainerEntrypoint": SLEEP},
            RoleArn=account.role["Arn"],
        )
        until(lambda: sum(map(len, networks(engine, tmp_path).values())) == 4)
        found = networks(engine, tmp_path)
        assert sorted(map(len, found.values())) == [2, 2], found


SLEEP = ["python", "-c", "import time; time.sleep(600)"]


def test_an_isolated_model_is_kept_from_the_other_variants_of_its_endpoint(
    account: Account, cloud: EmbeddedTarget, engine: Any
) -> None:
    variants = [{"name": "open", "instances": 2}, {"name": "closed", "instances": 2, "isolated": True}]
    account.serve("both", *variants)
    try:
        found = networks(engine, cloud.state)
        assert sorted(map(len, found.values())) == [2, 2], found
        for network, names in found.items():
            internal = engine.networks.list(names=[network])[0].attrs["Internal"]
            assert all(("closed" in name) == internal for name in names), (network, names)
    finally:
        account.sagemaker.delete_endpoint(EndpointName="both")
        until(lambda: not of(engine, cloud.state), 60)


def test_an_endpoint_serves_from_a_container_that_is_replaced_when_it_dies(
    account: Account, cloud: EmbeddedTarget, engine: Any
) -> None:
    account.serve("e", {"name": "A"})

    def ask() -> Any:
        runtime = account.client("sagemaker-runtime")
        try:
            answer = runtime.invoke_endpoint(
                EndpointName="e", ContentType="application/json", Body=b'{"instances": ["cat"]}'
            )
        except runtime.exceptions.ClientError:
            return None
        return json.loads(answer["Body"].read())

    assert len(ask()[0]["vector"]) == 20
    [serving] = engine.containers.list(filters={"label": f"{LABEL}={cloud.state}"})
    serving.kill()
    until(lambda: engine.containers.list(filters={"label": f"{LABEL}={cloud.state}"}) not in ([], [serving]))
    assert len(until(ask)[0]["vector"]) == 20
    account.sagemaker.delete_endpoint(EndpointName="e")
    until(lambda: not of(engine, cloud.state), 60)


@pytest.mark.parametrize("how", ["killed", "ended"])
def test_a_cloud_that_ends_leaves_no_container_and_no_network(
    blazingtext: str, engine: Any, tmp_path: Path, how: str
) -> None:
    running = lifecycle.up(tmp_path, free_port(), "docker")
    account = Account(running_embedded_cloud(tmp_path))
    account.begin(hosts=2, HyperParameters=WORD2VEC | {"epochs": "10000"})
    until(lambda: len(engine.containers.list(filters={"label": f"{LABEL}={tmp_path}"})) == 2)
    if how == "killed":
        import os
        import signal

        os.kill(running.pid, signal.SIGKILL)
    else:
        lifecycle.down(tmp_path)
    until(lambda: not of(engine, tmp_path), 20)
    lifecycle.down(tmp_path)
