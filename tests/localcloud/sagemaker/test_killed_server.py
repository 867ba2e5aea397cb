"""What is left when the cloud's process ends, killed or not: no process of a job, and jobs that say why they ended."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from tests.localcloud.sagemaker.conftest import Account, until
from tests.localcloud.sagemaker.embedded import looks_at_processes, make_role


class _Elsewhere:
    """The part of a cloud that a client needs, when the cloud is another process."""

    def __init__(self, port: int) -> None:
        self.port = port


@contextmanager
def embedded(state: Path) -> Iterator[tuple[subprocess.Popen[str], Account]]:
    """A cloud in a process of its own."""
    command = [sys.executable, "-m", "tests.localcloud.sagemaker.embedded", str(state)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as server:
        assert server.stdout is not None
        port = int(server.stdout.readline())
        account = Account(_Elsewhere(port), make_role(port))  # type: ignore[arg-type]
        account.s3.create_bucket(Bucket=account.bucket)
        try:
            yield server, account
        finally:
            server.kill()


@looks_at_processes
def test_a_killed_server_leaves_no_child_and_its_job_has_failed_with_the_reason(tmp_path: Path) -> None:
    with embedded(tmp_path) as (server, account):
        name = account.begin(hosts=2, HyperParameters={"wait": "stubbornly"})
        children = until(lambda: len(found := psutil.Process(server.pid).children()) == 2 and found)
        account.job(name, "Training")
        os.kill(server.pid, signal.SIGKILL)
        server.wait()
    _, alive = psutil.wait_procs(children, timeout=20)
    assert alive == []
    left = tmp_path / "jobs" / name
    assert left.exists()
    with embedded(tmp_path) as (_, account):
        assert not left.exists()
        job = account.job(name)
        assert job["TrainingJobStatus"] == "Failed"
        assert job["FailureReason"] == (
            "InternalServerError: the embedded cloud ended while the job was in Training; create it again."
        )
        assert job["SecondaryStatusTransitions"][-1]["Status"] == "Failed"


def test_a_job_that_ends_because_the_cloud_does_says_so(tmp_path: Path) -> None:
    with embedded(tmp_path) as (server, account):
        name = account.begin(HyperParameters={"wait": "politely"})
        account.job(name, "Training")
        server.terminate()
        server.wait()
    with embedded(tmp_path) as (_, account):
        assert "the embedded cloud ended" in account.job(name)["FailureReason"]
