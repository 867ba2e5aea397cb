"""The ranges of hyperparameters that a tuning job searches, and their values between text and number."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from kindling.localcloud.sagemaker.errors import InvalidRequestError

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

_MAX_SEARCHED = 30
_WIDE = 100  # Auto goes by orders of magnitude from this ratio of MaxValue to MinValue on
_REVERSED = "ReverseLogarithmic"


class Range(Protocol):
    """One hyperparameter and what it may be. A value is what the search sees, its text what a training job gets."""

    @property
    def name(self) -> str: ...

    @property
    def size(self) -> int | None:
        """How many values there are; None when they cannot be counted."""

    def distribution(self) -> BaseDistribution:
        """The values as Optuna knows them."""

    def text(self, value: Any) -> str:
        """A value as a hyperparameter."""

    def value(self, text: str) -> Any | None:
        """The value that a hyperparameter stands for, or None when the range does not hold it."""


@dataclass(frozen=True)
class IntegerRange:
    """Whole numbers from `low` to `high`, both included."""

    name: str
    low: int
    high: int
    logarithmic: bool

    @property
    def size(self) -> int:
        return self.high - self.low + 1

    def distribution(self) -> BaseDistribution:
        from optuna.distributions import IntDistribution

        return IntDistribution(self.low, self.high, log=self.logarithmic)

    def text(self, value: int) -> str:
        return str(value)

    def value(self, text: str) -> int | None:
        found = _number(text)
        return int(found) if found is not None and found == int(found) and self.low <= found <= self.high else None


@dataclass(frozen=True)
class ContinuousRange:
    """Numbers from `low` to `high`. With ReverseLogarithmic the search sees 1 - x, by orders of magnitude."""

    name: str
    low: float
    high: float
    scaling: str

    size = None

    def distribution(self) -> BaseDistribution:
        from optuna.distributions import FloatDistribution

        if self.scaling == _REVERSED:
            return FloatDistribution(1 - self.high, 1 - self.low, log=True)
        return FloatDistribution(self.low, self.high, log=self.scaling == "Logarithmic")

    def text(self, value: float) -> str:
        found = 1 - value if self.scaling == _REVERSED else value
        return repr(min(max(found, self.low), self.high))

    def value(self, text: str) -> float | None:
        found = _number(text)
        if found is None or not self.low <= found <= self.high:
            return None
        return 1 - found if self.scaling == _REVERSED else found


@dataclass(frozen=True)
class CategoricalRange:
    """One of some texts."""

    name: str
    values: tuple[str, ...]

    @property
    def size(self) -> int:
        return len(self.values)

    def distribution(self) -> BaseDistribution:
        from optuna.distributions import CategoricalDistribution

        return CategoricalDistribution(self.values)

    def text(self, value: str) -> str:
        return value

    def value(self, text: str) -> str | None:
        return text if text in self.values else None


def combinations(ranges: Sequence[Range]) -> int | None:
    """How many combinations of values there are; None when they cannot be counted."""
    sizes = [span.size for span in ranges]
    return None if None in sizes else math.prod(size for size in sizes if size is not None)


def ranges_of(given: Mapping[str, Any]) -> tuple[Range, ...]:
    """The ranges of a request's ParameterRanges.

    Raises:
        InvalidRequestError: a bound is no number, the bounds are in the wrong order or do not suit the scale, or a name
            or value occurs twice.
    """
    if given.get("AutoParameters"):
        raise InvalidRequestError("ParameterRanges.AutoParameters is not implemented by the embedded cloud.")
    found = tuple(_ranges(given))
    if not found:
        raise InvalidRequestError("ParameterRanges must hold at least one hyperparameter range.")
    if len(found) > _MAX_SEARCHED:
        raise InvalidRequestError(
            f"ParameterRanges holds {len(found)} hyperparameters; a tuning job can search at most {_MAX_SEARCHED}."
        )
    names = [span.name for span in found]
    for name in names:
        if names.count(name) > 1:
            raise InvalidRequestError(f"hyperparameter {name} has more than one range in ParameterRanges; give it one.")
    return found


def _ranges(given: Mapping[str, Any]) -> Iterator[Range]:
    for one in given.get("IntegerParameterRanges", []):
        yield _integers(one)
    for one in given.get("ContinuousParameterRanges", []):
        yield _continuous(one)
    for one in given.get("CategoricalParameterRanges", []):
        values = tuple(one["Values"])
        if len(set(values)) < len(values):
            raise InvalidRequestError(
                f"CategoricalParameterRanges: a value of hyperparameter {one['Name']} is repeated."
            )
        yield CategoricalRange(one["Name"], values)


def _integers(one: Mapping[str, str]) -> IntegerRange:
    kind = "IntegerParameterRanges"
    low, high = _bounds(kind, one)
    if low != int(low) or high != int(high):
        raise InvalidRequestError(f"{kind}: MinValue and MaxValue of hyperparameter {one['Name']} must be integers.")
    scaling = one.get("ScalingType", "Auto")
    if scaling == _REVERSED:
        raise InvalidRequestError(
            f"{kind}: ScalingType {_REVERSED} of hyperparameter {one['Name']} is for continuous ranges only."
        )
    return IntegerRange(one["Name"], int(low), int(high), _scale(kind, one, low, high) == "Logarithmic")


def _continuous(one: Mapping[str, str]) -> ContinuousRange:
    kind = "ContinuousParameterRanges"
    low, high = _bounds(kind, one)
    return ContinuousRange(one["Name"], low, high, _scale(kind, one, low, high))


def _bounds(kind: str, one: Mapping[str, str]) -> tuple[float, float]:
    bounds = []
    for bound in ("MinValue", "MaxValue"):
        number = _number(one[bound])
        if number is None:
            raise InvalidRequestError(f"{kind}: {bound}={one[bound]} of hyperparameter {one['Name']} must be a number.")
        bounds.append(number)
    low, high = bounds
    if low >= high:
        raise InvalidRequestError(
            f"{kind}: MinValue={one['MinValue']} of hyperparameter {one['Name']} must be less than "
            f"MaxValue={one['MaxValue']}."
        )
    return low, high


def _scale(kind: str, one: Mapping[str, str], low: float, high: float) -> str:
    """The scale that is searched on: never Auto."""
    scaling = one.get("ScalingType", "Auto")
    if scaling == "Auto":
        return "Logarithmic" if low > 0 and high / low >= _WIDE else "Linear"
    if scaling == "Logarithmic" and low <= 0:
        raise InvalidRequestError(
            f"{kind}: MinValue={one['MinValue']} of hyperparameter {one['Name']} must be greater than 0 "
            "for ScalingType Logarithmic."
        )
    if scaling == _REVERSED and not (low >= 0 and high < 1):
        raise InvalidRequestError(
            f"{kind}: the range of hyperparameter {one['Name']} must be within 0 <= x < 1.0 "
            f"for ScalingType {_REVERSED}."
        )
    return scaling


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None
