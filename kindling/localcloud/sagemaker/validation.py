"""Checks a request against the service's own model, which botocore ships; words what is wrong as the service does."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, Final, Literal

from botocore.model import ServiceModel, Shape
from botocore.session import get_session
from botocore.validate import ParamValidator

from kindling.localcloud.sagemaker.errors import InvalidRequestError

# What Python's `re` does not know of Java's patterns, widened to what it does: classes of characters, the characters
# beyond the first plane written as two halves, and a count of line ends.
_JAVA = {
    r"\p{ASCII}": r"[\x00-\x7f]",
    r"\p{Print}": " -~",
    r"\p{Alnum}": "a-zA-Z0-9",
    r"\p{L}": r"\w",
    r"\p{M}": r"\w",
    r"\p{N}": r"\d",
    r"\p{Z}": r"\s",
    r"\z": r"\Z",
    r"\p{P}": r"!-/:-@\[-`{-~\u00a1-\uffff",
    r"\p{S}": r"!-/:-@\[-`{-~\u00a1-\uffff",
    r"\uD800\uDC00-\uDBFF\uDFFF": r"\U00010000-\U0010ffff",
    "${1,128}": "$",
    "${1,256}": "$",
}

# Stands for a member that may be given, is described as it was given, and changes nothing here.
IGNORED: Final = "ignored"
Supported = Mapping[str, "Supported | Literal['ignored'] | None"]
# What the requests of an operation may hold, by operation.
MEMBERS: dict[str, Supported] = {}


@cache
def service_model() -> ServiceModel:
    """SageMaker's API as botocore describes it."""
    return get_session().get_service_model("sagemaker")


def checked(operation: str, body: str) -> dict[str, Any]:
    """The request of an operation, when the service's model allows it.

    Raises:
        InvalidRequestError: a member is missing, unknown, of another type, or breaks a pattern, a bound or an enum.
    """
    try:
        request = json.loads(body or "{}")
    except json.JSONDecodeError as error:
        raise InvalidRequestError(f"the request is not JSON: {error}.") from None
    shape = service_model().operation_model(operation).input_shape
    report = ParamValidator().validate(request, shape)
    if report.has_errors():
        raise InvalidRequestError("; ".join(report.generate_report().splitlines()) + ".")
    if words := violations(shape, request):
        raise InvalidRequestError(words)
    return dict(request)


def violations(shape: Shape, request: Mapping[str, Any]) -> str | None:
    """What a request breaks of its shape's bounds, patterns and enums, as the service words it; None when nothing."""
    found = list(_violations(shape, request, ""))
    if not found:
        return None
    noun = "error" if len(found) == 1 else "errors"
    return f"{len(found)} validation {noun} detected: " + "; ".join(found)


def refuse_unsupported(request: Mapping[str, Any], supported: Supported, path: str = "") -> None:
    """Refuse by name whatever a request switches on that the embedded cloud does not do.

    Args:
        supported: the members that are understood; a mapping describes a structure (or each element of a list of
            structures), None and IGNORED stand for any value.
    Raises:
        InvalidRequestError: names the member.
    """
    for name, value in request.items():
        where = f"{path}{name}"
        if name not in supported:
            if not _is_off(value):
                raise InvalidRequestError(f"{where} is not implemented by the embedded cloud.")
            continue
        below = supported[name]
        if isinstance(below, Mapping):
            for element in value if isinstance(value, list) else [value]:
                refuse_unsupported(element, below, f"{where}.")


def members_of(operation: str, supported: Supported) -> Supported:
    """Note what an operation's requests may hold, for the table of the API (see coverage.py); gives it back."""
    MEMBERS[operation] = supported
    return supported


def require(path: str, found: str | None, *allowed: str) -> None:
    """Refuse a value that the embedded cloud does not implement; the first of `allowed` is the default."""
    if found is not None and found not in allowed:
        raise InvalidRequestError(f"{path}={found} is not implemented by the embedded cloud; use {allowed[0]}.")


def _is_off(value: object) -> bool:
    if isinstance(value, dict):
        return all(_is_off(part) for part in value.values())
    return value is None or value is False or value in ("", "None", [])


def _violations(shape: Shape, value: Any, path: str) -> Iterator[str]:
    if shape.type_name == "structure":
        for name, member in value.items():
            if member is not None:
                yield from _violations(shape.members[name], member, _join(path, name))
        return
    if shape.type_name == "map":
        for key, member in value.items():
            yield from _violations(shape.key, key, path)
            yield from _violations(shape.value, member, f"{path}.{key}")
    elif shape.type_name == "list":
        for index, member in enumerate(value, start=1):
            yield from _violations(shape.member, member, f"{path}.{index}.member")
    for constraint in _broken(shape, value):
        yield f"Value '{value}' at '{path}' failed to satisfy constraint: {constraint}"


def _broken(shape: Shape, value: Any) -> Iterator[str]:
    metadata = shape.metadata
    if shape.type_name == "string":
        if "enum" in metadata and value not in metadata["enum"]:
            yield f"Member must satisfy enum value set: [{', '.join(metadata['enum'])}]"
        if "pattern" in metadata and not pattern(metadata["pattern"]).fullmatch(value):
            yield f"Member must satisfy regular expression pattern: {metadata['pattern']}"
    numeric = shape.type_name in ("integer", "long", "float", "double")
    if numeric or shape.type_name in ("string", "list", "map"):
        size, noun = (value, "value") if numeric else (len(value), "length")
        if size < metadata.get("min", size):
            yield f"Member must have {noun} greater than or equal to {metadata['min']}"
        if size > metadata.get("max", size):
            yield f"Member must have {noun} less than or equal to {metadata['max']}"


@cache
def pattern(text: str) -> re.Pattern[str]:
    """A pattern of the service's model as Python's."""
    for java, python in _JAVA.items():
        text = text.replace(java, python)
    return re.compile(text)


def _join(path: str, name: str) -> str:
    camel = name[0].lower() + name[1:]
    return f"{path}.{camel}" if path else camel
