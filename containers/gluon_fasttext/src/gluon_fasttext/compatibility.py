"""MXNet 1.9.1 and GluonNLP 0.10.0, both retired, on Python 3.11: what they say to nobody's use does not reach the log.

MXNet's Python code names NumPy's former aliases of Python's types, of which NumPy 1.23 warns (numpy 1.24 has none: the
lock holds 1.23.5). Its C++ code tells, once a thread, that sparse gradients update only the rows they have, which is
what they are here for. GluonNLP imports what setuptools has deprecated.
"""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

SAID_IN_EACH_THREAD = b"lazy_update = True detected"


def load_mxnet(threads: int) -> Any:
    """The module mxnet, imported without its warnings.

    Args:
        threads: that its operators may use; only the first import in a process counts.
    """
    os.environ.setdefault("OMP_NUM_THREADS", str(threads))
    os.environ.setdefault("MXNET_STORAGE_FALLBACK_LOG_VERBOSE", "0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import mxnet
    return mxnet


def say_now_what_is_said_once(mx: Any, optimizer: str) -> None:
    """Have this thread's first sparse update, of an array of its own, told to nobody."""
    made = mx.optimizer.create(optimizer, learning_rate=0.0)
    weight = mx.nd.ones((2, 1))
    gradient = mx.nd.sparse.row_sparse_array((mx.nd.ones((1, 1)), mx.nd.array([0], dtype="int64")), shape=(2, 1))
    with _standard_error_closed():
        mx.optimizer.get_updater(made)(0, gradient, weight)
        mx.nd.waitall()


@contextmanager
def _standard_error_closed() -> Iterator[None]:
    """C++ writes to the descriptor itself."""
    sys.stderr.flush()
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    os.close(nowhere)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def load_gluonnlp() -> Any:
    """The module gluonnlp, imported without its warnings."""
    load_mxnet(1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import gluonnlp
    return gluonnlp
