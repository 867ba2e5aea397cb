"""Cores of this machine, lent to jobs in the order in which they ask, so that jobs queue instead of fighting."""

from __future__ import annotations

import re
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_VCPUS = {"medium": 2, "large": 2, "xlarge": 4}
_GIB_OF_A_VCPU = {"c": 2, "m": 4, "r": 8, "t": 4, "g": 4, "p": 8, "inf": 2, "trn": 4}
_FAMILY = re.compile(r"(?:ml\.)?(inf|trn|[a-z])")
_MULTIPLE = re.compile(r"(\d+)xlarge")


def vcpus(instance_type: str) -> int:
    """Virtual CPUs of an instance type such as ml.c5.2xlarge, by the rule that its size follows."""
    size = instance_type.rpartition(".")[2]
    if found := _MULTIPLE.fullmatch(size):
        return 4 * int(found[1])
    return _VCPUS.get(size, 2)


def memory_bytes(instance_type: str) -> int:
    """Memory of an instance type, by what its family has for a virtual CPU; exact for most of the families c, m, r."""
    found = _FAMILY.match(instance_type)
    return vcpus(instance_type) * _GIB_OF_A_VCPU.get(found[1] if found else "m", 4) << 30


class Capacity:
    """The machine's cores. An instance takes as many as it has on AWS, a job never more than there are."""

    def __init__(self, cores: int) -> None:
        self.cores = cores
        self._free = cores
        self._waiting: deque[object] = deque()
        self._changed = threading.Condition()

    def share(self, instance_type: str, instances: int) -> int:
        """Cores of this machine that a job gets, all its hosts together."""
        return min(self.cores, vcpus(instance_type) * instances)

    @contextmanager
    def lent(self, cores: int, go_on: Callable[[], None]) -> Iterator[None]:
        """Hold a number of cores; whoever asked first gets them first.

        Args:
            go_on: called every now and then while waiting; raises to give up.
        """
        ticket = object()
        with self._changed:
            self._waiting.append(ticket)
            try:
                while self._waiting[0] is not ticket or self._free < cores:
                    go_on()
                    self._changed.wait(0.2)
                self._free -= cores
            finally:
                self._waiting.remove(ticket)
                self._changed.notify_all()
        try:
            yield
        finally:
            with self._changed:
                self._free += cores
                self._changed.notify_all()
