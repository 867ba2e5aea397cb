"""Processes, and the images' records."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from kindling.localcloud.image_publisher import PublishingError, publish
from kindling.localcloud.images import Images, UnknownImageError
from kindling.localcloud.processes import Processes, end, end_survivors

_PARENT = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])
print(child.pid, flush=True)
time.sleep(600)
"""


def stays(pid: int) -> bool:
    """Whether the process outlives ten seconds."""
    deadline = time.monotonic() + 10  # a signal takes effect when the kernel gets round to it
    while time.monotonic() < deadline:
        try:
            if psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
                return False
        except psutil.NoSuchProcess:
            return False
        time.sleep(0.05)
    return True


def start_family(processes: Processes, folder: Path) -> tuple[subprocess.Popen[bytes], int]:
    """A process and the child that it started."""
    parent = processes.start(
        [sys.executable, "-c", _PARENT], name="family", env=dict(os.environ), cwd=folder, stdout=subprocess.PIPE
    )
    assert parent.stdout is not None
    with parent.stdout as output:
        return parent, int(output.readline())


def test_ending_a_process_ends_what_it_started(tmp_path: Path) -> None:
    parent, child = start_family(Processes(tmp_path / "registry"), tmp_path)
    end(parent)
    assert parent.returncode == -signal.SIGTERM
    assert not stays(child)


def test_nothing_is_started_once_all_is_ended(tmp_path: Path) -> None:
    processes = Processes(tmp_path / "registry")
    parent, child = start_family(processes, tmp_path)
    processes.end_all()
    assert not stays(parent.pid)
    assert not stays(child)
    with pytest.raises(RuntimeError, match="the embedded cloud is ending, so late was not started"):
        processes.start(["sleep", "600"], name="late", env={}, cwd=tmp_path)


def test_a_program_that_is_not_there_is_the_caller_s_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        Processes(tmp_path / "registry").start(["no-such-program"], name="none", env={}, cwd=tmp_path)


def test_survivors_are_found_by_their_record_even_without_their_leader(tmp_path: Path) -> None:
    parent, child = start_family(Processes(tmp_path / "registry"), tmp_path)
    parent.kill()
    parent.wait()
    assert end_survivors(tmp_path / "registry") == ["family"]
    assert not stays(child)
    assert list((tmp_path / "registry").iterdir()) == []


def test_a_stranger_with_the_number_of_a_former_process_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "1.json").write_text(json.dumps({"pid": os.getpid(), "started": 1.0, "name": "former"}))
    assert end_survivors(tmp_path) == []


def test_an_image_is_known_by_every_name_it_got(tmp_path: Path) -> None:
    uri = "123456789012.dkr.ecr.us-east-1.amazonaws.com/kindling:abc"
    assert publish(["inspect", "cdkasset-abc"], tmp_path) == 1
    assert publish(["build", "--tag", "cdkasset-abc", "--file", "blazingtext/Dockerfile", "."], tmp_path) == 0
    assert publish(["inspect", "cdkasset-abc"], tmp_path) == 0
    assert publish(["tag", "cdkasset-abc", uri], tmp_path) == 0
    assert Images(tmp_path).algorithm_of(uri) == "blazingtext"


def test_an_image_that_was_never_published_is_named(tmp_path: Path) -> None:
    with pytest.raises(UnknownImageError, match="image elsewhere/x:1 was not published to this embedded cloud"):
        Images(tmp_path).algorithm_of("elsewhere/x:1")
    with pytest.raises(PublishingError, match="no image is named cdkasset-x; build it first"):
        publish(["tag", "cdkasset-x", "y"], tmp_path)
