"""What IAM policies allow: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html

Identity policies and a permissions boundary, from documents alone: an explicit deny wins over an allow, what nothing
allows is denied, and a boundary allows nothing by itself. Policy variables (`${aws:username}`) are not replaced.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final, Literal

Document = Mapping[str, Any]
Statement = Mapping[str, Any]
Decision = Literal["allowed", "explicitDeny", "implicitDeny"]


class UnknownOperatorError(ValueError):
    """A condition has an operator that is not evaluated here."""


@dataclass(frozen=True)
class Request:
    """An action on a resource; `context` has the values of condition keys, whose names do not depend on case."""

    action: str
    resource: str = "*"
    context: Mapping[str, Sequence[str]] = field(default_factory=dict)


def decide(documents: Iterable[Document], request: Request, boundary: Document | None = None) -> Decision:
    """IAM's decision over identity policies, and over a permissions boundary where there is one.

    Raises:
        UnknownOperatorError: a condition of a statement that concerns the request cannot be evaluated.
    """
    decision = _effect(documents, request)
    if boundary is None or decision == "explicitDeny":
        return decision
    limit = _effect([boundary], request)
    return decision if limit == "allowed" else limit


def statements(documents: Iterable[Document]) -> Iterator[Statement]:
    """The statements of documents; IAM takes a single one without a list, too."""
    for document in documents:
        found = document["Statement"]
        yield from [found] if isinstance(found, Mapping) else found


def concerns(statement: Statement, request: Request) -> bool:
    """Whether a statement is about the request's action and resource, whatever its conditions."""
    action = request.action.lower()
    actions = _any_matches(as_list(statement.get("Action", statement.get("NotAction"))), action, lower=True)
    resources = _any_matches(as_list(statement.get("Resource", statement.get("NotResource", "*"))), request.resource)
    return actions == ("Action" in statement) and resources == ("NotResource" not in statement)


def condition_keys(statement: Statement) -> set[str]:
    """The keys that a statement's conditions ask for."""
    return {key for condition in statement.get("Condition", {}).values() for key in condition}


def as_list(value: str | Sequence[str] | None) -> Sequence[str]:
    """IAM writes a list of one as its only element."""
    return [value] if isinstance(value, str) else value or []


def _effect(documents: Iterable[Document], request: Request) -> Decision:
    effects = {
        statement["Effect"]
        for statement in statements(documents)
        if concerns(statement, request) and _holds(statement.get("Condition", {}), request.context)
    }
    return "explicitDeny" if "Deny" in effects else "allowed" if "Allow" in effects else "implicitDeny"


def _any_matches(patterns: Sequence[str], value: str, *, lower: bool = False) -> bool:
    return any(_like(pattern.lower() if lower else pattern, value) for pattern in patterns)


def _like(pattern: str, value: str) -> bool:
    """Whether a pattern, in which * stands for any text and ? for any character, is the value's."""
    return _expression(pattern).fullmatch(value) is not None


@lru_cache(maxsize=4096)
def _expression(pattern: str) -> re.Pattern[str]:
    return re.compile(re.escape(pattern).replace(r"\*", ".*").replace(r"\?", "."), re.DOTALL)


# https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html
# by name: how a value of the policy and one of the request compare. Those of ARNs are alike with and without wildcards.
_OPERATORS: Final[Mapping[str, Callable[[str, str], bool]]] = {
    "StringEquals": lambda wanted, found: wanted == found,
    "StringEqualsIgnoreCase": lambda wanted, found: wanted.lower() == found.lower(),
    "StringLike": _like,
    "ArnEquals": _like,
    "ArnLike": _like,
    "Bool": lambda wanted, found: wanted.lower() == found.lower(),
    "NumericEquals": lambda wanted, found: float(found) == float(wanted),
    "NumericLessThan": lambda wanted, found: float(found) < float(wanted),
    "NumericLessThanEquals": lambda wanted, found: float(found) <= float(wanted),
    "NumericGreaterThan": lambda wanted, found: float(found) > float(wanted),
    "NumericGreaterThanEquals": lambda wanted, found: float(found) >= float(wanted),
}
_NEGATED: Final = {
    name.replace("Equals", "NotEquals").replace("Like", "NotLike"): name
    for name in (
        *("StringEquals", "StringEqualsIgnoreCase", "StringLike"),
        *("ArnEquals", "ArnLike", "NumericEquals"),
    )
}


def _holds(conditions: Mapping[str, Mapping[str, Any]], context: Mapping[str, Sequence[str]]) -> bool:
    """Whether all operators hold for all of their keys."""
    found = {key.lower(): values for key, values in context.items()}
    return all(
        _operator_holds(operator, [_text(value) for value in _several(wanted)], found.get(key.lower()))
        for operator, keys in conditions.items()
        for key, wanted in keys.items()
    )


def _operator_holds(operator: str, wanted: Sequence[str], found: Sequence[str] | None) -> bool:
    qualifier, _, name = operator.rpartition(":")
    if name == "Null":
        return (found is None) == (wanted[0].lower() == "true")
    optional, name = name.endswith("IfExists"), name.removesuffix("IfExists")
    compare = _OPERATORS.get(_NEGATED.get(name, name))
    if compare is None or qualifier not in ("", "ForAllValues", "ForAnyValue"):
        raise UnknownOperatorError(f"the condition operator {operator} is not implemented by the embedded cloud.")
    negated = name in _NEGATED
    if found is None:
        return optional or negated or qualifier == "ForAllValues"
    hits = [any(compare(value, one) for value in wanted) != negated for one in found]
    # Without a qualifier a key has one value.
    return all(hits) if qualifier == "ForAllValues" else any(hits)


def _several(value: Any) -> Sequence[Any]:
    return value if isinstance(value, list) else [value]


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
