"""Training on several hosts: MXNet's kvstore, a server of it on each host and its scheduler on the first.

The hosts meet and watch each other through the contract's rendezvous. MXNet's kvstore waits for lost peers for ever;
the watch ends the job on all of them, with the lost host's name.
"""

from __future__ import annotations

import io
import os
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

import numpy as np
from numpy.typing import NDArray

from contract.environment import TrainingEnvironment
from contract.errors import AlgorithmError
from contract.rendezvous import Hosts, Patience, address_towards, free_port, master_address
from contract.training import report_failure
from gluon_fasttext.compatibility import SAID_IN_EACH_THREAD
from gluon_fasttext.kvstore_process import RANK, RESTORE, SAVE, STATE_FILE

_CONTROL = 0  # MXNet's CommandType::kController
_PERIOD_S = 0.5
_never_freed: list[Any] = []  # a kvstore's end waits for all its peers, for lost ones too


class Cluster:
    """The kvstore of a job with several hosts, to be used in a `with` statement.

    All hosts must enter and leave it at the same time.

    Args:
        mx: the module mxnet.
        folder: of this host, for the servers' state.
    """

    def __init__(self, mx: Any, environment: TrainingEnvironment, hosts: Hosts, folder: Path) -> None:
        self._mx, self._environment, self._hosts = mx, environment, hosts
        self._file = folder / "optimizer-state.npz"
        self._processes: list[subprocess.Popen[bytes]] = []
        self._left = threading.Event()
        self.kvstore: Any = None

    def __enter__(self) -> Self:
        patience = Patience.from_environ().join
        first = master_address(self._environment, patience)[0]
        own = address_towards(first, 9)
        port = self._hosts.exchange(free_port(own) if self._environment.is_master else 0)[0]
        settings = {
            "DMLC_PS_ROOT_URI": first,
            "DMLC_PS_ROOT_PORT": str(port),
            "DMLC_NODE_HOST": own,
            "DMLC_NUM_SERVER": str(self._hosts.size),
            "DMLC_NUM_WORKER": str(self._hosts.size),
            STATE_FILE: str(self._file),
        }
        for role in ("scheduler", "server") if self._environment.is_master else ("server",):
            command = [sys.executable, "-m", "gluon_fasttext.kvstore_process"]
            variables = {**os.environ, **settings, "DMLC_ROLE": role}
            process = subprocess.Popen(command, env=variables, stdin=subprocess.PIPE, stderr=subprocess.PIPE)
            threading.Thread(target=_pass_on, args=(process.stderr,), name=role, daemon=True).start()
            self._processes.append(process)
        threading.Thread(target=self._supervise, name="kvstore", daemon=True).start()
        os.environ.update({**settings, "DMLC_ROLE": "worker"})
        self.kvstore = self._mx.kv.create("dist_sync")
        _never_freed.append(self.kvstore)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._left.set()
        if not error:
            self._mx.nd.waitall()
            self._hosts.exchange("done")  # a server must not end while another host still asks
        for process in self._processes:
            process.kill()
            process.wait()

    def state(self) -> dict[str, NDArray[Any]]:
        """The optimizer's state in this host's server."""
        self._command(SAVE)
        with np.load(self._file, allow_pickle=False) as arrays:
            return dict(arrays)

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Put a state back that the hosts' `state` gave; which server has which part may have changed."""
        own = io.BytesIO()
        np.savez(own, **state)  # type: ignore[arg-type]
        self._command(SAVE)
        with np.load(self._file, allow_pickle=False) as arrays:
            place = int(arrays[RANK][0])
        parts = {}
        for content in self._hosts.share(own.getvalue()):
            with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
                parts[int(arrays[RANK][0])] = {name: arrays[name] for name in arrays.files if name != RANK}
        with self._file.open("wb") as file:
            np.savez(file, **parts[place])
        self._command(RESTORE)

    def _command(self, command: str) -> None:
        """Have all servers obey, once all hosts are here."""
        self._mx.nd.waitall()
        self._hosts.exchange(command)
        if self._environment.is_master:
            self.kvstore._send_command_to_servers(_CONTROL, command)
        self._hosts.exchange("obeyed")

    def _supervise(self) -> None:
        """End this host when one of the kvstore's processes ends, for whom training would wait for ever."""
        while not self._left.wait(_PERIOD_S):
            ended = next((process for process in self._processes if process.poll() is not None), None)
            if ended and not self._left.wait(_PERIOD_S):
                error = AlgorithmError(f"a process of the kvstore ended with exit code {ended.returncode}.")
                report_failure(error, self._environment.paths)
                os._exit(1)


def _pass_on(log: IO[bytes]) -> None:
    """What a process says, but for what MXNet tells in each of its threads."""
    for line in log:
        if SAID_IN_EACH_THREAD not in line:
            sys.stderr.buffer.write(line)
            sys.stderr.buffer.flush()
