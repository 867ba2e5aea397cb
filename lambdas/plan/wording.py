"""Pydantic's findings as sentences: the field, what was found, what was expected."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError

from contract.specification import InvalidJobError

Asked = TypeVar("Asked", bound=BaseModel)


def shown(value: object) -> str:
    """A value as an error message shows it: JSON, cut to a line."""
    text = json.dumps(value, default=str)
    return text if len(text) <= 100 else f"{text[:97]}..."


def suggestion(name: str, known: Iterable[str]) -> str:
    """What was probably meant by `name`, or all that could have been."""
    names = list(known)
    near = difflib.get_close_matches(name, names, n=1)
    return f"did you mean {near[0]}?" if near else f"known are {', '.join(names)}."


def parsed(model: type[Asked], found: object, what: str) -> Asked:
    """What was asked for, validated.

    Args:
        what: the sentence about something that is no object begins with it.
    Raises:
        InvalidJobError: the first thing that cannot be meant, in one sentence.
    """
    if not isinstance(found, dict):
        raise InvalidJobError(f"{what} is {shown(found)}; it must be an object with inputs in it.")
    try:
        return model.model_validate(found)
    except ValidationError as error:
        first = error.errors()[0]
        raise InvalidJobError(in_words(model, found, first["loc"], first["type"])) from None


def in_words(
    model: type[BaseModel], found: object, location: tuple[int | str, ...], kind: str, within: str = ""
) -> str:
    """What pydantic found at `location`, in one sentence.

    Args:
        model: validated `found`; each of its fields carries {"expected": words} as its extra schema.
        location, kind: of the error as pydantic gives them.
        within: where `found` lies in the execution's input, such as "inputs.train".
    """
    key, *rest = map(str, location)
    where = f"{within}.{key}" if within else key
    if key not in model.model_fields:
        return f"{where} is unknown; {suggestion(key, model.model_fields)}"
    if kind == "missing" and not rest:
        return f"{where} is missing; it must be {_expected(model, key)}."
    value = _below(found, key)
    annotation = model.model_fields[key].annotation
    if named := bool(rest) and isinstance(value, dict) and _is_mapping(annotation):
        name, *rest = rest
        where, value = f"{where}.{name}", value.get(name)
    below = _model_in(annotation)
    if below is not None and (rest or named):
        if rest and isinstance(value, dict):
            return in_words(below, value, tuple(rest), kind, where)
        # It may be written short, as its first field alone: a channel as its address.
        return f"{where} is {shown(value)}; it must be {_expected(below, next(iter(below.model_fields)))}."
    return f"{where} is {shown(value)}; it must be {_expected(model, key)}."


def _below(found: object, key: str) -> Any:
    return found.get(key) if isinstance(found, dict) else found


def _expected(model: type[BaseModel], key: str) -> str:
    extra = model.model_fields[key].json_schema_extra
    assert isinstance(extra, dict)
    return str(extra["expected"])


def _is_mapping(annotation: Any) -> bool:
    return getattr(annotation, "__origin__", None) is dict


def _model_in(annotation: Any) -> type[BaseModel] | None:
    """The model that an annotation such as `Gate | None` or `dict[str, Channel]` names."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((model for argument in get_args(annotation) if (model := _model_in(argument))), None)
