"""Data capture: what an endpoint was asked and answered, as JSON lines in S3."""

from __future__ import annotations

import base64
import json
import logging
import queue
import random
import threading
import time
import uuid
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import urllib3
from moto.core.exceptions import ServiceException

from kindling.localcloud.sagemaker.hosting.endpoint_configs import EndpointConfig
from kindling.localcloud.sagemaker.objects import Address, Objects

_logger = logging.getLogger(__name__)

_PAUSE_S = 1.0  # between two writes, in which captures gather into one object
_INPUT, _OUTPUT = "Input", "Output"


@dataclass(frozen=True)
class _Side:
    """What came in, or what went out."""

    content_type: str | None
    data: bytes


@dataclass(frozen=True)
class _Captured:
    """One invocation, not yet encoded: that is done where no answer waits for it."""

    config: Mapping[str, Any]
    endpoint: str
    variant: str
    event: dict[str, Any]
    time: datetime
    sides: dict[str, _Side]


class Captures:
    """Writes what the endpoints of a cloud capture, from a thread of its own."""

    def __init__(self, objects: Objects) -> None:
        self._objects = objects
        self._taken: queue.SimpleQueue[_Captured] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._writer: threading.Thread | None = None

    def take(
        self,
        config: EndpointConfig,
        endpoint: str,
        variant: str,
        request: Mapping[str, Any],
        body: bytes,
        answer: urllib3.BaseHTTPResponse,
    ) -> None:
        """Capture an invocation, when the endpoint's configuration wants this one."""
        wanted = config.capture
        if wanted is None or random.random() * 100 >= wanted["InitialSamplingPercentage"]:
            return
        modes = {option["CaptureMode"] for option in wanted["CaptureOptions"]}
        sides = {_INPUT: _Side(request.get("ContentType"), body)}
        sides[_OUTPUT] = _Side(answer.headers.get("Content-Type"), answer.data)
        now = datetime.now(UTC)
        event: dict[str, Any] = {"eventId": str(uuid.uuid4()), "inferenceTime": f"{now:%Y-%m-%dT%H:%M:%SZ}"}
        if inference_id := request.get("InferenceId"):
            event["inferenceId"] = inference_id
        if custom := request.get("CustomAttributes"):
            event["customAttributes"] = [custom]
        kept = {side: what for side, what in sides.items() if modes & {side, _INPUT + "And" + _OUTPUT}}
        self._taken.put(_Captured(wanted, endpoint, variant, event, now, kept))
        self._start()

    def _start(self) -> None:
        if self._writer is None:
            with self._lock:
                if self._writer is None:
                    self._writer = threading.Thread(target=self._write_forever, name="data capture", daemon=True)
                    self._writer.start()

    def _write_forever(self) -> None:
        while True:
            taken = [self._taken.get()]
            time.sleep(_PAUSE_S)
            while not self._taken.empty():
                taken.append(self._taken.get())
            by_place: dict[Address, list[_Captured]] = defaultdict(list)
            for captured in taken:
                by_place[_folder(captured)].append(captured)
            for folder, together in by_place.items():
                self._write(folder, together)

    def _write(self, folder: Address, together: list[_Captured]) -> None:
        lines = "".join(json.dumps(_line(captured)) + "\n" for captured in together)
        now = together[0].time
        place = folder.below(f"{now:%M-%S}-{now.microsecond // 1000:03}-{uuid.uuid4()}.jsonl")
        try:
            self._objects.put(place, lines.encode(), together[0].config.get("KmsKeyId"))
        except ServiceException as error:  # the bucket is gone: as on the service, the endpoint goes on
            _logger.warning("data capture to %s: %s", place, error)


def _folder(captured: _Captured) -> Address:
    at = captured.time
    root = Address.parse(captured.config["DestinationS3Uri"])
    return root.below(captured.endpoint, captured.variant, f"{at:%Y/%m/%d/%H}")


def _line(captured: _Captured) -> dict[str, Any]:
    data = {
        f"endpoint{side}": _encoded(what, side.upper(), captured.config.get("CaptureContentTypeHeader", {}))
        for side, what in captured.sides.items()
    }
    return {"captureData": data, "eventMetadata": captured.event, "eventVersion": "0"}


def _encoded(side: _Side, mode: str, content_types: Mapping[str, list[str]]) -> dict[str, Any]:
    """One side as the service writes it: text where its content type is listed as CSV or JSON, else base64."""
    kind = (side.content_type or "").partition(";")[0].strip().lower()
    observed = {"observedContentType": side.content_type} if side.content_type else {}
    for encoding, member in (("CSV", "CsvContentTypes"), ("JSON", "JsonContentTypes")):
        if kind in (listed.lower() for listed in content_types.get(member, [])):
            try:
                return {**observed, "mode": mode, "data": side.data.decode(), "encoding": encoding}
            except UnicodeDecodeError:
                break  # it is not the text that it is said to be
    return {**observed, "mode": mode, "data": base64.b64encode(side.data).decode(), "encoding": "BASE64"}
