"""S3: an object that is to lie on the disk goes there at once.

moto keeps an object's bytes in memory up to a size and on the disk above it, but writes all of them to memory before it
looks at their size: a model of 1 GB took 1 GB of the cloud's memory on its way to the disk.
"""

from __future__ import annotations

from typing import Any

from kindling.localcloud.cloud import Cloud
from kindling.localcloud.seams import replace


def install(_cloud: Cloud) -> None:
    """Look at the size first."""
    from moto.s3.models import FakeKey

    def write(self: Any, value: Any) -> None:
        if len(value) > self._max_buffer_size:
            self._value_buffer.rollover()
        former.fset(self, value)

    former: Any = FakeKey.value
    replace(FakeKey, "value", former.setter(write))
