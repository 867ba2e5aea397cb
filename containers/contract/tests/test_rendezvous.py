"""Hosts as processes that meet on the loopback address. Runs where torch is: in an algorithm's environment."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from contract.specification import Algorithm

pytestmark = pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="needs torch")

HOST = Path(__file__).with_name("rendezvous_host.py")
SURVIVORS_HAVE = 60  # seconds from a host's death to the end of the job


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def job(
    tmp_path: Path, size: int, behaviour: str, present: int | None = None, join: float = 60
) -> Iterator[list[subprocess.Popen[str]]]:
    """The hosts of a job, of which only the first `present` are started."""
    environ = {
        **os.environ,
        "PYTHONUNBUFFERED": "1",
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(free_port()),
        "KINDLING_HOST_SILENCE_S": "4",
        "KINDLING_HOST_JOIN_S": str(join),
    }
    hosts = [
        subprocess.Popen(
            [sys.executable, HOST, str(rank), str(size), behaviour, tmp_path, tmp_path / "algorithm.toml"],
            env=environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for rank in range(present or size)
    ]
    try:
        yield hosts
    finally:
        for host in hosts:
            host.kill()
            host.communicate()


def read_until(host: subprocess.Popen[str], text: str) -> None:
    assert host.stdout
    assert any(text in line for line in host.stdout), f"it never said {text!r}"


def failure(tmp_path: Path, host: str) -> str:
    return (tmp_path / host / "output" / "failure").read_text()


def test_hosts_exchange_values_and_add_up_strided_arrays(tmp_path: Path, algorithm: Algorithm) -> None:
    with job(tmp_path, 3, "late@1") as hosts:
        for host in hosts:
            output, _ = host.communicate(timeout=120)
            assert host.returncode == 0, output
            assert json.loads(output.splitlines()[-1]) == [[6.0, 6.0, 6.0, 0.0]] * 5


@pytest.mark.parametrize("lost", [0, 1])
def test_a_killed_host_ends_the_job_on_every_host_with_its_name(
    tmp_path: Path, algorithm: Algorithm, lost: int
) -> None:
    with job(tmp_path, 3, f"die@{lost}") as hosts:
        assert hosts[lost].wait(timeout=120) == -signal.SIGKILL
        for rank in {0, 1, 2} - {lost}:
            assert hosts[rank].wait(timeout=SURVIVORS_HAVE) == 1
            reason = failure(tmp_path, f"algo-{rank + 1}")
            assert reason == f"AlgorithmError: host algo-{lost + 1} stopped answering, so the job ends on every host."


def test_a_frozen_host_ends_the_job_on_the_others(tmp_path: Path, algorithm: Algorithm) -> None:
    with job(tmp_path, 2, "freeze@0") as hosts:
        assert hosts[1].wait(timeout=120) == 1
        assert "host algo-1 stopped answering" in failure(tmp_path, "algo-2")


@pytest.mark.parametrize(
    ("behaviour", "own", "told"),
    [
        (
            "refuse@1",
            "ClientError: channel 'train' is",
            "ClientError: host algo-2 failed: channel 'train' is not UTF-8",
        ),
        ("break@0", "AlgorithmError: KeyError: 'a bug'", "AlgorithmError: host algo-1 failed: KeyError: 'a bug'"),
    ],
)
def test_a_failure_on_one_host_is_told_to_the_others(
    tmp_path: Path, algorithm: Algorithm, behaviour: str, own: str, told: str
) -> None:
    failing = int(behaviour[-1])
    with job(tmp_path, 2, behaviour) as hosts:
        for host in hosts:
            assert host.wait(timeout=120) == 1
        assert failure(tmp_path, f"algo-{failing + 1}").startswith(own)
        assert failure(tmp_path, f"algo-{2 - failing}").startswith(told)


def test_a_host_that_never_comes_is_named(tmp_path: Path, algorithm: Algorithm) -> None:
    with job(tmp_path, 2, "-", present=1, join=3) as hosts:
        assert hosts[0].wait(timeout=SURVIVORS_HAVE) == 1
        expected = "AlgorithmError: host algo-2 did not join the job within 3 s; check its log."
        assert failure(tmp_path, "algo-1") == expected


def test_a_first_host_that_never_comes_is_named(tmp_path: Path, algorithm: Algorithm) -> None:
    environ = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port()), "KINDLING_HOST_JOIN_S": "3"}
    command = [sys.executable, HOST, "1", "2", "-", tmp_path, tmp_path / "algorithm.toml"]
    assert subprocess.run(command, env={**os.environ, **environ}, timeout=SURVIVORS_HAVE, check=False).returncode == 1
    expected = f"host algo-1 did not join the job at 127.0.0.1:{environ['MASTER_PORT']} within 3 s; check its log."
    assert failure(tmp_path, "algo-2") == f"AlgorithmError: {expected}"


@pytest.mark.parametrize("lost", [0, 1])
@pytest.mark.parametrize("behaviour", [pytest.param("-", marks=pytest.mark.slow), "busy"])
def test_a_host_killed_while_it_joins_is_not_waited_for(
    tmp_path: Path, algorithm: Algorithm, behaviour: str, lost: int
) -> None:
    """Patience is for hosts that have not started; this one has, if hardly. The survivor may be busy meanwhile."""
    with job(tmp_path, 3, behaviour, present=2, join=600) as hosts:
        read_until(hosts[0], "Found 127.0.0.1 for host")
        read_until(hosts[1], "Found 127.0.0.1 for host")
        time.sleep(0.5)  # signed in, and importing torch
        hosts[lost].kill()
        assert hosts[1 - lost].wait(timeout=SURVIVORS_HAVE) == 1
        reason = failure(tmp_path, f"algo-{2 - lost}")
        assert reason == f"AlgorithmError: host algo-{lost + 1} stopped answering, so the job ends on every host."


@pytest.mark.parametrize("lost", [0, pytest.param(1, marks=pytest.mark.slow)])
def test_a_host_killed_while_the_first_writes_ends_the_job_on_the_others(
    tmp_path: Path, algorithm: Algorithm, lost: int
) -> None:
    with job(tmp_path, 3, "write") as hosts:
        read_until(hosts[0], "writing")
        hosts[lost].kill()
        for rank in {0, 1, 2} - {lost}:
            assert hosts[rank].wait(timeout=SURVIVORS_HAVE) == 1
            reason = failure(tmp_path, f"algo-{rank + 1}")
            assert reason == f"AlgorithmError: host algo-{lost + 1} stopped answering, so the job ends on every host."
