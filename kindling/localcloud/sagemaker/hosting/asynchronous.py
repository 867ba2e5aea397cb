"""InvokeEndpointAsync: requests wait in a queue that outlives the cloud, and their answers go to S3."""

from __future__ import annotations

import base64
import json
import logging
import shutil
import tempfile
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

import urllib3
from moto.core.exceptions import ServiceException

from kindling.localcloud.sagemaker.errors import DataError, InvalidInvocationError
from kindling.localcloud.sagemaker.hosting.async_request import AsyncRequest
from kindling.localcloud.sagemaker.hosting.endpoint import DELETING, Endpoint
from kindling.localcloud.sagemaker.hosting.exchange import BROKEN, NO_ANSWER, TIMED_OUT, Outcome, exchange, model_failed
from kindling.localcloud.sagemaker.hosting.fleet import Fleet
from kindling.localcloud.sagemaker.hosting.instance import Instance
from kindling.localcloud.sagemaker.hosting.invocations import PASSED_ON, Invocations, Reply
from kindling.localcloud.sagemaker.objects import Address
from kindling.localcloud.sagemaker.resources import Resources
from kindling.localcloud.sagemaker.surroundings import Surroundings
from kindling.localcloud.store import StoreError

_logger = logging.getLogger(__name__)

_KIND = "sagemaker/async-request"
_CONCURRENCY = 4  # per instance, where the configuration leaves it to the service
_TICK_S = 0.2  # how often the queue looks whether an instance has become healthy, or a request has expired
_SAMPLE_S = 1.0  # how often the backlog's size is measured while there is one


class AsyncInvocations:
    """The queues of all asynchronous endpoints of a cloud."""

    def __init__(self, invocations: Invocations, endpoints: Resources[Endpoint], around: Surroundings) -> None:
        self._invocations = invocations
        self._endpoints = endpoints
        self._around = around
        self._store = around.cloud.store
        self._changed = threading.Condition()
        self._waiting: dict[str, dict[str, AsyncRequest]] = defaultdict(dict)  # by endpoint and key, in their order
        self._unfinished: Counter[str] = Counter()  # by endpoint: waiting or under way
        self._under_way: Counter[Instance] = Counter()
        self._dispatcher: threading.Thread | None = None
        self._measured: dict[str, float] = {}

    def resume(self) -> None:
        """Take up the requests that a former cloud accepted and did not finish."""
        kept = [AsyncRequest.restored(record) for record in self._store.all(_KIND).values()]
        if not kept:
            return
        with self._changed:
            for request in sorted(kept, key=lambda request: request.received):
                self._enqueue(request)

    def accept(self, request: Mapping[str, Any], body: bytes) -> Reply:
        """Put a request into its endpoint's queue; it is in the store when this returns.

        Raises:
            InvalidInvocationError: the endpoint cannot be asked so, or there is not exactly one input.
        """
        fleet = self._invocations.fleet(request, asynchronous=True)
        location = request.get("InputLocation")
        if bool(location) == bool(body):
            raise InvalidInvocationError("Exactly one of Body and InputLocation must be provided.")
        if location:
            try:
                Address.parse(location)
            except DataError as error:
                raise InvalidInvocationError(f"InputLocation: {error}") from None
        endpoint = self._endpoints.find(request["EndpointName"])
        config = fleet.config.asynchronous
        assert config is not None
        if endpoint is None:  # deleted since
            raise InvalidInvocationError(f"Endpoint {request['EndpointName']} is being deleted.")
        accepted = AsyncRequest.accepted(request, body, endpoint.creation_time, config)
        self._store.put(_KIND, accepted.key, accepted.record())
        with self._changed:
            self._enqueue(accepted)
        headers = {"Content-Type": "application/json", "X-Amzn-SageMaker-OutputLocation": accepted.output}
        if accepted.failure:
            headers["X-Amzn-SageMaker-FailureLocation"] = accepted.failure
        return Reply(headers, (json.dumps({"InferenceId": accepted.request["InferenceId"]}).encode(),), 202)

    def _enqueue(self, request: AsyncRequest) -> None:
        """Let a request wait, and have the queues looked after. The lock is held."""
        self._waiting[request.endpoint][request.key] = request
        self._unfinished[request.endpoint] += 1
        if self._dispatcher is None:
            self._dispatcher = threading.Thread(target=self._dispatch_forever, name="async inference", daemon=True)
            self._dispatcher.start()
        self._changed.notify_all()

    def _dispatch_forever(self) -> None:
        while True:
            with self._changed:
                while not self._unfinished and not self._measured:
                    self._changed.wait()
                for name in {*self._unfinished, *self._measured}:
                    try:
                        self._dispatch(name)
                    except Exception:  # one endpoint's trouble must not stop the queues of all
                        _logger.exception("asynchronous requests of %s", name)
                self._changed.wait(_TICK_S)

    def _dispatch(self, name: str) -> None:
        """Give what waits for an endpoint to its instances, so far as they have room. The lock is held."""
        endpoint = self._endpoints.find(name)
        fleet = endpoint.fleet if endpoint is not None and endpoint.status != DELETING else None
        self._measure(name, fleet)
        waiting = self._waiting[name]
        expired = []
        for request in list(waiting.values()):
            if endpoint is None or endpoint.creation_time != request.endpoint_created:
                self._forget(request)  # its endpoint is gone, and with it, as on the service, the queue
            elif request.expired:
                expired.append(request)
            elif fleet is not None and (instance := self._free(fleet)) is not None:
                self._under_way[instance] += 1
                self._start(self._run, request, instance)
            else:
                continue
            del waiting[request.key]
        if expired:
            self._start(self._expire, expired, fleet)
        if not waiting:
            del self._waiting[name]

    def _start(self, work: Any, *given: Any) -> None:
        threading.Thread(target=work, args=given, name="async invocation", daemon=True).start()

    def _free(self, fleet: Fleet) -> Instance | None:
        """The healthy instance with the fewest requests, when it may have one more."""
        config = fleet.config.asynchronous or {}
        most = config.get("ClientConfig", {}).get("MaxConcurrentInvocationsPerInstance", _CONCURRENCY)
        healthy = fleet.healthy(fleet.variants[0].name)
        instance = min(healthy, key=lambda one: self._under_way[one], default=None)
        return instance if instance is not None and self._under_way[instance] < most else None

    def _measure(self, name: str, fleet: Fleet | None) -> None:
        """Tell CloudWatch how long the queue is, every now and then and once more when it is empty."""
        now, unfinished = time.monotonic(), self._unfinished[name]
        if unfinished and now - self._measured.get(name, -_SAMPLE_S) < _SAMPLE_S:
            return
        self._measured[name] = now
        if not unfinished:
            del self._measured[name], self._unfinished[name]
        healthy = len(fleet.healthy(fleet.variants[0].name)) if fleet else 0
        oldest = max((request.age_s for request in self._waiting[name].values()), default=0.0)
        self._invocations.metrics.backlog(name, unfinished, healthy, oldest)

    def _run(self, request: AsyncRequest, instance: Instance) -> None:
        """Ask an instance, and put what came of it where it belongs."""
        waited = request.age_s
        content_type = reason = None
        try:
            try:
                outcome, content_type = self._ask(request, instance)
            except DataError as error:
                reason = str(error)
                outcome = Outcome(None, NO_ANSWER, reason, 0.0)
            if outcome.answer is None and self._around.runner.ending:
                return  # the container ended with the cloud; the next one asks again
            if outcome.answer is None and reason is None:
                account = self._around.cloud.account_id
                reason = model_failed(outcome, request.endpoint, account, instance.stream).message
            variant = instance.variant.name
            self._invocations.metrics.processed(request.endpoint, variant, outcome, waited, request.age_s)
            self._finish(request, reason, outcome.words, content_type)
        except Exception:  # whatever it is, the requests behind it must not wait for ever
            _logger.exception("asynchronous invocation of %s", request.endpoint)
            self._finish(request, "InternalServerError: the embedded cloud failed; its log says why.", "", None)
        finally:
            with self._changed:
                self._under_way[instance] -= 1
                self._under_way += Counter()  # drops what is zero
                self._changed.notify_all()

    def _ask(self, request: AsyncRequest, instance: Instance) -> tuple[Outcome, str | None]:
        """What came of the request, and the answer's content type; an answer is at its place in S3 already.

        Raises:
            DataError: the input cannot be read, or the answer cannot be written.
        """
        with instance.asked(), tempfile.TemporaryFile() as file, tempfile.NamedTemporaryFile() as answered:
            size = self._read_input(request, file)
            headers = {
                header: request.request[member] for member, header in PASSED_ON.items() if request.request.get(member)
            }
            headers["Content-Length"] = str(size)
            limit = request.timeout_s
            began = time.perf_counter()
            outcome = exchange(
                lambda: instance.send("POST", "/invocations", body=file, headers=headers, timeout_s=limit, stream=True)
            )
            if outcome.answer is None:
                return outcome, None
            try:
                shutil.copyfileobj(outcome.answer, answered)
            except urllib3.exceptions.TimeoutError:
                return Outcome(None, NO_ANSWER, TIMED_OUT, time.perf_counter() - began), None
            except urllib3.exceptions.HTTPError:
                return Outcome(None, NO_ANSWER, BROKEN, time.perf_counter() - began), None
            finally:
                outcome.answer.close()
            answered.flush()
            seconds = time.perf_counter() - began
            try:
                self._around.objects.write(Address.parse(request.output), Path(answered.name), request.kms_key)
            except ServiceException as error:
                raise DataError(f"the answer cannot be written to {request.output}: {error.message}.") from None
            return Outcome(outcome.answer, outcome.status, "", seconds), outcome.answer.headers.get("Content-Type")

    def _read_input(self, request: AsyncRequest, file: IO[bytes]) -> int:
        """Bring the input; its size in bytes."""
        if request.body is not None:
            file.write(base64.b64decode(request.body))
        else:
            self._around.objects.read_into(Address.parse(request.request["InputLocation"]), file)
        size = file.tell()
        file.seek(0)
        return size

    def _expire(self, requests: list[AsyncRequest], fleet: Fleet | None) -> None:
        for request in requests:
            if fleet is not None:
                self._invocations.metrics.expired(request.endpoint, fleet.variants[0].name)
            reason = f"The request expired: it waited longer than {request.ttl_s:g} s in the queue."
            self._finish(request, reason, reason, None)

    def _finish(self, request: AsyncRequest, failure: str | None, words: str, content_type: str | None) -> None:
        """Tell the end of a request, and forget it."""
        if failure is not None and request.failure is not None:
            try:
                self._around.objects.put(Address.parse(request.failure), words.encode(), request.kms_key)
            except ServiceException as error:
                _logger.warning("failure of %s to %s: %s", request.endpoint, request.failure, error)
        request.tell(self._around.cloud, failure, content_type)
        self._forget(request)

    def _forget(self, request: AsyncRequest) -> None:
        with self._changed:
            self._unfinished[request.endpoint] -= 1
        try:
            self._store.remove(_KIND, request.key)
        except StoreError:  # were the cloud to end now, the request would be done once more
            _logger.exception("asynchronous request of %s", request.endpoint)
