"""Copies of requests for shadow variants: sent behind the caller's back, measured and captured, answered to nobody."""

from __future__ import annotations

import logging
import queue
import random
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kindling.localcloud.sagemaker.hosting.capture import Captures
from kindling.localcloud.sagemaker.hosting.endpoint_metrics import EndpointMetrics
from kindling.localcloud.sagemaker.hosting.exchange import exchange
from kindling.localcloud.sagemaker.hosting.fleet import Fleet

_logger = logging.getLogger(__name__)

_THREADS = 8
# Copies that wait. A shadow slower than production loses the rest: the caller's request must not wait for it.
_WAITING = 256


@dataclass(frozen=True)
class _Copy:
    fleet: Fleet
    request: Mapping[str, Any]
    headers: dict[str, str]
    body: bytes


class Shadows:
    """Sends copies to the shadow variants of a cloud's endpoints, from threads of its own."""

    def __init__(self, metrics: EndpointMetrics, captures: Captures) -> None:
        self._metrics = metrics
        self._captures = captures
        self._copies: queue.Queue[_Copy] = queue.Queue(_WAITING)
        self._lock = threading.Lock()
        self._started = False

    def copy(self, fleet: Fleet, request: Mapping[str, Any], headers: dict[str, str], body: bytes) -> None:
        """Have a request copied, when the fleet has a shadow and this one is among its share; returns at once.

        A session's requests are not copied: the session is one of production's instance.
        """
        if fleet.shadow is None or request.get("SessionId") or random.random() >= fleet.copied:
            return
        try:
            self._copies.put_nowait(_Copy(fleet, request, headers, body))
        except queue.Full:
            _logger.warning("endpoint %s: its shadow variant is too slow for a copy", request["EndpointName"])
            return
        self._start()

    def _start(self) -> None:
        with self._lock:
            if not self._started:
                self._started = True
                for number in range(_THREADS):
                    threading.Thread(target=self._send_forever, name=f"shadow requests {number}", daemon=True).start()

    def _send_forever(self) -> None:
        while True:
            copy = self._copies.get()
            try:
                self._send(copy)
            except Exception:  # the next copy is to be sent all the same
                _logger.exception("copy of a request to endpoint %s", copy.request["EndpointName"])

    def _send(self, copy: _Copy) -> None:
        shadow, name = copy.fleet.shadow, copy.request["EndpointName"]
        instance = shadow.choose(copy.fleet.portion) if shadow else None
        if shadow is None or instance is None:
            return  # none is healthy, or the fleet has ended meanwhile
        began = time.perf_counter()
        outcome = exchange(lambda: instance.send("POST", "/invocations", body=copy.body, headers=copy.headers))
        overhead = time.perf_counter() - began - outcome.seconds
        if outcome.answer is not None:
            variant = instance.variant.name
            self._captures.take(copy.fleet.config, name, variant, copy.request, copy.body, outcome.answer)
        self._metrics.invoked(name, instance.variant.name, shadow.current, outcome, overhead)
