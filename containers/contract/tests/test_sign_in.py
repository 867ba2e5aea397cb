"""Signing in, host by host, without torch."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from contextlib import closing

import pytest

from contract.errors import AlgorithmError
from contract.sign_in import SignedIn, SignInDesk

HOSTS = ("algo-1", "algo-2", "algo-3")


@pytest.fixture
def port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def desk(port: int) -> Iterator[SignInDesk]:
    desk = SignInDesk("127.0.0.1", port, HOSTS)
    desk.start()
    yield desk
    desk.close()


def sign_in(port: int, host: str, patience: float = 10) -> SignedIn:
    return SignedIn(host, HOSTS[0], "127.0.0.1", port, patience)


def eventually(holds: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + 10
    while not holds() and time.monotonic() < deadline:
        time.sleep(0.01)
    return holds()


def test_hosts_learn_the_stores_port_whenever_they_come(desk: SignInDesk, port: int) -> None:
    with closing(sign_in(port, "algo-2")) as early:
        desk.open_store(4242)
        with closing(sign_in(port, "algo-3")) as late:
            assert early.store_port() == late.store_port() == 4242


def test_a_host_whose_connection_breaks_is_lost(desk: SignInDesk, port: int) -> None:
    with closing(sign_in(port, "algo-2")):
        time.sleep(0.3)
        assert desk.lost is None
    assert eventually(lambda: desk.lost == "algo-2")


def test_a_stranger_who_calls_is_neither_a_host_nor_lost(desk: SignInDesk, port: int) -> None:
    for greeting in (b"", b"GET / HTTP/1.1\r\n\r\n", b"\xff\xfe"):
        with socket.create_connection(("127.0.0.1", port)) as stranger:
            stranger.sendall(greeting)
            stranger.shutdown(socket.SHUT_WR)
            assert stranger.recv(100) == b""
    assert desk.lost is None


def test_a_first_host_that_is_not_there_in_time_is_named(port: int) -> None:
    begun = time.monotonic()
    with pytest.raises(AlgorithmError, match=rf"host algo-1 did not join the job at 127.0.0.1:{port} within 0.5 s"):
        sign_in(port, "algo-2", patience=0.5)
    assert 0.5 <= time.monotonic() - begun < 5


def test_a_first_host_that_closes_early_is_lost(desk: SignInDesk, port: int) -> None:
    with closing(sign_in(port, "algo-2")) as second:
        time.sleep(0.3)
        desk.close()
        with pytest.raises(AlgorithmError, match="host algo-1 stopped answering"):
            second.store_port()


def test_a_first_host_without_a_store_is_given_up(desk: SignInDesk, port: int) -> None:
    with (
        closing(sign_in(port, "algo-2", patience=0.5)) as second,
        pytest.raises(AlgorithmError, match="did not join the job"),
    ):
        second.store_port()
