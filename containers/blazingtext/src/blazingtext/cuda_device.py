"""What runs the CUDA kernels: the first GPU, through CuPy."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

logger = logging.getLogger(__name__)

DeviceArray = Any  # of CuPy's; there are no types without a GPU's packages


class Device(Protocol):
    """What runs the kernels. Arrays are handed back by `upload` and `zeros` for `launch` and `download` alone."""

    def compile(self, source: str, constants: Mapping[str, int]) -> None: ...
    def upload(self, array: NDArray[Any]) -> DeviceArray: ...
    def zeros(self, size: int, dtype: type[np.generic]) -> DeviceArray: ...
    def download(self, array: DeviceArray) -> NDArray[Any]: ...
    def blocks_at_a_time(self, kernel: str, threads: int) -> int: ...
    def launch(self, kernel: str, blocks: int, threads: int, *arguments: DeviceArray | np.generic) -> None: ...


class CudaDevice:
    """The first CUDA device, through CuPy.

    Raises:
        ImportError: CuPy is not installed.
        RuntimeError, OSError: there is no device, driver or compiler that works.
    """

    def __init__(self) -> None:
        import cupy

        self._cupy = cupy
        self.compile('extern "C" __global__ void answer(int* to) { *to = 42; }', {})
        answer = self.zeros(1, np.int32)
        self.launch("answer", 1, 1, answer)
        if self.download(answer)[0] != 42:
            raise RuntimeError("the device gives wrong answers")

    def compile(self, source: str, constants: Mapping[str, int]) -> None:
        """Make the source's kernels ready to launch."""
        defined = (f"-D{name}={value}" for name, value in constants.items())
        self._module = self._cupy.RawModule(code=source, options=("-std=c++17", *defined))

    def upload(self, array: NDArray[Any]) -> DeviceArray:
        """A copy of the array on the device."""
        return self._cupy.asarray(np.ascontiguousarray(array))

    def zeros(self, size: int, dtype: type[np.generic]) -> DeviceArray:
        """An array of zeros on the device."""
        return self._cupy.zeros(size, dtype)

    def download(self, array: DeviceArray) -> NDArray[Any]:
        """A copy of the device's array, once all launches before have ended."""
        copy: NDArray[Any] = self._cupy.asnumpy(array)
        return copy

    def blocks_at_a_time(self, kernel: str, threads: int) -> int:
        """How many blocks of the kernel the device runs side by side."""
        driver, function = self._cupy.cuda.driver, self._module.get_function(kernel).kernel
        each = driver.occupancyMaxActiveBlocksPerMultiprocessor(function.ptr, threads, 0)
        return int(each * self._cupy.cuda.Device().attributes["MultiProcessorCount"])

    def launch(self, kernel: str, blocks: int, threads: int, *arguments: DeviceArray | np.generic) -> None:
        """Start a kernel; does not wait for its end."""
        self._module.get_function(kernel)((blocks,), (threads,), arguments)


def find_device(gpus: int) -> CudaDevice | None:
    """The device to train on where nvidia-smi lists GPUs, None for the CPU; the log says why one is not used."""
    if not gpus:
        return None
    try:
        device = CudaDevice()
    except ImportError:
        reason = "this image was built without CuPy"
    except (RuntimeError, OSError) as error:
        reason = f"it does not answer ({error})"
    else:
        if gpus > 1:
            logger.warning("One of the %d GPUs is used; an instance with one would do as well.", gpus)
        return device
    logger.warning("The GPU is not used: %s. Training runs on the CPU, for which no GPU instance is needed.", reason)
    return None
