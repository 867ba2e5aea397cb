"""An endpoint's alarms: who hears of them, and that there are just these."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def put_alarms(
    cloudwatch: Any, alarms: Sequence[Mapping[str, Any]], topic: str, tags: Sequence[Mapping[str, str]]
) -> list[str]:
    """Makes or changes the alarms, which tell the topic when they go off and when all is well again.

    Returns:
        Their names.
    """
    for alarm in alarms:
        cloudwatch.put_metric_alarm(**alarm, AlarmActions=[topic], OKActions=[topic], Tags=list(tags))
    return [str(alarm["AlarmName"]) for alarm in alarms]
