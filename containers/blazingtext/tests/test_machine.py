"""What the log tells of the host."""

from __future__ import annotations

from pathlib import Path

import pytest

from blazingtext.machine import cpu_sockets, identify_gpus


def test_processors_of_one_package_count_once(tmp_path: Path) -> None:
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text("processor\t: 0\nphysical id\t: 0\n\nprocessor\t: 1\nphysical id\t: 0\n")
    assert cpu_sockets(cpuinfo) == 1
    cpuinfo.write_text("physical id\t: 0\nphysical id\t: 1\n")
    assert cpu_sockets(cpuinfo) == 2


def test_a_kernel_that_does_not_tell_has_one_socket(tmp_path: Path) -> None:
    assert cpu_sockets(tmp_path / "missing") == 1


@pytest.mark.parametrize(("script", "gpus"), [("echo GPU 0: A; echo GPU 1: B", 2), ("exit 9", 0), (None, 0)])
def test_gpus_are_those_that_nvidia_smi_lists(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str | None, gpus: int
) -> None:
    if script:
        program = tmp_path / "nvidia-smi"
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert identify_gpus()[0] == gpus
