"""Whether a model may be deployed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any, Literal


@dataclass(frozen=True, kw_only=True)
class Gate:
    """What a model must reach: `metric`, at least or at most so much, and more than the champion's."""

    metric: str
    goal: Literal["maximize", "minimize"]
    at_least: float | None = None
    at_most: float | None = None
    beat_champion: bool = False


@dataclass(frozen=True, kw_only=True)
class Champion:
    """The model behind the endpoint; `value` is None where its metric is not on record."""

    model: str
    value: float | None


@dataclass(frozen=True, kw_only=True)
class Decision:
    """A gate's decision and its reason, in one sentence."""

    metric: str
    at_least: float | None
    at_most: float | None
    value: float | None
    champion_value: float | None
    passed: bool
    reason: str

    def as_state(self) -> dict[str, Any]:
        """The decision as an execution's output has it."""
        return asdict(self)


def decide(gate: Gate, value: float | None, champion: Champion | None) -> Decision:
    """Compare a model's metric with the gate's bounds and with the champion, where there is one.

    Equal is enough for a bound, not for beating the champion.
    """
    if value is None:
        objections = [f"the training job did not report {gate.metric}"]
    else:
        objections = [*_out_of_bounds(gate, value), *_not_better(gate, value, champion)]
    return Decision(
        metric=gate.metric,
        at_least=gate.at_least,
        at_most=gate.at_most,
        value=value,
        champion_value=champion.value if champion else None,
        passed=not objections,
        reason=" and ".join(objections) + "." if objections else _praise(gate, value, champion),
    )


def _out_of_bounds(gate: Gate, value: float) -> Iterator[str]:
    if gate.at_least is not None and value < gate.at_least:
        yield f"{gate.metric}={value:g} is below at_least={gate.at_least:g}"
    if gate.at_most is not None and value > gate.at_most:
        yield f"{gate.metric}={value:g} is above at_most={gate.at_most:g}"


def _not_better(gate: Gate, value: float, champion: Champion | None) -> Iterator[str]:
    if not gate.beat_champion or champion is None:
        return
    if champion.value is None:
        yield (
            f"{gate.metric} of the champion {champion.model} is not on record "
            "(set beat_champion to false to replace it all the same)"
        )
    elif not (value > champion.value if gate.goal == "maximize" else value < champion.value):
        yield f"{gate.metric}={value:g} does not beat the champion's {champion.value:g}"


def _praise(gate: Gate, value: float | None, champion: Champion | None) -> str:
    reasons = []
    if gate.at_least is not None:
        reasons.append(f"is at least {gate.at_least:g}")
    if gate.at_most is not None:
        reasons.append(f"is at most {gate.at_most:g}")
    if gate.beat_champion:
        reasons.append(f"beats the champion's {champion.value:g}" if champion else "meets no champion")
    return f"{gate.metric}={value:g} {' and '.join(reasons)}."
