"""kill -9 of the embedded cloud while a job trains: no orphan, and the next cloud tells what became of the run."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from kindling.localcloud import lifecycle
from kindling.localcloud.store import Store
from kindling.ports import free_port
from tests.e2e.conftest import SMALL, Deployment, deployment_in, until


@pytest.fixture
def doomed(tmp_path: Path) -> Iterator[Deployment]:
    with deployment_in(tmp_path) as found:
        yield found


def training_processes(cloud: int) -> list[psutil.Process]:
    return [process for process in psutil.Process(cloud).children(recursive=True) if "train" in process.cmdline()]


def kindling(state: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).parent / "kindling"), *arguments]
    environment = {**os.environ, "KINDLING_STATE": str(state), "COLUMNS": "200"}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def test_a_killed_cloud_leaves_no_process_and_its_run_has_failed_with_the_reason(doomed: Deployment) -> None:
    from gensim.test.utils import datapath

    state = doomed.target.state
    address = doomed.upload(Path(datapath("lee_background.cor")), "lee")
    execution = doomed.start(
        {
            "name": "doomed",
            "inputs": {"train": address},
            "hyperparameters": {**SMALL, "epochs": "10000"},
            "resources": {"instance_count": 2},
        }
    )
    info = lifecycle.info(state)
    assert info is not None
    until(lambda: len(training_processes(info.pid)) >= 2, 60, "training starts")
    started = psutil.Process(info.pid).children(recursive=True)

    os.kill(info.pid, signal.SIGKILL)

    until(lambda: not any(p.is_running() and p.status() != psutil.STATUS_ZOMBIE for p in started), 10, "processes end")
    assert kindling(state, "up", "--port", str(free_port())).returncode == 0
    shown = kindling(state, "show", execution.rpartition(":")[2])
    assert "FAILED" in shown.stdout
    assert "the embedded cloud ended while Train was running" in shown.stdout
    listed = kindling(state, "runs").stdout
    assert "FAILED" in listed
    assert "the embedded cloud ended while Train was running" in listed
    jobs = Store(state / "cloud.db").all("sagemaker/training-job")
    assert [job["status"] for job in jobs.values()] == ["Failed"]
    assert not list((state / "jobs").glob("*")), "the broken job's folders are left"
