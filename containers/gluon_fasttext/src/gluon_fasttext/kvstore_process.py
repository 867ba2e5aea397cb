"""`python -m gluon_fasttext.kvstore_process`: a server or the scheduler of MXNet's kvstore, as DMLC_ROLE says.

It ends with its standard input, which the training process holds open. A server updates its part of the parameters; at
the first host's command it writes its optimizer's state to the file KINDLING_KVSTORE_STATE, or reads it from there.
"""

from __future__ import annotations

import ctypes
import os
import pickle
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np

from gluon_fasttext.compatibility import load_mxnet
from gluon_fasttext.optimisation import restore, state_of

SAVE, RESTORE = "kindling:save", "kindling:restore"
RANK = "rank"
STATE_FILE = "KINDLING_KVSTORE_STATE"


def main() -> None:
    """Serve until the training process ends, and this one with it."""
    threading.Thread(target=_end_with_input, daemon=True).start()
    role = os.environ["DMLC_ROLE"]
    os.environ["DMLC_ROLE"] = "worker"  # else the import itself becomes the server, one that knows no further commands
    mx = load_mxnet(1)
    os.environ["DMLC_ROLE"] = role
    kvstore = mx.kv.create("dist")
    control = ctypes.CFUNCTYPE(None, ctypes.c_int, ctypes.c_char_p, ctypes.c_void_p)(_Controller(mx, kvstore))
    mx.base.check_call(mx.base._LIB.MXKVStoreRunServer(kvstore.handle, control, None))
    os._exit(0)


class _Controller:
    """Obeys the commands that workers send."""

    def __init__(self, mx: Any, kvstore: Any) -> None:
        self._mx, self._kvstore = mx, kvstore
        self._file = Path(os.environ[STATE_FILE])

    def __call__(self, _head: int, body: bytes, _closure: Any) -> None:
        try:
            if body == SAVE.encode():
                self._save()
            elif body == RESTORE.encode():
                with np.load(self._file, allow_pickle=False) as arrays:
                    restore(self._mx, self._kvstore._updater, dict(arrays), self._mx.cpu())
            else:  # KVStore.set_optimizer of the first worker of this job
                self._kvstore.set_optimizer(pickle.loads(body))
        except BaseException:  # noqa: BLE001
            # A callback of C++ swallows it, and the workers would wait for ever.
            sys.excepthook(*sys.exc_info())
            os._exit(1)

    def _save(self) -> None:
        state = state_of(self._kvstore._updater)
        with self._file.open("wb") as file:
            np.savez(file, **{RANK: np.array([self._kvstore.rank]), **state})  # type: ignore[arg-type]


def _end_with_input() -> None:
    sys.stdin.buffer.read()
    os._exit(0)


if __name__ == "__main__":
    main()
