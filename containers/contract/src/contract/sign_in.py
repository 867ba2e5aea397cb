"""How the hosts of a job find one another: each signs in with the first the moment it starts.

That takes a plain connection and so milliseconds, where a store of torch.distributed can be had only after an import of
seconds. The connection stays until the host's signs of life are watched (watch.py): one that breaks before tells of a
host that died, in contrast to one that has not started yet.
"""

from __future__ import annotations

import selectors
import socket
import threading
import time
from collections.abc import Sequence

from contract.errors import AlgorithmError

_GREETING_BYTES = 256
_RETRY = 0.2  # seconds
_ATTEMPT = 5.0  # seconds for one attempt to connect
_KEEPALIVE = {"TCP_KEEPIDLE": 5, "TCP_KEEPINTVL": 5, "TCP_KEEPCNT": 3}  # a machine without power closes nothing


class SignInDesk(threading.Thread):
    """On the first host: knows who has come and who was lost, and tells everyone the store's port once there is one.

    Args:
        address, port: to listen on; "" for every address of this machine.
        hosts: the names that may sign in.
    """

    def __init__(self, address: str, port: int, hosts: Sequence[str]) -> None:
        super().__init__(name="sign-in desk", daemon=True)
        self._hosts = hosts
        self._listener = socket.create_server((address, port), backlog=128)
        self._present: dict[socket.socket, str] = {}
        self._lock = threading.Lock()
        self._store_port: int | None = None
        self._closing = threading.Event()
        self.lost: str | None = None  # the first host whose connection broke

    def open_store(self, port: int) -> None:
        """Tell the hosts, present and to come, where the store listens."""
        with self._lock:
            self._store_port = port
            for connection in self._present:
                self._tell(connection)

    def close(self) -> None:
        """Every host is watched from now on: connections may close."""
        self._closing.set()
        self.join()

    def run(self) -> None:
        with selectors.DefaultSelector() as selector, self._listener:
            selector.register(self._listener, selectors.EVENT_READ)
            while not self._closing.is_set():
                for key, _ in selector.select(timeout=_RETRY):
                    if key.fileobj is self._listener:
                        selector.register(self._accept(), selectors.EVENT_READ)
                    elif isinstance(key.fileobj, socket.socket) and not self._hear(key.fileobj):
                        selector.unregister(key.fileobj)
                        key.fileobj.close()
            for connection in self._present:
                connection.close()

    def _accept(self) -> socket.socket:
        connection, _ = self._listener.accept()
        connection.settimeout(_ATTEMPT)
        _keep_alive(connection)
        return connection

    def _hear(self, connection: socket.socket) -> bool:
        """Whether the connection is to stay."""
        try:
            heard = connection.recv(_GREETING_BYTES).decode("utf-8", "replace").strip()
        except OSError:
            heard = ""
        with self._lock:
            if connection in self._present:
                if not heard:
                    self.lost = self.lost or self._present.pop(connection)
                return bool(heard)
            if heard not in self._hosts:
                return False
            self._present[connection] = heard
            if self._store_port is not None:
                self._tell(connection)
            return True

    def _tell(self, connection: socket.socket) -> None:
        try:
            connection.sendall(f"{self._store_port}\n".encode())
        except OSError:  # its end will be heard
            return


class SignedIn:
    """On every other host: the connection to the first.

    Args:
        host: this one's name.
        first: the first host's name; the place to find it is `address`, `port`.
        patience: seconds.
    Raises:
        AlgorithmError: the first host was not there within `patience`.
    """

    def __init__(self, host: str, first: str, address: str, port: int, patience: float) -> None:
        self._first = first
        self._deadline = time.monotonic() + patience
        self._too_late = AlgorithmError(
            f"host {first} did not join the job at {address}:{port} within {patience:g} s; check its log."
        )
        self._connection = self._connect(address, port)
        _keep_alive(self._connection)
        self._connection.sendall(f"{host}\n".encode())

    def _connect(self, address: str, port: int) -> socket.socket:
        while time.monotonic() < self._deadline:
            try:
                connection = socket.create_connection((address, port), timeout=_ATTEMPT)
            except OSError:
                time.sleep(_RETRY)
                continue
            if connection.getsockname() != connection.getpeername():
                return connection
            connection.close()  # TCP lets a socket meet itself where nobody listens on a port that it may choose
        raise self._too_late

    def store_port(self) -> int:
        """Where the first host's store listens, once it does.

        Raises:
            AlgorithmError: the first host died, or took longer than its patience.
        """
        heard = b""
        while not heard.endswith(b"\n"):
            self._connection.settimeout(max(_RETRY, self._deadline - time.monotonic()))
            try:
                more = self._connection.recv(_GREETING_BYTES)
            except TimeoutError:
                raise self._too_late from None
            except OSError:
                more = b""
            if not more:
                raise AlgorithmError(f"host {self._first} stopped answering, so the job ends on every host.")
            heard += more
        return int(heard)

    def close(self) -> None:
        """This host is watched from now on."""
        self._connection.close()


def _keep_alive(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in _KEEPALIVE.items():
        if option := getattr(socket, name, None):
            connection.setsockopt(socket.IPPROTO_TCP, option, value)
