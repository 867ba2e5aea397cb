"""The inference server of every image: GET /ping, POST /invocations, GET /execution-parameters.

An algorithm gives one handler per content type, from a request's body to the answer's. `instances_handler` and
`lines_handler` make both from one `predict` function.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import orjson
import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from contract import logs
from contract.cores import available_cpus
from contract.errors import ClientError, is_users_mistake
from contract.paths import BASE_DIRECTORY

logger = logging.getLogger(__name__)

JSON, JSON_LINES = "application/json", "application/jsonlines"

Handler = Callable[[bytes], Awaitable[bytes]]
Predict = Callable[[Sequence[Any], Mapping[str, Any]], Sequence[Any]]
Cheap = Callable[[Sequence[Any], Mapping[str, Any]], bool]


@dataclass(frozen=True, kw_only=True)
class ServingSettings:
    """How the server runs. `max_body_bytes` bounds a request, whatever the service in front of it allows."""

    host: str = "0.0.0.0"
    port: int = 8080
    max_body_bytes: int = 100 * 2**20
    max_payload_mb: int = 6
    batch_strategy: str = "MULTI_RECORD"
    concurrent_transforms: int = 1

    @classmethod
    def from_environ(cls, environ: Mapping[str, str] = os.environ) -> ServingSettings:
        """Read SAGEMAKER_BIND_TO_PORT, KINDLING_MAX_BODY_MB and what a batch transform sets.

        A container is reached from outside itself; a plain process (it has a base directory of its own) only from its
        machine.
        """
        max_payload_mb = int(environ.get("SAGEMAKER_MAX_PAYLOAD_IN_MB", cls.max_payload_mb))
        max_body_mb = int(environ.get("KINDLING_MAX_BODY_MB", cls.max_body_bytes // 2**20))
        return cls(
            host="127.0.0.1" if BASE_DIRECTORY in environ else cls.host,
            port=int(environ.get("SAGEMAKER_BIND_TO_PORT", cls.port)),
            max_body_bytes=max(max_body_mb, max_payload_mb) * 2**20,
            max_payload_mb=max_payload_mb,
            batch_strategy=environ.get("SAGEMAKER_BATCH_STRATEGY", cls.batch_strategy),
            concurrent_transforms=int(environ.get("SAGEMAKER_MAX_CONCURRENT_TRANSFORMS", available_cpus(environ))),
        )


class BodyTooLargeError(Exception):
    """A request's body is longer than the server takes."""


def instances_handler(predict: Predict, cheap: Cheap = lambda _instances, _configuration: False) -> Handler:
    """The application/json handler: {"instances": [...], "configuration": {...}} to a list, one item per instance.

    Args:
        predict: from instances and configuration to one answer each; raises ClientError for what it refuses.
        cheap: whether a request is answered faster than handing it to a thread would take.
    """

    async def handle(body: bytes) -> bytes:
        request = _decode(body, "the request")
        if not isinstance(request, dict) or "instances" not in request:
            raise ClientError('the request has no "instances"; it must be {"instances": [...]}.')
        instances, configuration = request["instances"], request.get("configuration")
        configuration = {} if configuration is None else configuration
        if not isinstance(instances, list):
            raise ClientError(f'"instances" is {_kind(instances)}; it must be a list.')
        if not isinstance(configuration, dict):
            raise ClientError(f'"configuration" is {_kind(configuration)}; it must be an object.')
        return _encode(await _call(predict, cheap, instances, configuration))

    return handle


def lines_handler(predict: Predict, cheap: Cheap = lambda _instances, _configuration: False) -> Handler:
    """The application/jsonlines handler: {"source": ...} per line to one answer per line; blank lines are skipped.

    What else a line holds is the configuration of that line.
    """

    async def handle(body: bytes) -> bytes:
        lines = [(number, line) for number, line in enumerate(body.splitlines(), 1) if line.strip()]
        sources, configurations = [], []
        for number, line in lines:
            record = _decode(line, f"line {number}")
            if not isinstance(record, dict) or "source" not in record:
                raise ClientError(f'line {number} has no "source"; every line must be {{"source": ...}}.')
            sources.append(record.pop("source"))
            configurations.append(record)
        answers: list[Any] = []
        for start, end in _runs(configurations):
            answers += await _call(predict, cheap, sources[start:end], configurations[start])
        return b"".join(_encode(answer) + b"\n" for answer in answers)

    return handle


def application(handlers: Mapping[str, Handler], settings: ServingSettings | None = None) -> Starlette:
    """The ASGI application that answers for a model which is already loaded.

    Args:
        handlers: by content type; the first one answers requests that give none.
    """
    settings = settings or ServingSettings()
    default = next(iter(handlers))

    async def ping(_request: Request) -> Response:
        return Response()

    async def execution_parameters(_request: Request) -> Response:
        parameters = {
            "MaxConcurrentTransforms": settings.concurrent_transforms,
            "BatchStrategy": settings.batch_strategy,
            "MaxPayloadInMB": settings.max_payload_mb,
        }
        return Response(_encode(parameters), media_type=JSON)

    async def invocations(request: Request) -> Response:
        given = request.headers.get("content-type", default)
        content_type = given.partition(";")[0].strip().lower() or default
        handler = handlers.get(content_type)
        if handler is None:
            return _refusal(415, f"content type {given!r} is not supported; it must be {' or '.join(handlers)}.")
        try:
            answer = await handler(await _body(request, settings.max_body_bytes))
        except BodyTooLargeError:
            limit = settings.max_body_bytes // 2**20
            return _refusal(413, f"the body is longer than {limit} MiB; send fewer instances at a time.")
        except Exception as error:  # one bad request must not end the server
            if is_users_mistake(error):
                return _refusal(400, str(error))
            logger.error("a request failed", exc_info=error)
            return _refusal(500, f"the request failed: {type(error).__name__}.")
        return Response(answer, media_type=content_type)

    return Starlette(
        routes=[
            Route("/ping", ping, methods=["GET"]),
            Route("/invocations", invocations, methods=["POST"]),
            Route("/execution-parameters", execution_parameters, methods=["GET"]),
        ]
    )


def run_server(load: Callable[[], Mapping[str, Handler]]) -> int:
    """Load the model, answer requests until SIGTERM, finish those under way, and give the exit code.

    Args:
        load: reads the model and gives its handlers; raises ClientError where the model is not one of ours.
    """
    logs.set_up()
    settings = ServingSettings.from_environ()
    try:
        handlers = load()
    except Exception as error:
        logger.error("the model cannot be served: %s", error, exc_info=None if is_users_mistake(error) else error)
        return 1
    # uvicorn raises the signal again once it has shut down; a clean stop is exit code 0.
    signal.signal(signal.SIGTERM, lambda _signal, _frame: None)
    config = uvicorn.Config(
        application(handlers, settings),
        host=settings.host,
        port=settings.port,
        log_config=None,
        access_log=False,
        lifespan="off",
        timeout_graceful_shutdown=25,  # the service kills the container after 30 s
    )
    with contextlib.suppress(KeyboardInterrupt):
        uvicorn.Server(config).run()
    return 0


async def _call(
    predict: Predict, cheap: Cheap, instances: Sequence[Any], configuration: Mapping[str, Any]
) -> Sequence[Any]:
    if cheap(instances, configuration):
        return predict(instances, configuration)
    return await run_in_threadpool(predict, instances, configuration)


async def _body(request: Request, limit: int) -> bytes:
    chunks, length = [], 0
    async for chunk in request.stream():
        length += len(chunk)
        if length > limit:
            raise BodyTooLargeError
        chunks.append(chunk)
    return b"".join(chunks)


def _runs(items: Sequence[object]) -> list[tuple[int, int]]:
    """Bounds of the longest stretches of equal neighbours, so that lines of one configuration are answered together."""
    bounds = [0, *(i for i in range(1, len(items)) if items[i] != items[i - 1]), len(items)]
    return list(pairwise(bounds)) if items else []


def _decode(body: bytes, where: str) -> Any:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise ClientError(f"{where} is not JSON: {error.msg} (line {error.lineno}, column {error.colno}).") from None


def _encode(value: object) -> bytes:
    return orjson.dumps(value, option=orjson.OPT_SERIALIZE_NUMPY)


def _kind(value: object) -> str:
    names = {dict: "an object", list: "a list", str: "a string", bool: "a boolean", type(None): "null"}
    return names.get(type(value), "a number")


def _refusal(status: int, sentence: str) -> Response:
    return Response(_encode({"error": sentence}), status_code=status, media_type=JSON)
