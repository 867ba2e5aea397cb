"""word2vec.cu is compiled for the GPUs of SageMaker's instances by NVIDIA's compiler, which needs no GPU itself."""

from __future__ import annotations

import ctypes
import importlib.util
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

SOURCE = Path(__file__).parents[1] / "src" / "cuda" / "word2vec.cu"
KERNELS = {"count_words", "gather_words", "set_shares", "train_words"}
JOB = {"MODE": 0, "SUBWORDS": 0, "DIM": 100, "WINDOW": 5, "NEGATIVES": 5, "BATCH": 11, "CHUNK": 256}
JOBS: list[dict[str, int]] = [
    {},
    {"MODE": 1},
    {"MODE": 2},
    {"MODE": 1, "SUBWORDS": 1},
    {"MODE": 2, "SUBWORDS": 1},
    {"DIM": 300},
    {"DIM": 2048},
    {"MODE": 1, "DIM": 2048},
    {"MODE": 2, "DIM": 2048, "NEGATIVES": 1000},
    {"DIM": 1, "WINDOW": 1, "NEGATIVES": 1, "BATCH": 1},
    {"WINDOW": 1000, "NEGATIVES": 1000, "BATCH": 32},
]


def _file_of(package: str, pattern: str) -> Path:
    """A file of one of NVIDIA's wheels; the test is skipped where the wheel is not installed."""
    try:
        found = importlib.util.find_spec(f"nvidia.{package}")
    except ModuleNotFoundError:
        found = None
    for folder in (found.submodule_search_locations or []) if found else []:
        if files := sorted(Path(folder).glob(pattern)):
            return files[0]
    pytest.skip(f"nvidia-{package.replace('_', '-')}-cu12 is not installed")


@pytest.fixture(scope="module")
def nvrtc() -> ctypes.CDLL:
    return ctypes.CDLL(str(_file_of("cuda_nvrtc", "lib/libnvrtc.so.*")))


def compiled(nvrtc: ctypes.CDLL, architecture: str, job: dict[str, int]) -> str:
    """The PTX of word2vec.cu; fails with the compiler's words."""

    def text(size_of: Any, get: Any) -> str:
        size = ctypes.c_size_t()
        assert size_of(program, ctypes.byref(size)) == 0
        buffer = ctypes.create_string_buffer(size.value)
        assert get(program, buffer) == 0
        return buffer.value.decode()

    options = ["-std=c++17", f"-arch={architecture}", *(f"-D{name}={value}" for name, value in {**JOB, **job}.items())]
    program = ctypes.c_void_p()
    assert nvrtc.nvrtcCreateProgram(ctypes.byref(program), SOURCE.read_bytes(), b"word2vec.cu", 0, None, None) == 0
    status = nvrtc.nvrtcCompileProgram(
        program, len(options), (ctypes.c_char_p * len(options))(*(option.encode() for option in options))
    )
    log = text(nvrtc.nvrtcGetProgramLogSize, nvrtc.nvrtcGetProgramLog)
    assert status == 0, log
    # Old architectures are no reason to worry: the compiler is locked to one that knows them.
    assert re.sub(r"nvrtc: warning: Architectures prior to .* are deprecated.*", "", log).strip() == ""
    return text(nvrtc.nvrtcGetPTXSize, nvrtc.nvrtcGetPTX)


# V100 (ml.p3), T4 (ml.g4dn), A100 (ml.p4d), A10G (ml.g5), H100 (ml.p5)
@pytest.mark.parametrize("architecture", ["compute_70", "compute_75", "compute_80", "compute_86", "compute_90"])
@pytest.mark.parametrize("job", JOBS, ids=lambda job: "-".join(f"{k}{v}" for k, v in job.items()) or "default")
def test_the_kernels_compile_without_a_warning(nvrtc: ctypes.CDLL, architecture: str, job: dict[str, int]) -> None:
    ptx = compiled(nvrtc, architecture, job)
    assert set(re.findall(r"\.entry (\w+)\(", ptx)) == KERNELS


@pytest.mark.parametrize("architecture", ["70", "80", "90"])
@pytest.mark.parametrize("job", JOBS, ids=lambda job: "-".join(f"{k}{v}" for k, v in job.items()) or "default")
def test_the_assembler_finds_room_for_several_blocks(
    nvrtc: ctypes.CDLL, tmp_path: Path, architecture: str, job: dict[str, int]
) -> None:
    """48 KiB of shared memory, registers for at least two blocks of 256 threads, next to nothing spilled."""
    ptxas = _file_of("cuda_nvcc", "bin/ptxas")
    (tmp_path / "word2vec.ptx").write_text(compiled(nvrtc, f"compute_{architecture}", job))
    command = [str(ptxas), "-v", f"-arch=sm_{architecture}", "word2vec.ptx", "-o", "word2vec.cubin"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    registers = [int(count) for count in re.findall(r"Used (\d+) registers", done.stderr)]
    assert len(registers) == len(KERNELS)
    assert max(registers) <= 128
    assert max(int(size) for size in re.findall(r"(\d+) bytes spill stores", done.stderr)) <= 64
    assert max(int(size) for size in re.findall(r"(\d+) bytes smem", done.stderr)) <= 48 * 1024
