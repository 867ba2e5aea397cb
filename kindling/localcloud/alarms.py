"""CloudWatch alarms that really go off: moto keeps them, this looks at their metrics and sets their states.

A metric alarm's periods end at the moment of looking, so that what was just put counts at once. Composite alarms and
metric math are not evaluated; such an alarm stays INSUFFICIENT_DATA, and its reason says so.
"""

from __future__ import annotations

import json
import logging
import math
import threading
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from operator import ge, gt, le, lt
from typing import Any
from weakref import WeakKeyDictionary

from kindling.localcloud.cloud import Cloud

OK, ALARM, INSUFFICIENT_DATA = "OK", "ALARM", "INSUFFICIENT_DATA"
_COMPARISONS = {
    "GreaterThanThreshold": gt,
    "GreaterThanOrEqualToThreshold": ge,
    "LessThanThreshold": lt,
    "LessThanOrEqualToThreshold": le,
}
_FURTHER_PERIODS = 2  # looked at beyond those that count, so that late data counts
_LONGEST_HOLD = timedelta(seconds=60)  # of a state that SetAlarmState set
_NOT_EVALUATED = "Composite alarms and metric math are not implemented by the embedded cloud."

_logger = logging.getLogger(__name__)


def install(cloud: Cloud, pause_s: float = 1.0) -> None:
    """Look at the cloud's alarms again and again, in a thread.

    Args:
        pause_s: between two looks.
    """
    alarms = Alarms(cloud)

    def look_forever() -> None:
        while not stopped.wait(pause_s):
            try:
                alarms.look(datetime.now(UTC))
            except Exception:  # one alarm that cannot be read must not keep all others from going off
                _logger.exception("alarms")

    stopped = threading.Event()
    threading.Thread(target=look_forever, name="alarms", daemon=True).start()


class Alarms:
    """The alarms of one cloud and what was last seen of each."""

    def __init__(self, cloud: Cloud) -> None:
        self._account_id, self._region = cloud.account_id, cloud.region
        self._persistence = cloud.persistence
        # How long each alarm's history was; what is beyond has not been acted upon.
        self._seen: WeakKeyDictionary[Any, int] = WeakKeyDictionary()

    def look(self, now: datetime) -> None:
        """Set the state that each alarm has now, and take the actions of those whose state changed."""
        from moto.cloudwatch.models import cloudwatch_backends  # after the start: few clouds ever have an alarm

        backend = cloudwatch_backends[self._account_id][self._region]
        for alarm in list(backend.alarms.values()):
            if alarm not in self._seen:
                self._seen[alarm] = len(alarm.history)
                if alarm.state_reason.startswith("Unchecked"):
                    alarm.state_value = INSUFFICIENT_DATA  # the service's first state; moto's is OK
            by_hand = len(alarm.history) > self._seen[alarm]
            if not by_hand and now >= _held_until(alarm):
                _evaluate(alarm, backend.metric_data, now)
            changes, self._seen[alarm] = alarm.history[self._seen[alarm] :], len(alarm.history)
            states = [change[3] for change in changes] + [alarm.state_value]
            for former, state in pairwise(states):
                if state != former:
                    self._act(alarm, former, state)
                    self._persistence.soon()

    def _act(self, alarm: Any, former: str, state: str) -> None:
        actions = {OK: alarm.ok_actions, ALARM: alarm.alarm_actions}.get(state, alarm.insufficient_data_actions)
        for action in (actions or []) if alarm.actions_enabled else []:
            if not action.startswith("arn:aws:sns:"):
                continue
            try:
                self._publish(action, alarm, former, state)
            except Exception:  # a topic that is gone must not keep the other actions from being taken
                _logger.exception("action %s of alarm %s", action, alarm.name)

    def _publish(self, topic: str, alarm: Any, former: str, state: str) -> None:
        from moto.sns.models import sns_backends

        message = {
            "AlarmName": alarm.name,
            "AlarmDescription": alarm.description,
            "AWSAccountId": self._account_id,
            "AlarmArn": alarm.alarm_arn,
            "NewStateValue": state,
            "NewStateReason": alarm.state_reason,
            "StateChangeTime": _aware(alarm.state_updated_timestamp).isoformat(timespec="milliseconds"),
            "Region": self._region,
            "OldStateValue": former,
            "Trigger": {
                "MetricName": alarm.metric_name,
                "Namespace": alarm.namespace,
                "Statistic": alarm.statistic or alarm.extended_statistic,
                "Dimensions": [{"name": one.name, "value": one.value} for one in alarm.dimensions],
                "Period": alarm.period,
                "EvaluationPeriods": alarm.evaluation_periods,
                "ComparisonOperator": alarm.comparison_operator,
                "Threshold": alarm.threshold,
                "TreatMissingData": alarm.treat_missing_data or "missing",
            },
        }
        subject = f'{state}: "{alarm.name}" in {self._region}'
        sns_backends[self._account_id][self._region].publish(json.dumps(message), topic, subject=subject)


class AlarmWatch:
    """Whether one of these alarms is in ALARM, or was since the watch began."""

    def __init__(self, cloud: Cloud, names: Sequence[str]) -> None:
        self._names = names
        self._cloud = cloud
        self._begun = {alarm.name: len(alarm.history) for alarm in self._alarms()}

    def missing(self) -> list[str]:
        """The names for which there is no alarm."""
        return [name for name in self._names if name not in self._begun]

    def tripped(self) -> list[str]:
        """The names of those that were in ALARM."""
        return [
            alarm.name
            for alarm in self._alarms()
            if alarm.state_value == ALARM
            or any(change[3] == ALARM for change in alarm.history[self._begun.get(alarm.name, 0) :])
        ]

    def _alarms(self) -> list[Any]:
        if not self._names:
            return []
        from moto.cloudwatch.models import cloudwatch_backends

        backend = cloudwatch_backends[self._cloud.account_id][self._cloud.region]
        return [alarm for alarm in list(backend.alarms.values()) if alarm.name in self._names]


def state_of(alarm: Any, data: Iterable[Any], now: datetime) -> str | None:
    """The state that a metric alarm is in by its data, or None when it stays what it is.

    Missing periods are treated as CloudWatch's user guide has it ("how alarm state is evaluated when data is missing").
    """
    periods, needed = int(alarm.evaluation_periods), int(alarm.datapoints_to_alarm or alarm.evaluation_periods)
    values = values_of(alarm, data, now, periods + _FURTHER_PERIODS)
    compare = _COMPARISONS[alarm.comparison_operator]
    breaching = [compare(value, float(alarm.threshold)) for value in values][:periods]
    missing = periods - len(breaching)
    treatment = alarm.treat_missing_data or "missing"
    if not breaching:
        return {"breaching": ALARM, "notBreaching": OK, "missing": INSUFFICIENT_DATA}.get(treatment)
    if sum(breaching) + (missing if treatment == "breaching" else 0) >= needed:
        return ALARM
    if missing and all(breaching) and treatment in ("missing", "ignore"):
        return ALARM if treatment == "missing" else None
    return OK


def _evaluate(alarm: Any, data: Sequence[Any], now: datetime) -> None:
    if alarm.rule or alarm.metric_data_queries or alarm.comparison_operator not in _COMPARISONS:
        if alarm.state_reason != _NOT_EVALUATED:
            alarm.update_state(_NOT_EVALUATED, "{}", INSUFFICIENT_DATA)
        return
    state = state_of(alarm, list(data), now)
    if state is not None and state != alarm.state_value:
        reason = (
            f"Threshold Crossed: {alarm.evaluation_periods} datapoints were looked at for {alarm.comparison_operator} "
            f"{alarm.threshold}."
        )
        if state == INSUFFICIENT_DATA:
            reason = "Insufficient Data: no datapoints were received."
        alarm.update_state(reason, json.dumps({"version": "1.0", "queryDate": now.isoformat()}), state)


def _held_until(alarm: Any) -> datetime:
    """Until when the state stays that SetAlarmState set; the service looks again after a period at the latest."""
    if not alarm.history or alarm.state_reason.startswith(("Threshold Crossed", "Insufficient Data", _NOT_EVALUATED)):
        return datetime.min.replace(tzinfo=UTC)
    hold = min(timedelta(seconds=float(alarm.period or 60)), _LONGEST_HOLD)
    return _aware(alarm.state_updated_timestamp) + hold


def values_of(alarm: Any, data: Iterable[Any], now: datetime, periods: int) -> list[float]:
    """The statistic of each period that has data, the latest first."""
    length = float(alarm.period)
    wanted = {(one.name, one.value) for one in alarm.dimensions}
    found: dict[int, list[Any]] = {}
    for datum in data:
        if datum.name != alarm.metric_name or datum.namespace != alarm.namespace:
            continue
        if alarm.unit and datum.unit != alarm.unit:
            continue
        if {(one.name, one.value) for one in datum.dimensions} == wanted:
            age = (now - _aware(datum.timestamp)).total_seconds()
            if 0 <= age < periods * length:
                found.setdefault(int(age // length), []).append(datum)
    statistic = alarm.extended_statistic or alarm.statistic
    return [_statistic(statistic, found[period]) for period in sorted(found)]


def _statistic(name: str, data: Sequence[Any]) -> float:
    """Of single values and statistic sets."""
    counts = [getattr(datum, "sample_count", 1) for datum in data]
    sums = [datum.sum if hasattr(datum, "sum") else datum.value for datum in data]
    if name == "SampleCount":
        return float(sum(counts))
    if name == "Sum":
        return float(sum(sums))
    if name == "Average":
        return float(sum(sums) / max(1e-300, sum(counts)))
    if name == "Minimum":
        return float(min(datum.min if hasattr(datum, "min") else datum.value for datum in data))
    if name == "Maximum":
        return float(max(datum.max if hasattr(datum, "max") else datum.value for datum in data))
    return _percentile(float(name.removeprefix("p")), sums, counts)


def _percentile(percent: float, sums: Sequence[float], counts: Sequence[float]) -> float:
    """The smallest value that so many percent of the samples do not exceed; a statistic set stands for its mean."""
    samples = sorted((total / count, count) for total, count in zip(sums, counts, strict=True) if count)
    rank, below = math.ceil(percent / 100 * sum(counts) - 1e-9), 0.0
    for value, count in samples:
        below += count
        if below >= rank:
            return value
    return samples[-1][0]


def _aware(time: datetime) -> datetime:
    return time if time.tzinfo else time.replace(tzinfo=UTC)
