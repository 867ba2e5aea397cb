"""The AWS CLI v2, which no Python package has: Debian's `awscli`, or whichever is on the path."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.clients.conftest import Cloud

GROUP = "/cli/tailed"


def find() -> str | None:
    """The program; a Python package of the same name may lie before it on the path."""
    folders = [*os.get_exec_path(), "/usr/bin"]
    programs = (shutil.which("aws", path=folder) for folder in dict.fromkeys(folders))
    for program in filter(None, programs):
        told = subprocess.run([program, "--version"], capture_output=True, text=True, check=False).stdout
        if told.startswith("aws-cli/2."):
            return program
    return None


@pytest.fixture(scope="module")
def command(cloud: Cloud) -> list[str]:
    program = find()
    if program is None:
        pytest.skip("there is no AWS CLI v2 here; Debian's package is awscli")
    # Before 2.13 the CLI does not read AWS_ENDPOINT_URL.
    return [program, "--endpoint-url", cloud.environment["AWS_ENDPOINT_URL"]]


@pytest.fixture(scope="module")
def streams(cloud: Cloud) -> Iterator[None]:
    logs, now = cloud.client("logs"), int(time.time() * 1000)
    logs.create_log_group(logGroupName=GROUP)
    for stream, text, age_s in (("one", "long ago", 7200), ("one", "just now", 60), ("two", "elsewhere", 30)):
        if text != "just now":
            logs.create_log_stream(logGroupName=GROUP, logStreamName=stream)
        event = {"timestamp": now - age_s * 1000, "message": text}
        logs.put_log_events(logGroupName=GROUP, logStreamName=stream, logEvents=[event])
    yield
    logs.delete_log_group(logGroupName=GROUP)


@pytest.mark.usefixtures("streams")
def test_a_log_is_tailed(command: list[str]) -> None:
    def tail(*options: str) -> list[str]:
        line = [*command, "logs", "tail", GROUP, "--format", "short", *options]
        return subprocess.run(line, capture_output=True, text=True, check=True).stdout.splitlines()

    assert [line.split(" ", 1)[1] for line in tail()] == ["just now", "elsewhere"], "of the last ten minutes"
    assert [line.split(" ", 1)[1] for line in tail("--since", "1d", "--log-stream-names", "one")] == [
        "long ago",
        "just now",
    ]
    assert [line.split(" ", 1)[1] for line in tail("--filter-pattern", "just")] == ["just now"]


@pytest.mark.usefixtures("streams")
def test_a_log_is_followed(command: list[str], cloud: Cloud) -> None:
    line = [*command, "logs", "tail", GROUP, "--follow", "--since", "1m", "--format", "short"]
    with subprocess.Popen(line, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONUNBUFFERED": "1"}) as tail:
        try:
            assert tail.stdout is not None
            assert tail.stdout.readline().endswith(" elsewhere\n")
            event = {"timestamp": int(time.time() * 1000), "message": "as it comes"}
            cloud.client("logs").put_log_events(logGroupName=GROUP, logStreamName="two", logEvents=[event])
            assert tail.stdout.readline().endswith(" as it comes\n")
        finally:
            tail.kill()


def test_objects_are_copied_and_services_asked(command: list[str], cloud: Cloud, tmp_path: Path) -> None:
    def aws(*arguments: str) -> str:
        return subprocess.run([*command, *arguments], capture_output=True, text=True, check=True).stdout

    (tmp_path / "up").write_text("there and back\n")
    aws("s3", "mb", "s3://cli-v2")
    aws("s3", "cp", str(tmp_path / "up"), "s3://cli-v2/folder/up")
    aws("s3", "cp", "s3://cli-v2/folder/up", str(tmp_path / "down"))
    assert (tmp_path / "down").read_text() == "there and back\n"
    query = ("--query", "TrainingJobSummaries", "--output", "json")
    assert aws("sagemaker", "list-training-jobs", "--name-contains", "no-such-job", *query).strip() == "[]"
    machines = cloud.client("stepfunctions").list_state_machines()["stateMachines"]
    count = aws("stepfunctions", "list-state-machines", "--query", "length(stateMachines)", "--output", "json")
    assert int(count) == len(machines)
