"""A connection of uvicorn's that answers short requests as soon as they have been read.

uvicorn runs an ASGI application in a task of its own per request, which costs several times what looking up five words
does. Where a request is short and the application answers it at once, the answer is written right here; every other
request takes uvicorn's way.
"""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from contract.serving.application import AT_ONCE_BYTES, Answer, refusal

_HEADER_BYTES = 64 * 2**10
_LAST_WORDS_S = 0.2  # an idle connection stays open so long when the server stops: a request may be on its way


class Outbox:
    """The answers of a worker that are to be sent together.

    A client that is sent one answer goes to work, and takes the processor from the worker that has others to give: with
    ten clients on the same two cores, every second answer did so. So all that came meanwhile is answered first.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._waiting: list[tuple[asyncio.Transport, bytes, bool]] = []

    def put(self, transport: asyncio.Transport, answer: bytes, *, stays: bool, alone: bool) -> None:
        """Send an answer, after those that were put here before.

        Args:
            stays: whether the connection stays open.
            alone: whether no other client is connected, so that there is nothing to wait for.
        """
        self._waiting.append((transport, answer, stays))
        if alone:
            self.send()
        elif len(self._waiting) == 1:
            self._loop.call_soon(self.send)

    def send(self) -> None:
        """Send what waits."""
        waiting, self._waiting = self._waiting, []
        for transport, answer, stays in waiting:
            if transport.is_closing():
                continue  # the client has gone
            transport.write(answer)
            if not stays:
                transport.close()


class Connection(HttpToolsProtocol):
    """One client's connection. `config.app` is an Application, which has `at_once`."""

    def __init__(self, *arguments: Any, outbox: Outbox, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._outbox = outbox
        self._at_once = self.config.app.at_once  # type: ignore[union-attr]
        self._quick = self._receiving = self._last = False
        self._stays = True
        self._length = self._header_bytes = 0
        self._chunks: list[bytes] = []
        self._content_type = self._accept = b""
        self._unusual = False
        self._leaving = False  # the last answer is on its way

    def on_message_begin(self) -> None:
        """A request begins; what uvicorn needs for it is made only if it takes uvicorn's way."""
        self.url = b""
        self.headers = []
        self.expect_100_continue = False
        self._receiving, self._unusual = True, False
        self._length = self._header_bytes = 0
        self._content_type = self._accept = b""
        self._chunks = []

    def on_url(self, url: bytes) -> None:
        """A part of the address.

        Raises:
            ValueError: it is too long; uvicorn answers 400.
        """
        self._count(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header; some say that the request is no ordinary one.

        Raises:
            ValueError: they are too long together; uvicorn answers 400.
        """
        self._count(len(name) + len(value))
        name = name.lower()
        self.headers.append((name, value))
        if name == b"content-length":
            self._length = int(value)
        elif name == b"content-type":
            self._content_type = value
        elif name == b"accept":
            self._accept = value
        elif name == b"expect":
            self._unusual = True
            self.expect_100_continue = value.lower() == b"100-continue"
        elif name in (b"transfer-encoding", b"upgrade"):
            self._unusual = True

    def on_headers_complete(self) -> None:
        """Choose the way of the request."""
        busy = self.cycle is not None and not self.cycle.response_complete
        self._quick = not (
            self._unusual or busy or self._length > AT_ONCE_BYTES or self.pipeline or self.flow.write_paused
        )
        if self._quick:
            self._stays = self.parser.get_http_version() == "1.1" and self.parser.should_keep_alive()
        else:
            self._hand_over()

    def on_body(self, body: bytes) -> None:
        """A part of the body."""
        if self._quick:
            self._chunks.append(body)
        else:
            super().on_body(body)

    def on_message_complete(self) -> None:
        """Answer, or let uvicorn do it."""
        self._receiving = False
        if not self._quick:
            super().on_message_complete()
            return
        if self._leaving or self.transport.is_closing():
            return  # the client had said that no further request would come
        body = self._chunks[0] if len(self._chunks) == 1 else b"".join(self._chunks)
        content_type, accept = self._content_type.decode("latin-1"), self._accept.decode("latin-1")
        answer = self._at_once(self.parser.get_method(), self.url, content_type, accept, body)
        if answer is not None:
            self._write(answer)
            return
        self._hand_over()
        if body:
            super().on_body(body)
        super().on_message_complete()

    def shutdown(self) -> None:
        """Finish what is under way and take no further request, but one that is on its way already."""
        self._last = True
        if self.cycle is not None and not self.cycle.response_complete:
            super().shutdown()
        else:
            self.loop.call_later(_LAST_WORDS_S, self._close_if_idle)

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - ours has the form of all errors
        """Refuse what is no HTTP."""
        self._stays = False
        self._write(refusal(400, "the request is not valid HTTP/1.1."))

    def connection_lost(self, exc: Exception | None) -> None:
        """The client has gone; the clock that waits for its next request is stopped."""
        super().connection_lost(exc)
        self._unset_keepalive_if_required()

    def _hand_over(self) -> None:
        """Tell uvicorn what has been read, as if it came now."""
        url, headers, expects = self.url, self.headers, self.expect_100_continue
        super().on_message_begin()
        self.url, self.expect_100_continue = url, expects
        self.headers += headers
        super().on_headers_complete()
        if self._last:
            self.cycle.keep_alive = False

    def _write(self, answer: Answer) -> None:
        if self._leaving:
            return
        stays = self._stays and not self._last
        parts = [STATUS_LINE[answer.status]]
        if answer.content_type:
            parts.append(b"content-type: %b\r\n" % answer.content_type.encode())
        end = b"\r\n\r\n" if stays else b"\r\nconnection: close\r\n\r\n"
        parts += (b"content-length: %d" % len(answer.body), end, answer.body)
        alone = len(self.connections) == 1
        self._outbox.put(self.transport, b"".join(parts), stays=stays, alone=alone)
        if not stays:
            self._leaving = True
            return
        self._unset_keepalive_if_required()
        self.timeout_keep_alive_task = self.loop.call_later(self.timeout_keep_alive, self.timeout_keep_alive_handler)

    def _count(self, length: int) -> None:
        self._header_bytes += length
        if self._header_bytes > _HEADER_BYTES:
            raise ValueError("the headers are too long")

    def _close_if_idle(self) -> None:
        answering = self.cycle is not None and not self.cycle.response_complete
        if not (answering or self._receiving or self.transport.is_closing()):
            self._outbox.send()
            self.transport.close()
