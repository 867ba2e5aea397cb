"""One embedded cloud for the tests of this folder, in a process of its own, with its state in a temporary folder."""

from __future__ import annotations

import io
import json
import subprocess
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config

from kindling.localcloud import lifecycle
from kindling.localcloud.cloud import REGION
from kindling.localcloud.lifecycle import CloudInfo
from kindling.ports import free_port

ROLE = "arn:aws:iam::123456789012:role/tests"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What holds of moto is looked at first, before a cloud in this process changes it."""
    items.sort(key=lambda item: not item.path.name.startswith("test_conformance"))


def client_of(cloud: CloudInfo, service: str) -> Any:
    """A client of a service of this cloud."""
    config = Config(retries={"total_max_attempts": 1}, read_timeout=120, s3={"addressing_style": "path"})
    return boto3.client(
        service,
        endpoint_url=cloud.endpoint_url,
        region_name=REGION,
        aws_access_key_id="test",
        aws_secret_access_key="test",
        config=config,
    )


def zipped(files: dict[str, str]) -> bytes:
    """An archive of these files."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as packed:
        for name, content in files.items():
            packed.writestr(name, content)
    return archive.getvalue()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A folder with room for 48 MB, for the state of a cloud that has ended in the end."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=48m", "tmpfs", str(folder)]
    try:
        mounted = subprocess.run(command, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        mounted = False
    if not mounted:
        pytest.skip("a small file system cannot be mounted here; that takes root's rights")
    yield folder
    lifecycle.down(folder)
    subprocess.run(["umount", str(folder)], check=True)


@pytest.fixture(scope="session")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CloudInfo]:
    """A running embedded cloud."""
    state = tmp_path_factory.mktemp("cloud")
    running = lifecycle.up(state, free_port())
    yield running
    lifecycle.down(state)


@pytest.fixture(scope="session")
def aws(cloud: CloudInfo) -> Callable[[str], Any]:
    """Clients of the running cloud by service; the role ROLE exists."""
    trusted = {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [trusted]})
    client_of(cloud, "iam").create_role(RoleName="tests", AssumeRolePolicyDocument=document)
    return lambda service: client_of(cloud, service)


@pytest.fixture
def make_function(aws: Callable[[str], Any], request: pytest.FixtureRequest) -> Callable[..., str]:
    """Create a Lambda function from the source of its module `index`; gives its name."""

    def make(source: str, **options: Any) -> str:
        name = f"{request.node.name[:40].replace('[', '-').replace(']', '')}-{abs(hash(source)) % 10**8}"
        aws("lambda").create_function(
            FunctionName=name,
            Code={"ZipFile": zipped({"index.py": source})},
            Runtime="python3.11",
            Role=ROLE,
            Handler="index.handler",
            **{"Timeout": 20, **options},
        )
        return name

    return make


@pytest.fixture
def invoke(aws: Callable[[str], Any]) -> Callable[..., Any]:
    """Invoke a function; gives its result, and the service's answer beside it."""

    def call(name: str, event: Any = None, **options: Any) -> tuple[Any, dict[str, Any]]:
        answer = aws("lambda").invoke(FunctionName=name, Payload=json.dumps(event), **options)
        return json.loads(answer["Payload"].read() or b"null"), answer

    return call
