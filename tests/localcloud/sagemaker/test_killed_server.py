"""What is left when the cloud's process is killed: no process of a job, and a journal that says what ran."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil

from kindling.localcloud.journal import Journal
from tests.localcloud.sagemaker.conftest import Account, until
from tests.localcloud.sagemaker.embedded import make_role


class _Elsewhere:
    """The part of a cloud that a client needs, when the cloud is another process."""

    def __init__(self, port: int) -> None:
        self.port = port


def test_a_killed_server_leaves_no_child_and_its_job_is_shown_interrupted(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.localcloud.sagemaker.embedded", str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as server:
        assert server.stdout is not None
        port = int(server.stdout.readline())
        account = Account(_Elsewhere(port), make_role(port))  # type: ignore[arg-type]
        account.s3.create_bucket(Bucket=account.bucket)
        name = account.begin(hosts=2, HyperParameters={"wait": "stubbornly"})
        children = until(lambda: len(found := psutil.Process(server.pid).children()) == 2 and found)
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
