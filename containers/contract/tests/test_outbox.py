"""When a worker's answers are sent, without a socket."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from contract.serving.connection import Outbox


class Loop:
    """Calls what it is told to call when a test says so."""

    def __init__(self) -> None:
        self.soon: list[Callable[[], None]] = []

    def call_soon(self, callback: Callable[[], None]) -> None:
        self.soon.append(callback)

    def go_round(self) -> None:
        due, self.soon = self.soon, []
        for callback in due:
            callback()


class Transport:
    """Keeps what is sent, in the order of all transports."""

    def __init__(self, name: str, sent: list[tuple[str, bytes]]) -> None:
        self.name, self.sent, self.closing = name, sent, False

    def is_closing(self) -> bool:
        return self.closing

    def write(self, data: bytes) -> None:
        assert not self.closing
        self.sent.append((self.name, data))

    def close(self) -> None:
        self.closing = True


@pytest.fixture
def loop() -> Loop:
    return Loop()


@pytest.fixture
def sent() -> list[tuple[str, bytes]]:
    return []


@pytest.fixture
def put(loop: Loop) -> Callable[..., None]:
    outbox = Outbox(loop)  # type: ignore[arg-type]

    def put(transport: asyncio.Transport, answer: bytes, *, stays: bool = True, alone: bool = False) -> None:
        outbox.put(transport, answer, stays=stays, alone=alone)

    return put


def test_answers_are_sent_together_and_in_their_order(
    loop: Loop, sent: list[tuple[str, bytes]], put: Callable[..., None]
) -> None:
    a, b = Transport("a", sent), Transport("b", sent)
    for transport, answer in ((a, b"1"), (b, b"2"), (a, b"3")):
        put(transport, answer)
    assert sent == []
    assert len(loop.soon) == 1
    loop.go_round()
    assert sent == [("a", b"1"), ("b", b"2"), ("a", b"3")]
    put(b, b"4")
    loop.go_round()
    assert sent[3:] == [("b", b"4")]


def test_a_lone_client_does_not_wait_but_for_what_was_put_before(
    loop: Loop, sent: list[tuple[str, bytes]], put: Callable[..., None]
) -> None:
    a, b = Transport("a", sent), Transport("b", sent)
    put(b, b"1")
    put(a, b"2", alone=True)
    assert sent == [("b", b"1"), ("a", b"2")]
    loop.go_round()
    assert len(sent) == 2


def test_the_last_answer_of_a_connection_closes_it(
    loop: Loop, sent: list[tuple[str, bytes]], put: Callable[..., None]
) -> None:
    a, gone = Transport("a", sent), Transport("gone", sent)
    gone.close()
    put(gone, b"1")
    put(a, b"2", stays=False)
    assert not a.closing
    loop.go_round()
    assert sent == [("a", b"2")]
    assert a.closing
