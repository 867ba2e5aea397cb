"""The engine's C++ under AddressSanitizer and UBSan, on random corpora, hyperparameters and model files: tests/fuzz.

More cases, other cases, and a case again (after one of these tests has built the driver):

    build/fuzz/fuzz_engine --cases 100000 --seed 2
    build/fuzz/fuzz_engine --cases 1 --seed 1 --first 672
    build/fuzz/fuzz_models --cases 100000 --seed 2
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow  # two sanitised builds of the engine take longer than all its other tests

ENGINE = Path(__file__).resolve().parents[1]
BUILD = ENGINE.parents[1] / "build" / "fuzz"


def has_sanitizers(folder: Path) -> bool:
    """Whether the C++ compiler can build and run a program with both sanitizers."""
    source, program = folder / "nothing.cpp", folder / "nothing"
    source.write_text("int main() { return 0; }\n")
    compiler = os.environ.get("CXX") or shutil.which("c++") or "g++"
    command = [compiler, "-fsanitize=address,undefined", str(source), "-o", str(program)]
    try:
        subprocess.run(command, capture_output=True, check=True)
        subprocess.run([str(program)], capture_output=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return False
    return True


@pytest.fixture(scope="module")
def drivers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if not has_sanitizers(tmp_path_factory.mktemp("compiler")):
        pytest.skip("the C++ compiler has no AddressSanitizer and UBSan")
    programs = Path(sys.executable).parent  # cmake and ninja come with the packages for tests
    configure = [programs / "cmake", "-S", ENGINE, "-B", BUILD, "-DFUZZ=ON", "-G", "Ninja"]
    for command in (
        [*configure, f"-DCMAKE_MAKE_PROGRAM={programs / 'ninja'}"],
        [programs / "cmake", "--build", BUILD],
    ):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
    return BUILD


def fuzz(driver: Path, cases: int) -> None:
    done = subprocess.run([str(driver), "--cases", str(cases)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"{cases} cases, ")
    print(done.stdout)


def test_random_corpora_and_settings_neither_crash_the_engine_nor_give_nan(drivers: Path) -> None:
    fuzz(drivers / "fuzz_engine", 300)


def test_random_and_damaged_models_are_read_or_refused_and_crash_nothing(drivers: Path) -> None:
    fuzz(drivers / "fuzz_models", 3000)


@pytest.mark.timeout(3600)
def test_ten_thousand_random_corpora_and_settings_neither_crash_the_engine_nor_give_nan(drivers: Path) -> None:
    fuzz(drivers / "fuzz_engine", 10_000)
