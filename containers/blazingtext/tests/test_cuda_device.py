"""When a GPU is used, when not, and what the log says; and training on a real one, where there is one."""

from __future__ import annotations

import logging
import re
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

from blazingtext import gpu
from blazingtext._engine import Trainer
from blazingtext.cuda_device import CudaDevice, find_device
from blazingtext.machine import identify_gpus

from .conftest import Jobs
from .engine_jobs import FRUIT, JOB, TOOLS, similarities, two_groups


@pytest.fixture
def nvidia_smi(tmp_path: Path) -> dict[str, str]:
    """The environment of a machine whose nvidia-smi lists one GPU."""
    folder = tmp_path / "bin"
    folder.mkdir()
    program = folder / "nvidia-smi"
    program.write_text("#!/bin/sh\necho 'GPU 0: Tesla V100-SXM2-16GB (UUID: GPU-1)'\n")
    program.chmod(0o755)
    return {"PATH": f"{folder}:/usr/bin:/bin"}


def test_where_there_is_no_gpu_nothing_is_said(caplog: pytest.LogCaptureFixture) -> None:
    assert find_device(0) is None
    assert not caplog.records


def test_without_cupy_the_log_says_why_the_gpu_is_not_used(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "cupy", None)
    assert find_device(1) is None
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert record.message.startswith("The GPU is not used: this image was built without CuPy.")


def _cupy_whose_device(answer: Any) -> ModuleType:
    def module(**_: Any) -> SimpleNamespace:
        def launch(grid: object, block: object, arguments: tuple[Any, ...]) -> None:
            arguments[0][0] = answer()

        return SimpleNamespace(get_function=lambda name: launch)

    cupy = ModuleType("cupy")
    vars(cupy).update(RawModule=module, zeros=np.zeros, asarray=np.asarray, asnumpy=np.array)
    return cupy


def _no_driver() -> int:
    raise RuntimeError("cudaErrorInsufficientDriver")


@pytest.mark.parametrize(
    ("answer", "reason"),
    [(_no_driver, r"it does not answer \(cudaErrorInsufficientDriver\)"), (lambda: 41, "wrong answers")],
)
def test_a_gpu_that_does_not_answer_is_not_used(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, answer: Any, reason: str
) -> None:
    monkeypatch.setitem(sys.modules, "cupy", _cupy_whose_device(answer))
    assert find_device(1) is None
    (record,) = caplog.records
    assert re.search(reason, record.message)


def test_of_several_gpus_one_is_used(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cupy", _cupy_whose_device(lambda: 42))
    assert isinstance(find_device(1), CudaDevice)
    assert not caplog.records
    assert isinstance(find_device(4), CudaDevice)
    assert "One of the 4 GPUs is used" in caplog.text


def test_a_job_on_a_gpu_instance_without_cupy_trains_on_the_cpu(
    jobs: Jobs, corpus: bytes, nvidia_smi: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "cupy.py").write_text("raise ImportError\n")
    host = jobs.train(corpus, **nvidia_smi, PYTHONPATH=str(tmp_path))
    assert host.process.returncode == 0, host.output
    assert "secs to identify 1 gpus" in host.output
    assert "WARNING" in host.output
    assert "The GPU is not used: this image was built without CuPy." in host.output
    assert "Running single machine CPU BlazingText training using batch_skipgram mode." in host.output


def test_a_job_of_several_hosts_trains_on_the_cpus(jobs: Jobs, corpus: bytes, nvidia_smi: dict[str, str]) -> None:
    for host in jobs.start(corpus, hosts=2, environ=nvidia_smi):
        assert host.finish() == 0, host.output
        assert "The GPUs are not used: a job of 2 hosts trains on their CPUs." in host.output
        assert "Running distributed CPU BlazingText training" in host.output


@pytest.fixture
def real_device() -> CudaDevice:
    if not identify_gpus()[0]:
        pytest.skip("nvidia-smi lists no GPU here")
    pytest.importorskip("cupy", reason="CuPy is not installed: see requirements-gpu.in")
    return CudaDevice()


@pytest.mark.gpu
@pytest.mark.parametrize(
    "way",
    [
        {"mode": "batch_skipgram"},
        {"mode": "batch_skipgram", "dim": 2048},
        {"mode": "skipgram"},
        {"mode": "cbow"},
        {"mode": "skipgram", "subwords": True},
        {"mode": "cbow", "subwords": True},
    ],
    ids=lambda way: "-".join(map(str, way.values())),
)
def test_a_real_gpu_learns_which_words_share_contexts(
    tmp_path: Path, real_device: CudaDevice, way: dict[str, Any]
) -> None:
    corpus = two_groups(tmp_path / "corpus.txt")
    trainer = gpu.Trainer(Trainer(corpus, **{**JOB, **way, "epochs": 10}), corpus, real_device)
    while trainer.train(10_000):
        pass
    alike = similarities(trainer.word_vectors())
    fruit = [corpus.words.index(word) for word in FRUIT]
    tools = [corpus.words.index(word) for word in TOOLS]
    assert min(alike[np.ix_(fruit, fruit)].min(), alike[np.ix_(tools, tools)].min()) > 0.5
    assert alike[np.ix_(fruit, tools)].max() < 0.3
