"""What is left when the cloud's process is killed: no process of a job, and a journal that says what ran."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from kindling.localcloud.journal import Journal
from tests.localcloud.sagemaker.conftest import Account, until
from tests.localcloud.sagemaker.embedded import make_role


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
        yield server, account
        server.kill()


def test_a_killed_server_leaves_no_child_and_its_job_is_shown_interrupted(tmp_path: Path) -> None:
    with embedded(tmp_path) as (server, account):
        name = account.begin(hosts=2, HyperParameters={"wait": "stubbornly"})
        children = until(lambda: len(found := psutil.Process(server.pid).children()) == 2 and found)
        account.job(name, "Training")
        os.kill(server.pid, signal.SIGKILL)
        server.wait()
    _, alive = psutil.wait_procs(children, timeout=20)
    assert alive == []
    journal = Journal(tmp_path / "journal")
    assert journal.interrupt_unfinished() == [name]
    record = journal.read("training-jobs", name)
    assert record is not None
    assert record["status"] == "Interrupted"
    assert record["cause"] == f"the embedded cloud ended while {name} was running"

    left = tmp_path / "jobs" / name
    assert left.exists()
    with embedded(tmp_path):
        assert not left.exists()


def test_a_job_that_ends_because_the_cloud_does_is_not_called_failed(tmp_path: Path) -> None:
    with embedded(tmp_path) as (server, account):
        name = account.begin(HyperParameters={"wait": "politely"})
        account.job(name, "Training")
        server.terminate()
        server.wait()
    assert Journal(tmp_path / "journal").interrupt_unfinished() == [name]
