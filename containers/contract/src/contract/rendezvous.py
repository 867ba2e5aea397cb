"""The hosts of a job meet: sums over hosts, values exchanged, and a lost or failed host ends the job on all of them.

They sign in at once (sign_in.py). Then torch.distributed does the talking: its store (served by the first host) for
small values and signs of life, gloo for arrays. Both are imported in the background, and only where a job has more than
one host, because it takes seconds.
"""

from __future__ import annotations

import json
import logging
import os
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from types import TracebackType
from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from contract.environment import TrainingEnvironment
from contract.errors import AlgorithmError, is_users_mistake
from contract.sign_in import SignedIn, SignInDesk
from contract.training import report_failure
from contract.watch import HostFailure, Watch

logger = logging.getLogger(__name__)

DEFAULT_PORT = 7777
_CHUNK_BYTES = 64 * 2**20
_NEVER = timedelta(days=365)  # gloo must not judge who is lost: a host that is slow is not, and the watch tells


@dataclass(frozen=True, kw_only=True)
class Patience:
    """How long, in seconds, a host waits for the others before it takes them for lost."""

    # Before a host's first word nobody can tell one that died from one that has not started: SageMaker starts a host
    # when its data and image have arrived, which may be tens of seconds after the others.
    join: float = 120.0
    silence: float = 20.0  # without a sign of life; together with `grace` well within a minute

    @property
    def grace(self) -> float:
        """What the training loop has to notice by itself that the job is over."""
        return 0.75 * self.silence

    @classmethod
    def from_environ(cls, environ: Mapping[str, str] = os.environ) -> Patience:
        """Read KINDLING_HOST_JOIN_S and KINDLING_HOST_SILENCE_S."""
        return cls(
            join=float(environ.get("KINDLING_HOST_JOIN_S", cls.join)),
            silence=float(environ.get("KINDLING_HOST_SILENCE_S", cls.silence)),
        )


class Hosts(Protocol):
    """What a training loop asks of the hosts of its job; the same for one host and for many."""

    rank: int
    size: int

    def exchange(self, value: Any) -> list[Any]:
        """Every host's value (JSON), in the order of rank; waits until all hosts have come to the same exchange."""

    def share(self, content: bytes) -> list[bytes]:
        """Every host's content, of any length, in the order of rank; waits as `exchange` does."""

    def add_up(self, array: NDArray[np.float32] | NDArray[np.float64]) -> None:
        """Replace `array`, shape (rows, columns), any strides, on every host by its sum over hosts."""

    def await_master(self) -> None:
        """On a host that is not the first: wait until the first has written the model.

        Raises:
            ClientError, AlgorithmError: the first host failed or was lost.
        """

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None: ...


def rendezvous(environment: TrainingEnvironment, patience: Patience | None = None) -> Hosts:
    """The hosts of the job, to be used in a `with` statement; returns at once, and the meeting goes on meanwhile.

    An error that leaves the `with` statement is told to the other hosts, which then raise it too.
    """
    if len(environment.hosts) == 1:
        return OneHost()
    return ManyHosts(environment, patience or Patience.from_environ())


class OneHost:
    """A job of one host: nothing to wait for."""

    rank, size = 0, 1

    def exchange(self, value: Any) -> list[Any]:
        return [value]

    def share(self, content: bytes) -> list[bytes]:
        return [content]

    def add_up(self, array: NDArray[np.float32] | NDArray[np.float64]) -> None:
        """The sum over one host is the array itself."""

    def await_master(self) -> None:
        """This is the master."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Nobody to tell."""


class ManyHosts:
    """A job of several hosts."""

    def __init__(self, environment: TrainingEnvironment, patience: Patience) -> None:
        self.rank, self.size = environment.rank, len(environment.hosts)
        self._environment, self._patience = environment, patience
        self._exchanges = 0
        self._joining: Future[Watch] = Future()
        self._watch: Watch | None = None
        self._store: Any = None
        self._left = threading.Event()

    def __enter__(self) -> Self:
        executor = ThreadPoolExecutor(1, thread_name_prefix="rendezvous")
        self._joining = executor.submit(self._join)
        self._joining.add_done_callback(self._end_if_held_up)
        executor.shutdown(wait=False)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._joining.exception()  # waits: nobody can be told before this host has joined
        self._left.set()
        if self._watch:
            failure = self._watch.failure or (self._own_failure(error) if error else None)
            failure = self._watch.leave(failure) or failure
            if failure and not error:
                raise failure.error()

    def _end_if_held_up(self, joining: Future[Watch]) -> None:
        """After a failure to join: end this process where the training loop does not notice, as it reads, say."""
        error = joining.exception()
        if error and not self._watch and not self._left.wait(self._patience.grace):
            report_failure(error, self._environment.paths)
            os._exit(1)

    def _own_failure(self, error: BaseException) -> HostFailure:
        named = is_users_mistake(error) or isinstance(error, AlgorithmError)
        return HostFailure(
            host=self._environment.current_host,
            users_mistake=is_users_mistake(error),
            sentence=str(error) if named else f"{type(error).__name__}: {error}",
        )

    def exchange(self, value: Any) -> list[Any]:
        watch, number = self._joining.result(), self._exchanges
        self._exchanges += 1
        keys = [f"exchange/{number}/{rank}" for rank in range(self.size)]
        with self._blaming():
            self._store.set(keys[self.rank], json.dumps(value))
            self._await(watch, keys)
            values = [json.loads(text) for text in self._store.multi_get(keys)]
            if number:  # every host is past the exchange before this one
                self._store.delete_key(f"exchange/{number - 1}/{self.rank}")
        return values

    def _await(self, watch: Watch, keys: list[str]) -> None:
        pause = 0.0002
        while not self._store.check(keys):
            if watch.failure:
                raise watch.failure.error()
            time.sleep(pause)
            pause = min(0.02, pause * 1.5)

    def share(self, content: bytes) -> list[bytes]:
        import torch
        from torch import distributed

        contents = [np.empty(size, np.uint8) for size in self.exchange(len(content))]
        contents[self.rank] = np.frombuffer(bytearray(content), np.uint8)
        for rank, shared in enumerate(contents):
            for start in range(0, len(shared), _CHUNK_BYTES):
                with self._blaming():
                    distributed.broadcast(torch.from_numpy(shared[start : start + _CHUNK_BYTES]), rank)
        return [shared.tobytes() for shared in contents]

    def add_up(self, array: NDArray[np.float32] | NDArray[np.float64]) -> None:
        import torch
        from torch import distributed

        self._joining.result()
        rows = max(1, _CHUNK_BYTES // (array.shape[1] * array.itemsize))
        for start in range(0, len(array), rows):
            part = array[start : start + rows]
            buffer = np.ascontiguousarray(part)
            with self._blaming():
                distributed.all_reduce(torch.from_numpy(buffer))
            if buffer is not part:
                part[...] = buffer

    @contextmanager
    def _blaming(self) -> Iterator[None]:
        """Name the host that is to blame for a connection that broke."""
        try:
            yield
        except RuntimeError as error:  # of gloo, or of the store
            failure = self._watch.await_failure() if self._watch else HostFailure(self._environment.hosts[0])
            broken = failure.error() if failure else AlgorithmError(f"the hosts could not exchange data: {error}")
            raise broken from error

    def await_master(self) -> None:
        if self.rank and (failure := self._joining.result().await_master()):
            raise failure.error()

    def _join(self) -> Watch:
        address, port = master_address(self._environment, self._patience.join)
        own = address_towards(address, port)
        print(f"Found {own} for host {self._environment.current_host}")
        logger.info("Number of hosts: %d, master IP address: %s, host IP address: %s.", self.size, address, own)
        with self._blaming():
            return self._join_as_first(address, port) if self.rank == 0 else self._join_first(address, port)

    def _join_as_first(self, address: str, port: int) -> Watch:
        # Where the meeting place is the loopback address, the first host listens there alone.
        listening = address if socket.inet_aton(address)[0] == 127 else ""
        desk = SignInDesk(listening, port, self._environment.hosts)
        desk.start()
        try:
            listener = socket.create_server((listening, 0), backlog=128)
            store = self._connect(address, listener.getsockname()[1], listener.detach())
            desk.open_store(store.port)
            return self._meet(store, desk)
        finally:
            desk.close()

    def _join_first(self, address: str, port: int) -> Watch:
        first, patience = self._environment.hosts[0], self._patience.join
        with closing(SignedIn(self._environment.current_host, first, address, port, patience)) as signed_in:
            return self._meet(self._connect(address, signed_in.store_port()))

    def _connect(self, address: str, port: int, listener: int | None = None) -> Any:
        """The store that the first host serves."""
        from torch import distributed

        return distributed.TCPStore(
            address,
            port,
            world_size=self.size,
            is_master=listener is not None,
            timeout=timedelta(seconds=self._patience.join),
            wait_for_workers=False,
            master_listen_fd=listener,
        )

    def _meet(self, store: Any, desk: SignInDesk | None = None) -> Watch:
        from torch import distributed

        patience = self._patience
        self._watch = Watch(self._environment, store.clone(), silence=patience.silence, grace=patience.grace)
        self._watch.start()
        self._watch.await_sign_in(patience.join, desk)
        _prefer_interface(self._environment.network_interface)
        distributed.init_process_group("gloo", store=store, rank=self.rank, world_size=self.size, timeout=_NEVER)
        self._store = store
        logger.info("All %d hosts have met.", self.size)
        return self._watch


def master_address(environment: TrainingEnvironment, patience: float) -> tuple[str, int]:
    """Where the first host listens: MASTER_ADDR and MASTER_PORT, or the first host's name, which DNS may learn late."""
    port = int(os.environ.get("MASTER_PORT", DEFAULT_PORT))
    host = os.environ.get("MASTER_ADDR") or environment.hosts[0]
    deadline = time.monotonic() + patience
    while True:
        try:
            address = socket.getaddrinfo(host, port, socket.AF_INET, socket.SOCK_STREAM)[0][4][0]
            return str(address), port
        except socket.gaierror:
            if time.monotonic() > deadline:
                raise AlgorithmError(f"no address was found for host {host} within {patience:g} s.") from None
            time.sleep(0.5)


def free_port(address: str) -> int:
    """A port of one of this host's addresses that nobody listens on now."""
    with closing(socket.socket()) as probe:
        probe.bind((address, 0))
        return int(probe.getsockname()[1])


def address_towards(address: str, port: int) -> str:
    """The address of this host that faces the given one; nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect((address, port))
        return str(probe.getsockname()[0])


def _prefer_interface(name: str | None) -> None:
    """Tell gloo which network joins the hosts, where that interface exists."""
    if name and name in {interface for _, interface in socket.if_nameindex()}:
        os.environ.setdefault("GLOO_SOCKET_IFNAME", name)
