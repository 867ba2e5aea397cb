"""A device that runs word2vec.cu on the CPU, compiled with cuda_emulation.h: the same source, barrier by barrier."""

from __future__ import annotations

import ctypes
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

_SOURCE = Path(__file__).parent / "word2vec_emulation.cpp"


class EmulatedDevice:
    """blazingtext.cuda_device.Device on the CPU.

    Args:
        folder: where compiled kernels are kept, by their constants.
        blocks: that train at a time.
        order_seed: of the order in which a block's threads run from barrier to barrier; 0 is ascending.
        threads: of a block when training, instead of as many as asked for.
        flags: for the compiler.
    """

    def __init__(
        self, folder: Path, *, blocks: int = 1, order_seed: int = 0, threads: int | None = None, flags: str = "-O2"
    ) -> None:
        self._folder, self._blocks, self._order_seed = folder, blocks, order_seed
        self._threads, self._flags = threads, flags.split()

    def compile(self, source: str, constants: Mapping[str, int]) -> None:
        """Compile src/cuda/word2vec.cu, which must be the source."""
        assert source == (_SOURCE.parents[1] / "src" / "cuda" / "word2vec.cu").read_text(encoding="utf-8")
        defined = [f"-D{name}={value}" for name, value in constants.items()]
        library = self._folder / ("".join([*defined, *self._flags]).replace("-D", "_") + ".so")
        if not library.exists():
            command = ["g++", "-std=c++17", *self._flags, "-Wno-unknown-pragmas", "-fPIC", "-shared", *defined]
            subprocess.run([*command, str(_SOURCE), "-o", str(library)], check=True)
        self._library = ctypes.CDLL(str(library))

    def upload(self, array: NDArray[Any]) -> NDArray[Any]:
        return np.array(array)

    def zeros(self, size: int, dtype: type[np.generic]) -> NDArray[Any]:
        return np.zeros(size, dtype)

    def download(self, array: NDArray[Any]) -> NDArray[Any]:
        return np.array(array)

    def blocks_at_a_time(self, kernel: str, threads: int) -> int:
        return self._blocks

    def launch(self, kernel: str, blocks: int, threads: int, *arguments: NDArray[Any] | np.generic) -> None:
        if kernel == "train_words":
            threads = self._threads or threads
        values = [
            np.array(argument.ctypes.data if isinstance(argument, np.ndarray) else argument) for argument in arguments
        ]
        pointers = (ctypes.c_void_p * len(values))(*(value.ctypes.data for value in values))
        launch = getattr(self._library, f"launch_{kernel}")
        launch.restype = ctypes.c_char_p
        error = launch(blocks, threads, self._order_seed, pointers).decode()
        assert not error, error
