"""What boto3 returns, as the JSON that Step Functions passes from state to state."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from botocore.response import StreamingBody


def with_iso_dates(value: Any) -> Any:
    """Plain JSON with times as the AWS SDK integrations give them: "2026-11-20T23:20:24.123Z"."""
    return _plain(value, lambda moment: moment.isoformat(timespec="milliseconds").replace("+00:00", "Z"))


def with_millisecond_dates(value: Any) -> Any:
    """Plain JSON with times as the optimised integrations give them: milliseconds since the epoch."""
    return _plain(value, lambda moment: int(moment.timestamp() * 1000))


def _plain(value: Any, date: Callable[[datetime], Any]) -> Any:
    if isinstance(value, dict):
        return {name: _plain(one, date) for name, one in value.items() if name != "ResponseMetadata"}
    if isinstance(value, list | tuple):
        return [_plain(one, date) for one in value]
    if isinstance(value, datetime):
        return date(value)
    if isinstance(value, StreamingBody):
        return value.read().decode()
    if isinstance(value, bytes):
        return value.decode()
    return value
