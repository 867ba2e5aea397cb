"""The fault table of docs/embedded-cloud/state.md: each row twenty times, at other moments each time.

Whatever happens, nothing is lost that was acknowledged, no process is left over, and status and reason are right.
"""

from __future__ import annotations

import contextlib
import gzip
import json
import os
import random
import signal
import subprocess
import threading
import time
import urllib.request
from pathlib import Path
from typing import Any

import psutil
import pytest
from botocore.exceptions import BotoCoreError, ClientError

from kindling.localcloud import lifecycle
from kindling.localcloud.controls import CONTROL_PATH, INTERRUPT_TRAINING_JOB
from kindling.localcloud.executions import INTERRUPTED, records
from kindling.ports import free_port
from tests.localcloud.conftest import ROLE, client_of
from tests.localcloud.sagemaker.conftest import Account, new_name, until
from tests.localcloud.sagemaker.embedded import looks_at_processes
from tests.localcloud.sagemaker.test_killed_server import embedded

RUNS = [0, *(pytest.param(run, marks=pytest.mark.slow) for run in range(1, 20))]
each_run = pytest.mark.parametrize("run", RUNS)


class Writer:
    """Puts objects one after the other, in a thread, and knows which were acknowledged."""

    def __init__(self, account: Account) -> None:
        self.acknowledged: list[str] = []
        self._account = account
        self._thread = threading.Thread(target=self._write, daemon=True)
        self._thread.start()
        until(lambda: self.acknowledged)

    def _write(self) -> None:
        with contextlib.suppress(BotoCoreError, ClientError):
            while True:
                key = f"written/{len(self.acknowledged)}"
                self._account.put(key, key.encode())
                self.acknowledged.append(key)

    def assert_all_there(self, account: Account) -> None:
        self._thread.join()
        for key in self.acknowledged:
            assert account.s3.get_object(Bucket=account.bucket, Key=key)["Body"].read() == key.encode()


def kill(server: subprocess.Popen[str], run: int) -> None:
    """kill -9 at some moment within 0.4 s; nothing that the cloud had started is left."""
    time.sleep(random.Random(run).uniform(0, 0.4))
    children = psutil.Process(server.pid).children(recursive=True)
    os.kill(server.pid, signal.SIGKILL)
    server.wait()
    assert psutil.wait_procs(children, timeout=20)[1] == []


def assert_job_failed(account: Account, state: Path, name: str) -> None:
    job = account.job(name)
    assert job["TrainingJobStatus"] == "Failed"
    assert job["FailureReason"].startswith("InternalServerError: the embedded cloud ended while the job was in ")
    assert not list((state / "jobs").iterdir())


@each_run
def test_killed_while_a_job_trains(tmp_path: Path, run: int) -> None:
    with embedded(tmp_path) as (server, account):
        name = account.begin(hosts=2, HyperParameters={"wait": "stubbornly"})
        account.job(name, "Training")
        writer = Writer(account)
        kill(server, run)
    with embedded(tmp_path) as (_, account):
        assert_job_failed(account, tmp_path, name)
        writer.assert_all_there(account)


@each_run
def test_killed_while_a_model_is_uploaded(tmp_path: Path, run: int) -> None:
    with embedded(tmp_path) as (server, account):
        name = account.begin(HyperParameters={"model_bytes": str(40 << 20)})
        account.job(name, "Uploading")
        writer = Writer(account)
        kill(server, run)
    with embedded(tmp_path) as (_, account):
        job = account.job(name)
        if job["TrainingJobStatus"] == "Completed":  # it was quicker
            assert len(account.archive(job["ModelArtifacts"]["S3ModelArtifacts"])["algo-1.noise"]) == 40 << 20
        else:
            assert_job_failed(account, tmp_path, name)
        writer.assert_all_there(account)


@each_run
def test_killed_while_an_endpoint_serves(tmp_path: Path, run: int) -> None:
    with embedded(tmp_path) as (server, account):
        name = account.serve({"GREETING": "hello"}, instances=2)
        writer = Writer(account)
        asking = threading.Thread(target=ask_on, args=(account, name), daemon=True)
        asking.start()
        kill(server, run)
        asking.join()
    with embedded(tmp_path) as (_, account):
        assert account.endpoint(name)["EndpointStatus"] == "InService"
        assert account.ask(name)["greeting"] == "hello"
        writer.assert_all_there(account)


def ask_on(account: Account, name: str) -> None:
    """Ask an endpoint until nobody answers."""
    with contextlib.suppress(BotoCoreError):
        while True:
            account.ask(name)


@each_run
def test_killed_while_a_state_machine_runs(tmp_path: Path, run: int) -> None:
    cloud = lifecycle.up(tmp_path, free_port())
    states: dict[str, Any] = {f"Step{number}": {"Type": "Pass", "Next": f"Step{number + 1}"} for number in range(40)}
    states["Step40"] = {"Type": "Wait", "Seconds": 600, "End": True}
    sfn = client_of(cloud, "stepfunctions")
    definition = json.dumps({"StartAt": "Step0", "States": states})
    machine = sfn.create_state_machine(name="m", roleArn=ROLE, definition=definition)["stateMachineArn"]
    arn = sfn.start_execution(stateMachineArn=machine, name="e", input='{"a": 1}')["executionArn"]
    time.sleep(random.Random(run).uniform(0, 0.2))
    os.kill(cloud.pid, signal.SIGKILL)
    state = records(tmp_path)[0]["state"]
    try:
        sfn = client_of(lifecycle.up(tmp_path, free_port()), "stepfunctions")
        execution = sfn.describe_execution(executionArn=arn)
        assert (execution["status"], execution["error"], execution["input"]) == ("FAILED", INTERRUPTED, '{"a": 1}')
        assert execution["cause"] == f"the embedded cloud ended while {state or 'it'} was running"
        history = sfn.get_execution_history(executionArn=arn)["events"]
        assert [event["id"] for event in history] == list(range(1, len(history) + 1))
        assert history[-1]["type"] == "ExecutionFailed"
    finally:
        lifecycle.down(tmp_path)


@looks_at_processes
@each_run
def test_a_hosts_process_is_killed(account: Account, run: int) -> None:
    name = account.begin(hosts=2, HyperParameters={"wait": "politely"})
    folder = str(account.cloud.state / "jobs" / name)
    hosts = until(lambda: len(found := processes_of(folder)) == 2 and found)
    time.sleep(random.Random(run).uniform(0, 0.3))
    chosen = sorted(hosts)[run % 2]
    hosts[chosen].kill()
    job = account.job(name)
    assert job["TrainingJobStatus"] == "Failed"
    assert job["FailureReason"] == f"AlgorithmError: {chosen} was ended by SIGKILL, exit code: 137"
    assert psutil.wait_procs(list(hosts.values()), timeout=10)[1] == []
    assert not (account.cloud.state / "jobs" / name).exists()


def processes_of(folder: str) -> dict[str, psutil.Process]:
    """The processes whose base directories lie in a job's folder, by host."""
    found = {}
    for process in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.Error):
            base = process.environ().get("SAGEMAKER_BASE_DIR", "")
            if base.startswith(folder):
                found[Path(base).name] = process
    return found


@each_run
def test_a_spot_job_is_interrupted_at_any_moment(account: Account, run: int) -> None:
    place = f"s3://{account.bucket}/{new_name('checkpoints')}"
    name = account.begin(
        HyperParameters={"sleep": "0.5"},
        EnableManagedSpotTraining=True,
        StoppingCondition={"MaxRuntimeInSeconds": 600, "MaxWaitTimeInSeconds": 600},
        CheckpointConfig={"S3Uri": place},
    )
    time.sleep(random.Random(run).uniform(0, 0.6))
    accepted = interrupted(account, name)
    job = account.job(name)
    assert job["TrainingJobStatus"] == "Completed", job.get("FailureReason")
    statuses = [transition["Status"] for transition in job["SecondaryStatusTransitions"]]
    assert ("Interrupted" in statuses) == accepted
    assert statuses[-2:] == ["Uploading", "Completed"]
    assert job["BillableTimeInSeconds"] <= job["TrainingTimeInSeconds"]
    assert processes_of(str(account.cloud.state / "jobs" / name)) == {}


def interrupted(account: Account, name: str) -> bool:
    """Ask for an interruption; whether there was something to interrupt."""
    url = f"{account.cloud.endpoint_url}{CONTROL_PATH}{INTERRUPT_TRAINING_JOB}"
    try:
        urllib.request.urlopen(url, json.dumps({"TrainingJobName": name}).encode()).close()
    except urllib.error.HTTPError:  # it has no instances now
        return False
    return True


@each_run
def test_the_disk_is_full_when_a_model_is_written(small_disk: Path, run: int) -> None:
    # Too large for the disk; or for it and its archive.
    size = (
        random.Random(run).randrange(50 << 20, 90 << 20)
        if run % 2
        else random.Random(run).randrange(26 << 20, 40 << 20)
    )
    with embedded(small_disk) as (server, account):
        account.put("before", b"kept")
        job = account.train(HyperParameters={"model_bytes": str(size)})
        assert job["TrainingJobStatus"] == "Failed"
        assert "No space left on device" in job["FailureReason"]
        assert "Traceback" not in job["FailureReason"]
        assert not list((small_disk / "jobs").iterdir())
        assert account.s3.get_object(Bucket=account.bucket, Key="before")["Body"].read() == b"kept"
        assert account.train()["TrainingJobStatus"] == "Completed"  # there is room again
        kill(server, run)
    with embedded(small_disk) as (_, account):
        assert account.job(job["TrainingJobName"])["FailureReason"] == job["FailureReason"]
        assert account.s3.get_object(Bucket=account.bucket, Key="before")["Body"].read() == b"kept"


@each_run
def test_an_object_is_deleted_while_its_channel_is_downloaded(account: Account, run: int) -> None:
    prefix = new_name("going")
    for number in range(60):
        account.put(f"{prefix}/{number:02}", b"x")
    source = {"S3DataType": "S3Prefix", "S3Uri": f"s3://{account.bucket}/{prefix}"}
    name = account.begin(InputDataConfig=[{"ChannelName": "train", "DataSource": {"S3DataSource": source}}])
    time.sleep(random.Random(run).uniform(0, 0.01))
    account.s3.delete_object(Bucket=account.bucket, Key=f"{prefix}/59")
    job = account.job(name)
    if job["TrainingJobStatus"] == "Failed":
        assert f"{prefix}/59 of channel 'train' cannot be used: there is no object at" in job["FailureReason"]
    else:  # it went before it was listed, or after it was brought
        assert job["TrainingJobStatus"] == "Completed"
        assert len(account.reports(job)["algo-1"]["data"]) in (59, 60)
    assert not (account.cloud.state / "jobs" / name).exists()


@each_run
def test_a_gzip_file_is_corrupt(account: Account, run: int) -> None:
    chance = random.Random(run)
    packed = bytearray(gzip.compress(chance.randbytes(20_000), mtime=0))
    position = chance.randrange(20, len(packed) - 4)  # behind the header, before the size, which may be anything
    packed[position] ^= 1 << chance.randrange(8)
    key = f"{new_name('corrupt')}/part.gz"
    account.put(key, bytes(packed))
    source = {"S3DataType": "S3Prefix", "S3Uri": f"s3://{account.bucket}/{key}"}
    channel = {"ChannelName": "train", "DataSource": {"S3DataSource": source}, "CompressionType": "Gzip"}
    job = account.train(InputDataConfig=[channel])
    assert job["TrainingJobStatus"] == "Failed"
    assert job["FailureReason"].startswith(f"ClientError: Data download failed: s3://{account.bucket}/{key} of channel")
    assert "it is not gzip: " in job["FailureReason"]
