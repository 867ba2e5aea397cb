"""Processing and transform jobs when the cloud's process ends: nothing is left, and each says why it ended."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import psutil

from tests.localcloud.sagemaker import processing_jobs, transform_jobs
from tests.localcloud.sagemaker.conftest import Account, until
from tests.localcloud.sagemaker.embedded import looks_at_processes
from tests.localcloud.sagemaker.test_killed_server import embedded

SLEEP = "import time\nprint('ready', flush=True)\ntime.sleep(600)\n"
INTERRUPTED = "InternalServerError: the embedded cloud ended while the job was InProgress; create it again."


def begin_both(account: Account) -> tuple[str, str]:
    """Begin a job of each kind; their names, once both containers are at work."""
    processing = processing_jobs.begin(account, SLEEP)
    transform = transform_jobs.begin(account, account.model({"TRANSFORM": "upper"}), {"1": b"done", "2": b"sleep"})
    processing_jobs.until_logged(account, processing, "ready")
    until(lambda: transform_jobs.output(account, {"TransformJobName": transform}))
    return processing, transform


def assert_interrupted(account: Account, processing: str, transform: str) -> None:
    found = processing_jobs.job(account, processing)
    assert (found["ProcessingJobStatus"], found["FailureReason"]) == ("Failed", INTERRUPTED)
    found = transform_jobs.job(account, transform)
    assert (found["TransformJobStatus"], found["FailureReason"]) == ("Failed", INTERRUPTED)
    assert found["TransformEndTime"] >= found["TransformStartTime"]


@looks_at_processes
def test_however_the_cloud_ends_its_jobs_have_failed_with_the_reason_and_nothing_is_left(tmp_path: Path) -> None:
    with embedded(tmp_path) as (server, account):
        done = processing_jobs.process(account, "")["ProcessingJobName"]
        ended = begin_both(account)
        server.terminate()
        server.wait()
    with embedded(tmp_path) as (server, account):
        assert_interrupted(account, *ended)
        assert processing_jobs.job(account, done)["ProcessingJobStatus"] == "Completed"
        killed = begin_both(account)
        children = psutil.Process(server.pid).children()
        assert len(children) == 2
        os.kill(server.pid, signal.SIGKILL)
        server.wait()
    assert psutil.wait_procs(children, timeout=20)[1] == []
    left = [tmp_path / kind / name for kind, name in zip(("processing-jobs", "transform-jobs"), killed, strict=True)]
    assert all(folder.exists() for folder in left)
    with embedded(tmp_path) as (_, account):
        assert_interrupted(account, *killed)
        assert not any(folder.exists() for folder in left)
