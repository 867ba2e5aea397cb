"""The ASGI application: GET /ping, POST /invocations, GET /execution-parameters."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

from contract.errors import ClientError, InvalidJobError
from contract.serving.handlers import JSON, Handler, Handlers, bare, encode
from contract.serving.settings import ServingSettings

logger = logging.getLogger(__name__)

AT_ONCE_BYTES = 128 * 2**10  # a longer body is read and answered in a thread, so that others need not wait for it
_MISTAKES = (ClientError, InvalidJobError)
_THREADS = 4  # of a worker: long requests that it has under way at a time; its engine may use other cores by itself

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


class Answer(NamedTuple):
    """What a request is answered with."""

    status: int
    body: bytes = b""
    content_type: str = JSON
    allow: str = ""


class BodyTooLargeError(Exception):
    """A request's body is longer than the server takes."""


class ClientLeftError(Exception):
    """The client went away before its request was complete."""


def refusal(status: int, sentence: str) -> Answer:
    """An error in one sentence."""
    return Answer(status, encode({"error": sentence}))


class Application:
    """The ASGI application that answers for a model which is already loaded.

    Args:
        handlers: by content type; the first one answers requests that give none.
    """

    def __init__(self, handlers: Handlers, settings: ServingSettings | None = None) -> None:
        self.settings = settings or ServingSettings()
        self._handlers = handlers
        self._threads: ThreadPoolExecutor | None = None
        self._fixed = {
            "/ping": Answer(200, content_type=""),
            "/execution-parameters": Answer(
                200,
                encode(
                    {
                        "MaxConcurrentTransforms": self.settings.concurrent_transforms,
                        "BatchStrategy": self.settings.batch_strategy,
                        "MaxPayloadInMB": self.settings.max_payload_mb,
                    }
                ),
            ),
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, as ASGI 3 has it."""
        if scope["type"] != "http":
            raise NotImplementedError(f"{scope['type']} is not served")
        try:
            answer = await self.answer(scope, receive)
        except ClientLeftError:
            return
        headers = [(b"content-length", b"%d" % len(answer.body))]
        if answer.content_type:
            headers.append((b"content-type", answer.content_type.encode()))
        if answer.allow:
            headers.append((b"allow", answer.allow.encode()))
        await send({"type": "http.response.start", "status": answer.status, "headers": headers})
        await send({"type": "http.response.body", "body": answer.body})

    def at_once(self, method: bytes, path: bytes, content_type: str, accept: str, body: bytes) -> Answer | None:
        """The answer to a short request, given without waiting for anything; None where that cannot be."""
        if path == b"/invocations" and method == b"POST":
            return self.answer_at_once(self._handlers, content_type, accept, body)
        if path == b"/ping" and method == b"GET":
            return self._fixed["/ping"]
        return None

    def answer_at_once(self, handlers: Handlers, given: str, accept: str, body: bytes) -> Answer | None:
        """A model's answer to a short body; None where it takes long."""
        content_type, handler = _choose(handlers, given, accept)
        if handler is None:
            return _unsupported(handlers, given)
        try:
            answer = handler.at_once(body)
        except _MISTAKES as error:
            return refusal(400, str(error))
        except Exception as error:  # one bad request must not end the server
            logger.exception("a request failed")
            return _failed(error)
        return None if answer is None else Answer(200, answer, content_type)

    def forget(self) -> None:
        """Let go of what is needed no more; called about once a second."""

    async def answer(self, scope: Scope, receive: Receive) -> Answer:
        """The answer to any request.

        Raises:
            ClientLeftError: nobody waits for it any more.
        """
        method, path = scope["method"], scope["path"]
        if path in self._fixed:
            return self._fixed[path] if method in ("GET", "HEAD") else not_allowed(method, "GET")
        if path == "/invocations":
            if method != "POST":
                return not_allowed(method, "POST")
            return await self.invoke(self._handlers, scope, receive)
        return refusal(404, f"there is no {path[:100]}; there are /ping, /invocations and /execution-parameters.")

    async def invoke(self, handlers: Handlers, scope: Scope, receive: Receive) -> Answer:
        """A model's answer to any body."""
        given = header(scope, b"content-type")
        content_type, handler = _choose(handlers, given, header(scope, b"accept"))
        if handler is None:
            return _unsupported(handlers, given)
        try:
            body = await self.body(scope, receive)
            if len(body) <= AT_ONCE_BYTES:
                answer = handler.at_once(body)
                if answer is not None:
                    return Answer(200, answer, content_type)
            return Answer(200, await self._in_thread(handler, body), content_type)
        except BodyTooLargeError:
            limit = self.settings.max_body_bytes // 2**20
            return refusal(413, f"the body is longer than {limit} MiB; send fewer instances at a time.")
        except ClientLeftError:
            raise
        except _MISTAKES as error:
            return refusal(400, str(error))
        except Exception as error:
            logger.exception("a request failed")
            return _failed(error)

    async def body(self, scope: Scope, receive: Receive) -> bytes:
        """The whole body of a request.

        Raises:
            BodyTooLargeError: it is longer than the settings allow.
            ClientLeftError: it did not come to its end.
        """
        limit = self.settings.max_body_bytes
        announced = header(scope, b"content-length")
        if announced.isdecimal() and int(announced) > limit:
            raise BodyTooLargeError
        chunks, length, more = [], 0, True
        while more:
            message = await receive()
            if message["type"] != "http.request":
                raise ClientLeftError
            chunk = message.get("body", b"")
            length += len(chunk)
            if length > limit:
                raise BodyTooLargeError
            chunks.append(chunk)
            more = message.get("more_body", False)
        return b"".join(chunks)

    async def _in_thread(self, handler: Handler, body: bytes) -> bytes:
        if self._threads is None:  # made by the worker that uses them: threads do not survive a fork
            self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="request")
        return await asyncio.get_running_loop().run_in_executor(self._threads, handler.answer, body)


def header(scope: Scope, name: bytes) -> str:
    """A header of a request; "" where it has none."""
    found = next((value for key, value in scope["headers"] if key == name), b"")
    return str(found.decode("latin-1"))


def not_allowed(method: str, allowed: str) -> Answer:
    """The answer to a method that a path does not have."""
    return refusal(405, f"the method {method} is not supported here; it must be {allowed}.")._replace(allow=allowed)


def _choose(handlers: Handlers, given: str, accept: str) -> tuple[str, Handler | None]:
    """The answer's content type, and the handler that gives it."""
    content_type = (bare(given) if given else "") or next(iter(handlers))
    handler = handlers.get(content_type)
    if handler is None:
        return content_type, None
    handler = handler.for_accept(accept)
    return handler.content_type or content_type, handler


def _unsupported(handlers: Handlers, given: str) -> Answer:
    return refusal(415, f"content type {given[:200]!r} is not supported; it must be {' or '.join(handlers)}.")


def _failed(error: Exception) -> Answer:
    return refusal(500, f"the request failed: {type(error).__name__}.")
