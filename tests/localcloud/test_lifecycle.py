"""Starting and ending the embedded cloud, and what is left after a kill."""

from __future__ import annotations

import json
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from kindling.localcloud import lifecycle
from kindling.localcloud.cloud import LOOPBACK
from kindling.localcloud.executions import INTERRUPTED, records
from kindling.localcloud.lifecycle import CloudError
from tests.localcloud.conftest import ROLE, client_of, free_port, zipped


@pytest.fixture
def state(tmp_path: Path) -> Iterator[Path]:
    """A state folder; the cloud that may run in it is ended."""
    yield tmp_path / "state"
    lifecycle.down(tmp_path / "state")


def wait_until(condition: Callable[[], Any]) -> Any:
    """The first truthy value of `condition`."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        if found := condition():
            return found
        time.sleep(0.05)
    pytest.fail("nothing came")


def pid_of_function(cloud: lifecycle.CloudInfo) -> int:
    """Make a function and give the id of its warm process."""
    trusted = {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [trusted]})
    client_of(cloud, "iam").create_role(RoleName="tests", AssumeRolePolicyDocument=document)
    code = zipped({"index.py": "import os\ndef handler(event, context): return os.getpid()\n"})
    client_of(cloud, "lambda").create_function(
        FunctionName="pid", Code={"ZipFile": code}, Runtime="python3.11", Role=ROLE, Handler="index.handler", Timeout=20
    )
    return int(json.load(client_of(cloud, "lambda").invoke(FunctionName="pid")["Payload"]))


def is_running(pid: int) -> bool:
    """Whether the process is there and not a zombie."""
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def test_up_is_idempotent_and_down_ends_everything(state: Path) -> None:
    cloud = lifecycle.up(state, free_port())
    assert lifecycle.up(state, cloud.port) == cloud
    assert lifecycle.info(state) == cloud
    function = pid_of_function(cloud)
    assert is_running(function)
    assert lifecycle.down(state)
    assert not is_running(function)
    assert not is_running(cloud.pid)
    assert lifecycle.info(state) is None
    assert not lifecycle.down(state)


def test_it_listens_on_the_loopback_interface_only(state: Path) -> None:
    cloud = lifecycle.up(state, free_port())
    listening = [one.laddr[0] for one in psutil.Process(cloud.pid).net_connections() if one.status == "LISTEN"]
    assert listening == [LOOPBACK]


def test_a_killed_cloud_takes_its_processes_along_and_its_execution_has_failed(state: Path) -> None:
    cloud = lifecycle.up(state, free_port())
    function = pid_of_function(cloud)
    states = {"Train": {"Type": "Wait", "Seconds": 600, "End": True}}
    sfn = client_of(cloud, "stepfunctions")
    machine = sfn.create_state_machine(
        name="machine", roleArn=ROLE, definition=json.dumps({"StartAt": "Train", "States": states})
    )
    arn = sfn.start_execution(stateMachineArn=machine["stateMachineArn"], name="run")["executionArn"]
    wait_until(lambda: records(state)[0]["state"] == "Train")
    os.kill(cloud.pid, signal.SIGKILL)
    wait_until(lambda: not is_running(function))
    again = lifecycle.up(state, cloud.port)
    assert again.pid != cloud.pid
    sfn = client_of(again, "stepfunctions")
    execution = sfn.describe_execution(executionArn=arn)
    assert (execution["status"], execution["error"]) == ("FAILED", INTERRUPTED)
    assert execution["cause"] == "the embedded cloud ended while Train was running"
    history = sfn.get_execution_history(executionArn=arn)["events"]
    assert [event["type"] for event in history] == ["ExecutionStarted", "WaitStateEntered", "ExecutionFailed"]
    assert history[-1]["executionFailedEventDetails"]["cause"] == execution["cause"]


def test_a_killed_cloud_that_still_holds_its_port_is_waited_for(state: Path) -> None:
    with socket.socket() as dying:
        dying.bind((LOOPBACK, 0))
        dying.listen()
        port = dying.getsockname()[1]
        state.mkdir(parents=True, exist_ok=True)
        record = {"pid": 2**22, "port": port, "started_at": 0.0, "version": "0"}  # no process has this number
        (state / "cloud.json").write_text(json.dumps(record), encoding="utf-8")
        released = threading.Timer(0.5, dying.close)
        released.start()
        assert lifecycle.up(state, port).port == port
        released.join()


def test_an_answer_that_breaks_off_is_asked_for_again(tmp_path: Path) -> None:
    health = json.dumps({"pid": os.getpid(), "seams": True})
    answers = [
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\n" + health[:4],  # the server ended here
        f"HTTP/1.0 200 OK\r\n\r\n{health[:4]}",
        f"HTTP/1.0 200 OK\r\n\r\n{health}",
    ]
    with socket.create_server((LOOPBACK, 0)) as server:

        def answer() -> None:
            for text in answers:
                connection, _ = server.accept()
                with connection:
                    connection.recv(4096)
                    connection.sendall(text.encode())

        answering = threading.Thread(target=answer, daemon=True)
        answering.start()
        record = {"pid": os.getpid(), "port": server.getsockname()[1], "version": "0"}
        started = psutil.Process().create_time()
        (tmp_path / "cloud.json").write_text(json.dumps({**record, "started_at": started}))
        assert lifecycle.up(tmp_path).pid == os.getpid()
        answering.join()


def test_a_port_that_is_taken_is_named(state: Path) -> None:
    with socket.socket() as other:
        other.bind((LOOPBACK, 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(CloudError, match=f"port {port} cannot be listened on .*KINDLING_PORT"):
            lifecycle.up(state, port)


def test_a_state_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(CloudError, match=r"state folder .*/file/state is not writable .*KINDLING_STATE"):
        lifecycle.up(tmp_path / "file" / "state", free_port())


def test_a_client_of_the_cloud_reaches_nothing_else(state: Path) -> None:
    cloud = lifecycle.CloudInfo(pid=1, port=5770, started_at=0.0, version="0", state=state)
    environment = lifecycle.client_environment(cloud)
    assert environment["AWS_ENDPOINT_URL"] == "http://127.0.0.1:5770"
    assert environment["AWS_CONFIG_FILE"] == environment["AWS_SHARED_CREDENTIALS_FILE"] == os.devnull


def test_the_docker_runner_without_an_engine_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/no.sock")
    with pytest.raises(lifecycle.CloudError, match=r"no Docker engine answers at unix://.*/no.sock .*install one"):
        lifecycle.up(tmp_path / "state", free_port(), "docker")
    assert lifecycle.info(tmp_path / "state") is None


def test_a_running_cloud_keeps_its_runner(state: Path) -> None:
    cloud = lifecycle.up(state, free_port())
    assert cloud.runner == "process"
    with pytest.raises(lifecycle.CloudError, match="with the process runner; end it with `kindling down` first"):
        lifecycle.up(state, cloud.port, "docker")
