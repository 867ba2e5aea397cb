"""A training container's exit: what is written where, and with which code."""

from __future__ import annotations

import os
import re
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from contract.environment import TrainingEnvironment
from contract.errors import AlgorithmError, ClientError, failure_reason
from contract.paths import Paths
from contract.specification import Algorithm, InvalidJobError
from contract.training import run_training

WriteJob = Callable[..., Paths]


@pytest.fixture
def job(algorithm: Algorithm, write_job: WriteJob, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Paths]:
    """A job of the package `averager`, which holds nothing but its description."""
    package = tmp_path / "site" / "averager"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (tmp_path / "algorithm.toml").rename(package / "algorithm.toml")
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    paths = write_job()
    monkeypatch.setenv("SAGEMAKER_BASE_DIR", str(paths.base))
    before = signal.getsignal(signal.SIGTERM)
    yield paths
    signal.signal(signal.SIGTERM, before)
    sys.modules.pop("averager", None)


def test_a_model_that_was_written_is_exit_code_0(job: Paths) -> None:
    def train(environment: TrainingEnvironment) -> None:
        (environment.paths.model / "model.bin").write_bytes(b"mean")

    assert run_training("averager", train) == 0
    assert (job.model / "model.bin").read_bytes() == b"mean"
    assert not job.failure.exists()


@pytest.mark.parametrize(
    ("error", "reason", "traceback"),
    [
        (ClientError("channel 'train' is empty."), "ClientError: channel 'train' is empty.", False),
        (InvalidJobError("epochs=0 is out of range."), "ClientError: epochs=0 is out of range.", False),
        (AlgorithmError("host algo-2 stopped answering."), "AlgorithmError: host algo-2 stopped answering.", True),
        (ZeroDivisionError("division by zero"), "AlgorithmError: ZeroDivisionError: division by zero", True),
    ],
)
def test_a_failure_is_exit_code_1_with_its_reason_and_ours_with_the_traceback(
    job: Paths, capsys: pytest.CaptureFixture[str], error: Exception, reason: str, traceback: bool
) -> None:
    def train(_environment: TrainingEnvironment) -> None:
        raise error

    assert run_training("averager", train) == 1
    assert job.failure.read_text() == reason
    output = capsys.readouterr().out
    assert re.search(rf"^\[\d\d/\d\d/\d{{4}} \d\d:\d\d:\d\d ERROR \d+\] {re.escape(reason)}$", output, re.MULTILINE)
    assert ("Traceback" in output) is traceback


def test_a_job_that_cannot_be_read_fails_with_its_reason_too(job: Paths) -> None:
    job.hyperparameters.write_text('{"epochs": "many"}')
    assert run_training("averager", lambda _environment: None) == 1
    assert job.failure.read_text() == (
        "ClientError: hyperparameter epochs='many' is not valid; it must be an integer from 1 to 10."
    )


def test_sigterm_asks_training_to_stop(job: Paths) -> None:
    seen = threading.Event()

    def train(environment: TrainingEnvironment) -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        if environment.stopping.wait(10):
            seen.set()

    assert run_training("averager", train) == 0
    assert seen.is_set()


def test_a_reason_is_cut_to_what_the_service_keeps() -> None:
    reason = failure_reason(ClientError("x" * 5000))
    assert len(reason) == 1024
    assert reason.endswith("x...")
