"""Metrics of the embedded cloud in moto's CloudWatch: one datum per metric and minute, whatever the number of values.

moto keeps every value that it is given, for ever, and knows no percentiles. A `Minute` is one datum that grows in
place: it keeps sum, count, extremes, and a histogram with buckets of 1 %, from which percentiles are read.
"""

from __future__ import annotations

import math
import re
import threading
import time
from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from moto.cloudwatch.models import (
    CloudWatchBackend,
    Dimension,
    MetricAggregatedDatum,
    MetricDatum,
    MetricDatumBase,
    Statistics,
)
from moto.cloudwatch.responses import CloudWatchResponse

from kindling.localcloud.seams import replace

Dimensions = tuple[tuple[str, str], ...]

_PERIOD_S = 60
_BUCKETS_PER_E = 100  # neighbouring buckets are 1 % apart
_PERCENTILE = re.compile(r"p(\d{1,2}(?:\.\d+)?|100)")


class Minute(MetricAggregatedDatum):
    """The values of one metric in one minute. `histogram` counts them by bucket; None stands for zero and below."""

    def __init__(self, namespace: str, name: str, dimensions: Dimensions, unit: str, minute: int) -> None:
        described = [{"Name": key, "Value": value} for key, value in dimensions]
        # moto's CloudWatch reckons in naive UTC
        begin = datetime.fromtimestamp(minute * _PERIOD_S, UTC).replace(tzinfo=None)
        super().__init__(namespace, name, math.inf, -math.inf, 0, 0.0, described, begin, unit)
        self.minute = minute
        self.histogram: Counter[int | None] = Counter()

    def add(self, value: float) -> None:
        """Take a value."""
        self.sum += value
        self.sample_count += 1
        self.min, self.max = min(self.min, value), max(self.max, value)
        self.histogram[round(math.log(value) * _BUCKETS_PER_E) if value > 0 else None] += 1

    def values(self) -> Iterable[tuple[float, int]]:
        """Values, right to 1 %, and how often each came."""
        for bucket, count in list(self.histogram.items()):
            value = self.min if bucket is None else math.exp(bucket / _BUCKETS_PER_E)
            yield min(max(value, self.min), self.max), count


class CloudWatch:
    """Where the embedded cloud's metrics go."""

    def __init__(self, backend: CloudWatchBackend) -> None:
        self._backend = backend
        self._lock = threading.Lock()
        self._latest: dict[tuple[str, str, Dimensions], Minute] = {}

    def add(self, namespace: str, dimensions: Dimensions, unit: str, **values: float) -> None:
        """Take one value of each of some metrics, by their names, which have dimensions and unit in common."""
        minute = int(time.time()) // _PERIOD_S
        with self._lock:
            for name, value in values.items():
                key = (namespace, name, dimensions)
                datum = self._latest.get(key)
                if datum is None or datum.minute != minute:
                    datum = self._latest[key] = Minute(namespace, name, dimensions, unit, minute)
                    datum.add(value)
                    self._backend.metric_data.append(datum)
                else:
                    datum.add(value)


def percentile(data: Iterable[MetricDatumBase], share: float) -> float | None:
    """The smallest value that at least `share` percent of all values do not exceed; None when there is no value.

    A statistic set that somebody else put has no values, as on the service.
    """
    values: Counter[float] = Counter()
    for datum in data:
        if isinstance(datum, Minute):
            values.update(dict(datum.values()))
        elif isinstance(datum, MetricDatum):
            values[datum.value] += 1
    wanted, found = share / 100 * values.total(), 0
    for value in sorted(values):
        found += values[value]
        if found >= wanted:
            return value
    return None


def teach_percentiles() -> None:
    """Let moto's GetMetricData and GetMetricStatistics answer p0 to p100, and find dimensions in any order."""
    statistic_of = Statistics.get_statistics_for_type
    statistics_of_request = CloudWatchResponse.get_metric_statistics

    def statistic(self: Statistics, stat: str) -> Any:
        found = _PERCENTILE.fullmatch(stat)
        return percentile(self.metric_data, float(found[1])) if found else statistic_of(self, stat)

    def statistics(self: CloudWatchResponse) -> Any:
        answer: Any = statistics_of_request(self)
        wanted = self._get_param("ExtendedStatistics") or []
        for point in answer.result["Datapoints"]:
            point.extended_statistics = {stat: statistic(point, stat) for stat in wanted} or None
        return answer

    replace(Statistics, "get_statistics_for_type", statistic)
    replace(CloudWatchResponse, "get_metric_statistics", statistics)
    # moto's own is no order, so that the same dimensions in another order are not found.
    replace(Dimension, "__lt__", lambda one, other: (one.name, one.value) < (other.name, other.value))
