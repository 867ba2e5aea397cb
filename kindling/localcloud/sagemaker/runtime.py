"""The doorway of SageMaker Runtime: HTTP requests in front of moto's server, and answers that may be streams.

moto reads a request whole, several times over, and sends an answer whole. Invocations are many, and some are streams,
so they are taken from the server before moto sees them.
"""

from __future__ import annotations

import json
import logging
import re
import uuid
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from http import HTTPStatus
from typing import Any

from botocore.model import Shape, StructureShape
from botocore.session import get_session
from moto.core.exceptions import ServiceException

from kindling.localcloud.sagemaker.errors import InvalidInvocationError
from kindling.localcloud.sagemaker.hosting.invocations import Reply
from kindling.localcloud.sagemaker.service import Service
from kindling.localcloud.sagemaker.validation import violations

_logger = logging.getLogger(__name__)

_PATH = re.compile(r"/endpoints/([^/]+)/(invocations|async-invocations|invocations-response-stream)")
OPERATIONS = {
    "invocations": "InvokeEndpoint",
    "async-invocations": "InvokeEndpointAsync",
    "invocations-response-stream": "InvokeEndpointWithResponseStream",
}
_SCOPE = re.compile(r"Credential=[^/]+/\d+/([^/]+)/([^/]+)/")
_PLAIN_HEADERS = {"Content-Type": "CONTENT_TYPE"}
_MAX_ASYNC_BYTES = 128_000

_Environ = dict[str, Any]
_Start = Callable[[str, list[tuple[str, str]]], Any]
_Operation = Callable[[dict[str, Any], bytes], Reply]


class Runtime:
    """A WSGI application that answers the three operations of SageMaker Runtime."""

    def __init__(self, service: Service) -> None:
        self._region = service.region
        largest = service.limits.payload_bytes
        self._operations: dict[str, tuple[_Operation, int]] = {
            "InvokeEndpoint": (service.invocations.invoke, largest),
            "InvokeEndpointAsync": (service.asynchronous.accept, _MAX_ASYNC_BYTES),
            "InvokeEndpointWithResponseStream": (service.invocations.stream, largest),
        }

    def owns(self, environ: _Environ) -> bool:
        """Whether a request is for this application: an invocation's path, not signed for another service."""
        if _PATH.fullmatch(environ.get("PATH_INFO", "")) is None or environ.get("REQUEST_METHOD") != "POST":
            return False
        scope = _SCOPE.search(environ.get("HTTP_AUTHORIZATION", ""))
        return scope is None or scope[2] == "sagemaker"

    def __call__(self, environ: _Environ, start_response: _Start) -> Iterable[bytes]:
        try:
            reply = self._answer(environ)
        except ServiceException as error:
            reply = _refusal(error)
        except Exception:
            _logger.exception("%s", environ.get("PATH_INFO"))
            reply = _refusal(ServiceException("InternalFailure", "The embedded cloud failed; its log says why."))
        headers = [("x-amzn-RequestId", str(uuid.uuid4())), *reply.headers.items()]
        if isinstance(reply.body, tuple):
            headers.append(("Content-Length", str(sum(map(len, reply.body)))))
        start_response(f"{reply.status} {_phrase(reply.status)}", headers)
        return reply.body

    def _answer(self, environ: _Environ) -> Reply:
        found = _PATH.fullmatch(environ["PATH_INFO"])
        assert found is not None
        operation = OPERATIONS[found[2]]
        act, largest = self._operations[operation]
        request = {"EndpointName": found[1], **_headers(operation, environ)}
        if words := violations(_input(operation), request):
            raise InvalidInvocationError(words)
        scope = _SCOPE.search(environ.get("HTTP_AUTHORIZATION", ""))
        if scope is not None and scope[1] != self._region:
            raise InvalidInvocationError(f"the embedded cloud is in {self._region}, but the request is for {scope[1]}.")
        return act(request, _body(environ, largest))


def _headers(operation: str, environ: _Environ) -> dict[str, Any]:
    """The members of a request that stand in its headers."""
    request: dict[str, Any] = {}
    for member, key, shape in _members(operation):
        value = environ.get(key)
        if value:
            request[member] = _integer(member, value) if shape.type_name == "integer" else value
    return request


def _integer(member: str, value: str) -> int:
    try:
        return int(value)
    except ValueError:
        raise InvalidInvocationError(f"{member}={value!r} is not a whole number.") from None


def _body(environ: _Environ, largest: int) -> bytes:
    """The request's body.

    Raises:
        InvalidInvocationError: it is larger than `largest` bytes.
    """
    given = environ.get("CONTENT_LENGTH")
    # A body sent in chunks has no length, and the server's stream ends where it does.
    wanted = int(given) if given else largest + 1 if environ.get("wsgi.input_terminated") else 0
    body: bytes = environ["wsgi.input"].read(wanted) if wanted <= largest + 1 else b""
    if max(wanted if given else 0, len(body)) > largest:
        raise InvalidInvocationError(
            "1 validation error detected: Value at 'body' failed to satisfy constraint: "
            f"Member must have length less than or equal to {largest}"
        )
    return body


def _refusal(error: ServiceException) -> Reply:
    """An error as the service's protocol has it: its code in a header, its members as JSON."""
    members = {name: value for name, value in vars(error).items() if name[0].isupper()}
    body = json.dumps({"Message": error.message, **members}).encode()
    headers = {"Content-Type": "application/json", "x-amzn-ErrorType": error.code}
    return Reply(headers, (body,), getattr(error, "http_status", 500))


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:  # a container may answer 299
        return "Answered"


@cache
def _input(operation: str) -> StructureShape:
    """The shape of an operation's request."""
    return get_session().get_service_model("sagemaker-runtime").operation_model(operation).input_shape


@cache
def _members(operation: str) -> list[tuple[str, str, Shape]]:
    """The members of an operation's request that stand in headers: name, key in a WSGI environment, shape."""
    found = []
    members: Mapping[str, Shape] = _input(operation).members
    for name, shape in members.items():
        if shape.serialization.get("location") == "header":
            header = shape.serialization["name"]
            key = _PLAIN_HEADERS.get(header) or "HTTP_" + header.upper().replace("-", "_")
            found.append((name, key, shape))
    return found
