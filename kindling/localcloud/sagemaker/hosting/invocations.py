"""The way of an invocation: from the runtime's request to a container, and its answer back."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import urllib3
from moto.cloudwatch.models import cloudwatch_backends

from kindling.localcloud.metric_minutes import CloudWatch
from kindling.localcloud.sagemaker.errors import InvalidInvocationError, UnavailableError
from kindling.localcloud.sagemaker.hosting import event_stream
from kindling.localcloud.sagemaker.hosting.capture import Captures
from kindling.localcloud.sagemaker.hosting.endpoint import CREATING, DELETING, FAILED, Endpoint
from kindling.localcloud.sagemaker.hosting.endpoint_metrics import EndpointMetrics
from kindling.localcloud.sagemaker.hosting.exchange import NO_ANSWER, Outcome, exchange, model_failed
from kindling.localcloud.sagemaker.hosting.fleet import Fleet
from kindling.localcloud.sagemaker.hosting.instance import Instance
from kindling.localcloud.sagemaker.hosting.multi_model import MultiModels
from kindling.localcloud.sagemaker.hosting.sessions import CLOSED, NEW, NEW_SESSION, Sessions
from kindling.localcloud.sagemaker.hosting.shadows import Shadows
from kindling.localcloud.sagemaker.resources import Resources
from kindling.localcloud.sagemaker.surroundings import Surroundings

_logger = logging.getLogger(__name__)

CUSTOM = "X-Amzn-SageMaker-Custom-Attributes"
VARIANT = "x-Amzn-Invoked-Production-Variant"
# What a container gets of a request, by the names of the request's members. The service passes nothing else on.
PASSED_ON = {
    "ContentType": "Content-Type",
    "Accept": "Accept",
    "CustomAttributes": CUSTOM,
    "InferenceId": "X-Amzn-SageMaker-Inference-Id",
    "SessionId": "X-Amzn-SageMaker-Session-Id",
    "TargetModel": "X-Amzn-SageMaker-Target-Model",
}
_NOT_IMPLEMENTED = ("TargetContainerHostname", "InferenceComponentName", "EnableExplanations", "PrefixAwareId")
_PART_BYTES = 1 << 16


@dataclass(frozen=True)
class Reply:
    """What the runtime answers: the headers, and the body in parts."""

    headers: dict[str, str]
    body: Iterable[bytes]
    status: int = 200


class Invocations:
    """Invocations of one cloud's endpoints. Requests are the members of the runtime's model, by name."""

    def __init__(self, endpoints: Resources[Endpoint], around: Surroundings) -> None:
        account, region = around.cloud.account_id, around.cloud.region
        self.metrics = EndpointMetrics(CloudWatch(cloudwatch_backends[account][region]))
        self._endpoints = endpoints
        self._account = account
        self._limits = around.limits
        self._captures = Captures(around.objects)
        self._sessions = Sessions()
        self._models = MultiModels(around, self.metrics)
        self._shadows = Shadows(self.metrics, self._captures)

    def invoke(self, request: Mapping[str, Any], body: bytes) -> Reply:
        """Pass a body on to a container, and its answer back.

        Raises:
            InvalidInvocationError: the endpoint cannot be asked so.
            UnavailableError: no instance of the variant is healthy.
            ModelFailedError: the container answered with an error, or not at all.
        """
        began = time.perf_counter()
        name = request["EndpointName"]
        fleet = self.fleet(request, asynchronous=False)
        instance = self._instance(fleet, request)
        outcome = exchange(lambda: self._send(name, instance, request, body))
        self._shadows.copy(fleet, request, _headers(request), body)
        if outcome.answer is None:
            self._measure(name, fleet, instance, outcome, began)
            raise model_failed(outcome, name, self._account, instance.stream)
        headers = _passed_back(outcome.answer, "Content-Type", instance)
        self._sessions.note(name, instance, headers)
        reply = Reply(headers, (outcome.answer.data,), outcome.status)
        self._captures.take(fleet.config, name, instance.variant.name, request, body, outcome.answer)
        self._measure(name, fleet, instance, outcome, began)
        return reply

    def stream(self, request: Mapping[str, Any], body: bytes) -> Reply:
        """Pass a body on to a container, and its answer back as an event stream, part by part as it is written.

        Raises:
            as `invoke`, until the container began to answer.
        """
        began = time.perf_counter()
        name = request["EndpointName"]
        fleet = self.fleet(request, asynchronous=False)
        instance = self._instance(fleet, request)
        if instance.variant.model.multi:
            raise InvalidInvocationError(f"Endpoint {name} is a multi-model endpoint and does not support streaming.")
        headers = _headers(request)
        limit = self._limits.stream_s
        with ExitStack() as stack:
            stack.enter_context(instance.asked())
            outcome = exchange(
                lambda: instance.send("POST", "/invocations", body=body, headers=headers, timeout_s=limit, stream=True)
            )
            self._shadows.copy(fleet, request, headers, body)
            if outcome.answer is None:
                self._measure(name, fleet, instance, outcome, began)
                raise model_failed(outcome, name, self._account, instance.stream)
            under_way = stack.pop_all()
        passed_back = _passed_back(outcome.answer, "X-Amzn-SageMaker-Content-Type", instance)
        frames = self._frames(name, fleet, instance, outcome.answer, began, under_way)
        return Reply({"Content-Type": event_stream.CONTENT_TYPE, **passed_back}, frames)

    def fleet(self, request: Mapping[str, Any], *, asynchronous: bool) -> Fleet:
        """What serves the endpoint that a request names.

        Raises:
            InvalidInvocationError: there is no such endpoint, it does not serve yet or is of the other kind, or the
                request asks for something that is not implemented.
        """
        for member in _NOT_IMPLEMENTED:
            if request.get(member):
                raise InvalidInvocationError(f"{member} is not implemented by the embedded cloud.")
        name = request["EndpointName"]
        endpoint = self._endpoints.find(name)
        if endpoint is None:
            raise InvalidInvocationError(f"Endpoint {name} of account {self._account} not found.")
        fleet = endpoint.fleet
        if fleet is None or endpoint.status in (CREATING, DELETING, FAILED):
            raise InvalidInvocationError(f"Endpoint {name} is in status {endpoint.status}; it must be InService.")
        if asynchronous != (fleet.config.asynchronous is not None):
            wanted = "InvokeEndpoint" if asynchronous else "InvokeEndpointAsync"
            kind = "a real-time" if asynchronous else "an asynchronous"
            raise InvalidInvocationError(f"Endpoint {name} is {kind} endpoint; use {wanted} to invoke it.")
        return fleet

    def _instance(self, fleet: Fleet, request: Mapping[str, Any]) -> Instance:
        """The instance that is to answer."""
        name, session = request["EndpointName"], request.get("SessionId")
        if session and session != NEW_SESSION:
            return self._sessions.instance(name, session)
        instance = fleet.choose(request.get("TargetVariant"))
        if instance is None:
            raise UnavailableError(f"No instance of endpoint {name} is healthy. Try your call again.")
        model = request.get("TargetModel")
        if instance.variant.model.multi != (model is not None):
            raise InvalidInvocationError(
                f"Endpoint {name} is not a multi-model endpoint and does not support target model header."
                if model
                else "The request is missing a target model header, which a multi-model endpoint needs."
            )
        return self._models.holder(fleet.healthy(instance.variant.name), model) or instance if model else instance

    def _send(self, name: str, instance: Instance, request: Mapping[str, Any], body: bytes) -> urllib3.BaseHTTPResponse:
        headers = _headers(request)
        if model := request.get("TargetModel"):
            return self._models.invoke(name, instance, model, body, headers)
        return instance.send("POST", "/invocations", body=body, headers=headers)

    def _measure(self, name: str, fleet: Fleet, instance: Instance, outcome: Outcome, began: float) -> None:
        overhead = time.perf_counter() - began - outcome.seconds
        variant = instance.variant
        self.metrics.invoked(name, variant.name, fleet.running[variant.name].current, outcome, overhead)

    def _frames(
        self,
        name: str,
        fleet: Fleet,
        instance: Instance,
        answer: urllib3.BaseHTTPResponse,
        began: float,
        under_way: ExitStack,
    ) -> Iterator[bytes]:
        """The frames of a streamed answer; one that tells of a failure is the last."""
        deadline = began + self._limits.stream_s
        status = answer.status
        failure: bytes | None = None
        try:
            for part in _parts(answer, deadline):
                yield event_stream.part(part)
        except urllib3.exceptions.TimeoutError:
            failure = _stream_failed("ModelInvocationTimeExceeded", f"no end within {self._limits.stream_s:g} s")
        except urllib3.exceptions.HTTPError:
            failure = _stream_failed("StreamBroken", "the connection to the model was reset or closed")
        except Exception:  # the caller would take a stream that just ends for a whole one
            _logger.exception("stream of %s", name)
            failure = event_stream.failure("InternalStreamFailure", Message="The embedded cloud failed; see its log.")
        finally:
            answer.close()
            under_way.close()
            seconds = time.perf_counter() - began
            ended = Outcome(None, NO_ANSWER, "", seconds) if failure else Outcome(answer, status, "", seconds)
            self._measure(name, fleet, instance, ended, began)
        if failure:
            yield failure


def _stream_failed(code: str, words: str) -> bytes:
    return event_stream.failure("ModelStreamError", Message=f"The stream failed: {words}.", ErrorCode=code)


def _headers(request: Mapping[str, Any]) -> dict[str, str]:
    return {header: request[member] for member, header in PASSED_ON.items() if request.get(member)}


def _passed_back(answer: urllib3.BaseHTTPResponse, content_type: str, instance: Instance) -> dict[str, str]:
    """The headers of a container's answer that go back to the caller; its content type under another name."""
    headers = {VARIANT: instance.variant.name}
    if "Content-Type" in answer.headers:
        headers[content_type] = answer.headers["Content-Type"]
    for name in (CUSTOM, NEW, CLOSED):
        if name in answer.headers:
            headers[name] = answer.headers[name]
    return headers


def _parts(answer: urllib3.BaseHTTPResponse, deadline: float) -> Iterator[bytes]:
    """The body as the container writes it: its chunks, or whatever has come.

    Raises:
        urllib3.exceptions.HTTPError: the connection broke, or `deadline` (of time.perf_counter) has passed.
    """
    chunks = answer.read_chunked(decode_content=False) if answer.chunked else _whatever_came(answer)
    while True:
        left = deadline - time.perf_counter()
        connection = answer.connection
        if isinstance(connection, urllib3.connection.HTTPConnection) and connection.sock is not None:
            connection.sock.settimeout(max(left, 0.001))
        part = next(chunks, None)
        if part is None:
            return
        if time.perf_counter() > deadline:
            raise urllib3.exceptions.TimeoutError
        yield part


def _whatever_came(answer: urllib3.BaseHTTPResponse) -> Iterator[bytes]:
    while part := answer.read1(_PART_BYTES, decode_content=False):
        yield part
