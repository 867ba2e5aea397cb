"""When EventBridge's `rate(...)` and `cron(...)` fire, in UTC (user guide of EventBridge, "Schedule expressions")."""

from __future__ import annotations

import calendar
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

_RATE = re.compile(r"rate\(([1-9]\d*) (minute|hour|day)(s?)\)")
_CRON = re.compile(r"cron\((\S+) (\S+) (\S+) (\S+) (\S+) (\S+)\)")
_PART = re.compile(r"(?:(\*)|(\w+)(?:-(\w+))?)(?:/(\d+))?")
_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_DAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")
_YEARS = range(1970, 2200)
_WEEKEND = (1, 7)

IsDay = Callable[[date], bool]


class BadExpressionError(ValueError):
    """What is neither a rate nor a cron expression."""


@dataclass(frozen=True)
class _Cron:
    minutes: list[int]
    hours: list[int]
    is_day: IsDay
    months: list[int]
    years: list[int]


def next_time(expression: str, after: datetime) -> datetime | None:
    """When a schedule fires for the first time after a moment; None if never again.

    Args:
        after: with a time zone. A rate counts from it.
    Raises:
        BadExpressionError: neither a rate nor a cron expression.
    """
    if found := _RATE.fullmatch(expression):
        if (found[1] == "1") != (found[3] == ""):
            raise BadExpressionError(expression)
        return after + timedelta(**{f"{found[2]}s": int(found[1])})
    cron = _cron(expression)
    after = after.astimezone(UTC)
    for year in cron.years:
        if year < after.year:
            continue
        for month in cron.months:
            for day in range(1, calendar.monthrange(year, month)[1] + 1):
                this = date(year, month, day)
                if this < after.date() or not cron.is_day(this):
                    continue
                times = (datetime(year, month, day, h, m, tzinfo=UTC) for h in cron.hours for m in cron.minutes)
                if due := next((time for time in times if time > after), None):
                    return due
    return None


def _cron(expression: str) -> _Cron:
    found = _CRON.fullmatch(expression)
    if found is None or [found[3], found[5]].count("?") != 1:
        raise BadExpressionError(expression)
    try:
        return _Cron(
            minutes=_numbers(found[1], range(60)),
            hours=_numbers(found[2], range(24)),
            is_day=_day_of_month(found[3]) if found[5] == "?" else _day_of_week(found[5]),
            months=_numbers(found[4], range(1, 13), _MONTHS),
            years=_numbers(found[6], _YEARS),
        )
    except ValueError:
        raise BadExpressionError(expression) from None


def _numbers(field: str, allowed: range, names: Sequence[str] = ()) -> list[int]:
    """The values of a field such as `1,5-7,*/2` in order; `10/15` counts from 10 on."""
    values: set[int] = set()
    for part in field.split(","):
        found = _PART.fullmatch(part)
        if found is None:
            raise ValueError(part)
        every, first, last, step = found.groups()
        begin = allowed.start if every else _number(first, names)
        end = allowed.stop - 1 if every or (step and not last) else _number(last or first, names)
        if begin not in allowed or end not in allowed or step == "0":
            raise ValueError(part)
        # Days of the week may go over the weekend: FRI-MON.
        span = range(begin, end + 1) if begin <= end else [*range(begin, allowed.stop), *range(allowed.start, end + 1)]
        values.update(span[:: int(step or 1)])
    return sorted(values)


def _number(text: str, names: Sequence[str]) -> int:
    return names.index(text.upper()) + 1 if text.upper() in names else int(text)


def _day_of_month(field: str) -> IsDay:
    """`L` is the month's last day, `LW` its last working day, `15W` the working day next to the 15th."""
    if field == "L":
        return lambda day: day.day == _last(day)
    if field == "LW":
        return lambda day: day.day == _working_day(day, _last(day))
    if field.endswith("W"):
        (wanted,) = _numbers(field.removesuffix("W"), range(1, 32))
        return lambda day: wanted <= _last(day) and day.day == _working_day(day, wanted)
    days = _numbers(field, range(1, 32))
    return lambda day: day.day in days


def _day_of_week(field: str) -> IsDay:
    """1 is Sunday; `L` is Saturday, `6L` the month's last Friday, `6#2` its second."""
    if field == "L":
        return lambda day: _weekday(day) == _WEEKEND[1]
    name, hash_, number = field.partition("#")
    if hash_ or field.endswith("L"):
        (wanted,) = _numbers(name.removesuffix("L"), range(1, 8), _DAYS)
        if not hash_:
            return lambda day: _weekday(day) == wanted and day.day > _last(day) - 7
        (nth,) = _numbers(number, range(1, 6))
        return lambda day: _weekday(day) == wanted and (day.day - 1) // 7 + 1 == nth
    days = _numbers(field, range(1, 8), _DAYS)
    return lambda day: _weekday(day) in days


def _weekday(day: date) -> int:
    return day.isoweekday() % 7 + 1


def _last(day: date) -> int:
    return calendar.monthrange(day.year, day.month)[1]


def _working_day(month: date, wanted: int) -> int:
    """The working day of a month that is next to a day of it."""
    weekday = _weekday(month.replace(day=wanted))
    if weekday == _WEEKEND[1]:
        return wanted - 1 if wanted > 1 else wanted + 2
    if weekday == _WEEKEND[0]:
        return wanted + 1 if wanted < _last(month) else wanted - 2
    return wanted
