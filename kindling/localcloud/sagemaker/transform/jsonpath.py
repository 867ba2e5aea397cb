"""The part of JSONPath that batch transform's filters may use.

`$`, `.name`, `['name','other']`, `[1]`, `[0,-1]`, `[1:5]` (the end left out, as in every JSONPath), `.*` and `[*]`.
A list of indexes and a range together are refused, as the service does. A path that can only find one value gives
it; one with a wildcard, a range or several indexes gives a list; several names give an object.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

from kindling.localcloud.sagemaker.errors import DataError

_STEP = re.compile(r"\.(?P<name>[^.\[\]()*'\"\s]+)|(?P<wildcard>\.\*|\.?\[\*\])|\.?\[(?P<inside>[^\]]+)\]")
_NAMES = re.compile(r"\s*'[^']*'\s*(?:,\s*'[^']*'\s*)*")
_NAME = re.compile(r"'([^']*)'")
_INDEXES = re.compile(r"\s*-?\d+\s*(?:,\s*-?\d+\s*)*")
_RANGE = re.compile(r"\s*(-?\d+)?\s*:\s*(-?\d+)?\s*")


class _Step(Protocol):
    @property
    def single(self) -> bool:
        """Whether it finds one value in one value."""

    def of(self, value: Any) -> Iterator[Any]:
        """What the step finds in a value; LookupError when that is not there."""


@dataclass(frozen=True)
class _Names:
    names: tuple[str, ...]
    single = True

    def of(self, value: Any) -> Iterator[Any]:
        if not isinstance(value, dict):
            raise LookupError(f"no attribute {self.names[0]!r}")
        if missing := [name for name in self.names if name not in value]:
            raise LookupError(f"no attribute {missing[0]!r}")
        yield value[self.names[0]] if len(self.names) == 1 else {name: value[name] for name in self.names}


@dataclass(frozen=True)
class _Indexes:
    indexes: tuple[int, ...]

    @property
    def single(self) -> bool:
        return len(self.indexes) == 1

    def of(self, value: Any) -> Iterator[Any]:
        size = len(value) if isinstance(value, list) else 0
        for index in self.indexes:
            if not -size <= index < size:
                raise LookupError(f"no element {index} among {size}")
            yield value[index]


@dataclass(frozen=True)
class _Range:
    start: int | None
    end: int | None
    single = False

    def of(self, value: Any) -> Iterator[Any]:
        if not isinstance(value, list):
            raise LookupError("no list")
        yield from value[self.start : self.end]


class _Wildcard:
    single = False

    def of(self, value: Any) -> Iterator[Any]:
        if isinstance(value, dict):
            yield from value.values()
        elif isinstance(value, list):
            yield from value
        else:
            raise LookupError("neither a list nor an object")


class JsonPath:
    """A path, ready to be applied.

    Raises:
        DataError: it is not one that batch transform understands.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self._steps = list(_steps(text))

    @property
    def is_root(self) -> bool:
        """Whether it stands for the whole value."""
        return not self._steps

    def select(self, value: Any) -> Any:
        """What the path finds in a value.

        Raises:
            DataError: there is nothing there.
        """
        found = [value]
        try:
            for step in self._steps:
                found = [part for one in found for part in step.of(one)]
        except LookupError as error:
            raise DataError(f"JsonPath {self.text} finds nothing: there is {error.args[0]}.") from None
        return found[0] if all(step.single for step in self._steps) else found


def _steps(text: str) -> Iterator[_Step]:
    if not text.startswith("$"):
        raise DataError(f"Invalid JsonPath: {text}: it must begin with $.")
    at = 1
    while at < len(text):
        step = _STEP.match(text, at)
        if step is None:
            raise DataError(f"Invalid JsonPath: {text}: {text[at:]} is not supported.")
        at = step.end()
        if step["wildcard"]:
            yield _Wildcard()
        elif step["name"]:
            yield _Names((step["name"],))
        else:
            yield _bracketed(text, step["inside"])


def _bracketed(text: str, inside: str) -> _Step:
    if _NAMES.fullmatch(inside):
        return _Names(tuple(_NAME.findall(inside)))
    if _INDEXES.fullmatch(inside):
        return _Indexes(tuple(int(index) for index in inside.split(",")))
    if found := _RANGE.fullmatch(inside):
        start, end = (int(bound) if bound else None for bound in found.groups())
        return _Range(start, end)
    if ":" in inside:
        raise DataError(
            f"Invalid JsonPath: {text}: only single range filters of format (eg: [1:5]) are supported. "
            f"Format [{inside}] is not supported"
        )
    raise DataError(f"Invalid JsonPath: {text}: [{inside}] is not supported.")
