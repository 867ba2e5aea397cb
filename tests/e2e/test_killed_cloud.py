"""kill -9 of the embedded cloud while a job trains: no orphan, and the next cloud tells what became of the run.

It is the cloud that all tests share, with all that they have left there; it goes on at the same port.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil

from kindling.localcloud import lifecycle
from tests.e2e.conftest import SMALL, Deployment, until


def training_processes(cloud: int) -> list[psutil.Process]:
    return [process for process in psutil.Process(cloud).children(recursive=True) if "train" in process.cmdline()]


def kindling(state: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).parent / "kindling"), *arguments]
    environment = {**os.environ, "KINDLING_STATE": str(state), "COLUMNS": "200"}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def test_a_killed_cloud_leaves_no_process_and_its_run_has_failed_with_the_reason(
    deployed: Deployment, corpus: str
) -> None:
    state = deployed.target.state
    folders = set((state / "jobs").glob("*"))
    execution = deployed.start(
        {
            "name": "doomed",
            "inputs": {"train": corpus},
            "hyperparameters": {**SMALL, "epochs": "10000"},
            "resources": {"instance_count": 2},
        }
    )
    info = lifecycle.info(state)
    assert info is not None
    until(lambda: len(training_processes(info.pid)) >= 2, 60, "training starts")
    started = psutil.Process(info.pid).children(recursive=True)
    [job] = deployed.running_jobs()

    os.kill(info.pid, signal.SIGKILL)

    until(lambda: not any(p.is_running() and p.status() != psutil.STATUS_ZOMBIE for p in started), 10, "processes end")
    assert kindling(state, "up", "--port", str(info.port)).returncode == 0
    shown = kindling(state, "show", execution.rpartition(":")[2])
    assert "FAILED" in shown.stdout
    assert "the embedded cloud ended while Train was running" in shown.stdout
    listed = kindling(state, "runs").stdout
    assert "FAILED" in listed
    assert "the embedded cloud ended while Train was running" in listed
    described = deployed.client("sagemaker").describe_training_job(TrainingJobName=job)
    assert described["TrainingJobStatus"] == "Failed"
    assert set((state / "jobs").glob("*")) <= folders, "the broken job's folders are left"
