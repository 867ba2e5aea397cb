"""What grows with use: log events and metric data, kept as lists of which only the new elements are written."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

from kindling.localcloud.metric_minutes import Minute
from kindling.localcloud.snapshots import backends_of
from kindling.localcloud.store import Store


class GrowingLists:
    """The events of every log stream and the data of every region's metrics, in moto and in the store."""

    def __init__(self, store: Store, account: str) -> None:
        self._store = store
        self._account = account
        self._lengths: dict[tuple[str, str], tuple[int, int]] = {}  # of what is kept: identity and length
        self._growing: dict[str, dict[int, float]] = {}  # of metric data that grow in place: position and count

    def forget(self) -> None:
        """Take nothing for kept: all is written anew the next time."""
        self._lengths.clear()

    def keep(self) -> None:
        """Append what the lists that only grow have got; write one anew that has become shorter or another."""
        for kind, owner, values, plain in self._lists():
            identity, length = self._lengths.get((kind, owner), (0, 0))
            if identity != id(values) or len(values) < length:
                self._store.drop(kind, owner)
                length = 0
            new = values[length:]
            if new:
                self._store.append(kind, owner, length, [plain(value) for value in new])
            self._lengths[kind, owner] = (id(values), length + len(new))
            if kind == "metrics":
                self._keep_growing(owner, values, length)

    def _keep_growing(self, owner: str, values: list[Any], kept: int) -> None:
        """Keep again the data, from before position `kept`, that have taken more values; a minute grows no more."""
        growing = self._growing.setdefault(owner, {})
        now = int(time.time()) // 60
        for position, count in list(growing.items()):
            datum = values[position] if position < len(values) else None
            if datum is not None and position < kept and datum.sample_count != count:
                self._store.append("metrics", owner, position, [_plain_datum(datum)])
                growing[position] = datum.sample_count
            elif datum is None or datum.minute < now:
                del growing[position]
        for position in range(kept, len(values)):
            if isinstance(values[position], Minute):
                growing[position] = values[position].sample_count

    def _lists(self) -> Iterator[tuple[str, str, list[Any], Callable[[Any], Any]]]:
        for region, backend in backends_of("logs", self._account):
            for group in list(backend.groups.values()):
                for stream in list(group.streams.values()):
                    yield "log", f"{region}/{group.name}\0{stream.log_stream_name}", stream.events, _plain_event
        for region, backend in backends_of("cloudwatch", self._account):
            yield "metrics", region, backend.metric_data, _plain_datum

    def restore(self) -> None:
        for kind, owner, values, _ in self._lists():
            make = _event if kind == "log" else _datum
            values.extend(make(value) for value in self._store.list(kind, owner))
            self._lengths[kind, owner] = (id(values), len(values))


def _plain_event(event: Any) -> list[Any]:
    return [event.timestamp, event.message, event.ingestion_time]


def _event(value: list[Any]) -> Any:
    from moto.logs.models import LogEvent

    return LogEvent(value[2], {"timestamp": value[0], "message": value[1]})


def _plain_datum(datum: Any) -> dict[str, Any]:
    attributes = {name: value for name, value in datum.__dict__.items() if name != "dimensions"}
    dimensions = [[dimension.name, dimension.value] for dimension in datum.dimensions]
    if isinstance(datum, Minute):
        attributes["histogram"] = list(datum.histogram.items())
    return {**attributes, "dimensions": dimensions, "class": type(datum).__name__}


def _datum(value: dict[str, Any]) -> Any:
    from moto.cloudwatch import models

    kinds: dict[str, Any] = {kind.__name__: kind for kind in (models.MetricDatum, models.MetricAggregatedDatum, Minute)}
    kind = kinds[value["class"]]
    datum = kind.__new__(kind)
    datum.__dict__.update({name: one for name, one in value.items() if name not in ("class", "dimensions")})
    if isinstance(datum, Minute):
        datum.histogram = Counter(dict(value["histogram"]))
    datum.dimensions = [models.Dimension(name, one) for name, one in value["dimensions"]]
    return datum
