"""A training job's metrics, found in its log by the regular expressions of its MetricDefinitions."""

from __future__ import annotations

import math
import re
import threading
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

from moto.cloudwatch.models import CloudWatchBackend

from kindling.localcloud.sagemaker.errors import InvalidRequestError

NAMESPACE = "/aws/sagemaker/TrainingJobs"


class Metrics:
    """The latest value of each metric. Every value found is also a data point in CloudWatch.

    `listener` hears every value, in the order of the log.
    """

    def __init__(
        self,
        job: str,
        definitions: Sequence[dict[str, str]],
        backend: CloudWatchBackend,
        listener: Callable[[str, float], None] | None = None,
    ) -> None:
        self._job = job
        self._backend = backend
        self._listener = listener
        self._definitions = [(definition["Name"], compiled(definition)) for definition in definitions]
        self._latest: dict[str, dict[str, Any]] = {}
        self._lock = threading.Lock()

    def hear(self, line: str) -> None:
        """Take the metrics that a log line holds."""
        for name, regex in self._definitions:
            value = _value(regex, line)
            if value is not None:
                self._record(name, value)
                if self._listener is not None:
                    self._listener(name, value)

    def final(self) -> list[dict[str, Any]]:
        """FinalMetricDataList: the latest value of each metric, in the order of the definitions."""
        with self._lock:
            return [self._latest[name] for name, _ in self._definitions if name in self._latest]

    def _record(self, name: str, value: float) -> None:
        now = datetime.now(UTC)
        dimensions = [{"Name": "TrainingJobName", "Value": self._job}]
        with self._lock:
            self._latest[name] = {"MetricName": name, "Value": value, "Timestamp": now}
            datum = {
                "MetricName": name,
                "Value": value,
                "Timestamp": now.replace(tzinfo=None),  # moto's CloudWatch reckons in naive UTC
                "Dimensions": dimensions,
                "Unit": "None",
            }
            self._backend.put_metric_data(NAMESPACE, [datum])


def compiled(definition: dict[str, str]) -> re.Pattern[str]:
    """The regular expression of a metric definition.

    Raises:
        InvalidRequestError: it is none.
    """
    try:
        return re.compile(definition["Regex"])
    except re.error as error:
        raise InvalidRequestError(
            f"the regular expression {definition['Regex']!r} of metric {definition['Name']} is not valid: {error}."
        ) from None


def _value(regex: re.Pattern[str], line: str) -> float | None:
    found = regex.search(line)
    if found is None or not regex.groups:
        return None
    try:
        value = float(found[1])
    except (TypeError, ValueError):  # the service, too, passes over what is no number
        return None
    return value if math.isfinite(value) else None
