"""The setting `triggers`: what starts an algorithm's pipeline without anybody's doing (docs/triggers.md)."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Final

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from containers import catalogue

# An algorithm's folders that its pipelines write into; a run that starts runs would never be the last.
WRITTEN_FOLDERS: Final = ("prepared",)
EVERY_OBJECT: Final = "*"

_PLACEHOLDER = re.compile(r"\{(\w+)\}")
_KNOWN: Final = ("data", "key", "prefix")
_OF_ARRIVALS: Final = ("key", "prefix")
# EventBridge takes 8192 characters, in which the bucket's name is still to be filled in.
_LONGEST_INPUT = 7000
# "rate" and "cron" of the EventBridge user guide: six fields, of which one of the two days is a question mark.
_RATE = re.compile(r"rate\((1 (minute|hour|day)|(?!1 )[1-9]\d{0,4} (minutes|hours|days))\)")
_NAMES_OF_MONTHS = "JAN|FEB|MAR|APR|MAY|JUN|JUL|AUG|SEP|OCT|NOV|DEC"
_NAMES_OF_DAYS = "SUN|MON|TUE|WED|THU|FRI|SAT"
_DAY, _WEEKDAY = r"0?[1-9]|[12]\d|3[01]", rf"[1-7]|{_NAMES_OF_DAYS}"


def _values(value: str, also: str = "") -> re.Pattern[str]:
    """A field of cron: values, ranges and steps with commas between them, or what else may stand alone in it."""
    part = rf"(\*|({value})(-({value}))?)(/[1-9]\d*)?"
    return re.compile("|".join(filter(None, (f"{part}(,{part})*", also))))


_CRON = (
    _values(r"[0-5]?\d"),
    _values(r"[01]?\d|2[0-3]"),
    _values(_DAY, rf"\?|LW?|({_DAY})W"),
    _values(rf"0?[1-9]|1[0-2]|{_NAMES_OF_MONTHS}"),
    _values(_WEEKDAY, rf"\?|L|({_WEEKDAY})(L|#[1-5])"),
    _values(r"19[7-9]\d|2[01]\d\d"),
)


class InvalidTriggerError(ValueError):
    """A trigger that cannot be meant. The message is one sentence without the name of the file."""


def _schedule(expression: str) -> str:
    fields = expression.removeprefix("cron(").removesuffix(")").split(" ")
    is_cron = (
        expression.startswith("cron(")
        and expression.endswith(")")
        and len(fields) == len(_CRON)
        and [fields[2], fields[4]].count("?") == 1
        and all(pattern.fullmatch(field) for pattern, field in zip(_CRON, fields, strict=True))
    )
    if not is_cron and not _RATE.fullmatch(expression):
        raise ValueError(expression)
    return expression


def _input(found: object) -> object:
    """An object, or the same in JSON: TOML knows no null, by which a run has no endpoint."""
    return json.loads(found) if isinstance(found, str) else found


def _algorithm(name: str) -> str:
    if name not in catalogue.algorithms():
        raise ValueError(name)
    return name


def _field(expected: str, **constraints: Any) -> Any:
    return Field(json_schema_extra={"expected": expected}, **constraints)


class Trigger(BaseModel):
    """What starts a pipeline: a time, or an object that arrives; and the execution's input."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = _field(
        "1 to 40 lower-case letters, digits and dashes, beginning with a letter and not ending with a dash",
        pattern=r"^[a-z]([a-z0-9-]{0,38}[a-z0-9])?$",
    )
    algorithm: Annotated[str, AfterValidator(_algorithm)] = _field("one of " + ", ".join(catalogue.algorithms()))
    schedule: Annotated[str, AfterValidator(_schedule)] | None = _field(
        "such as rate(1 day), rate(6 hours) or cron(0 3 * * ? *), in UTC", default=None
    )
    arrival: str | None = _field(
        "a folder of the data bucket, such as blazingtext/incoming/, with a slash at its end and none at its beginning",
        default=None,
        pattern=r"^([\w.=+@-]+/)+$",
        max_length=500,
    )
    marker: str = _field(
        "the name of the object that ends an upload, such as _SUCCESS, or * and how it ends, such as *.manifest",
        default="_SUCCESS",
        pattern=r"^(\*|\*?[\w.=+@-]+)$",
        max_length=100,
    )
    input: Annotated[dict[str, Any], BeforeValidator(_input)] = _field(
        "the input of the pipeline's execution: an object, or the same as JSON"
    )
    enabled: bool = _field("true or false", default=True)

    def check(self) -> None:
        """See that the fields agree.

        Raises:
            InvalidTriggerError: they do not.
        """
        if (self.schedule is None) == (self.arrival is None):
            found = "neither" if self.schedule is None else "both"
            raise InvalidTriggerError(f"{self.name} has {found} of schedule and arrival; it must have one of the two")
        if self.arrival is not None:
            self._check_arrival(self.arrival)
        elif "marker" in self.model_fields_set:
            raise InvalidTriggerError(f"{self.name} has a marker, which only an arrival can have")
        self._check_input()

    def _check_arrival(self, arrival: str) -> None:
        own = f"{self.algorithm}/"
        if not arrival.startswith(own) or arrival == own:
            raise InvalidTriggerError(
                f"{self.name}.arrival is {arrival!r}; it must be a folder below {own}, the algorithm's part of the data"
            )
        for folder in WRITTEN_FOLDERS:
            if arrival.startswith(f"{own}{folder}/"):
                raise InvalidTriggerError(
                    f"{self.name}.arrival is {arrival!r}, where the pipeline itself writes: it would start itself for "
                    f"ever; it must be a folder outside of {own}{folder}/"
                )

    def _check_input(self) -> None:
        for name in placeholders(self.input):
            if name not in _KNOWN:
                known = ", ".join(f"{{{one}}}" for one in _KNOWN)
                raise InvalidTriggerError(f"{self.name}.input has {{{name}}}; known are {known}")
            if name in _OF_ARRIVALS and self.arrival is None:
                raise InvalidTriggerError(f"{self.name}.input has {{{name}}}, which only an arrival gives")
        text = json.dumps(self.input)
        if len(text) > _LONGEST_INPUT:
            raise InvalidTriggerError(
                f"{self.name}.input takes {len(text)} characters as JSON; it must be at most {_LONGEST_INPUT}"
            )
        if "key" in placeholders(self.input) and re.search("[<>]", text):
            raise InvalidTriggerError(f"{self.name}.input has {{key}} and < or >, which EventBridge would replace, too")


def placeholders(value: object) -> list[str]:
    """The names in braces in the texts of a JSON value."""
    return [name for text in _texts(value) for name in _PLACEHOLDER.findall(text)]


def filled(value: Any, values: Mapping[str, str]) -> Any:
    """A JSON value, in whose texts each name in braces is replaced."""
    if isinstance(value, str):
        return _PLACEHOLDER.sub(lambda found: values[found[1]], value)
    if isinstance(value, dict):
        return {name: filled(one, values) for name, one in value.items()}
    if isinstance(value, list):
        return [filled(one, values) for one in value]
    return value


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for one in value.values():
            yield from _texts(one)
    elif isinstance(value, list):
        for one in value:
            yield from _texts(one)


def triggers_of(found: object) -> tuple[Trigger, ...]:
    """The triggers in a settings file, or in `-c triggers=` as JSON.

    Raises:
        InvalidTriggerError: the first of them that cannot be meant.
        ValueError: it is no list of objects.
    """
    tables = json.loads(found) if isinstance(found, str) and found.strip() else found or ()
    if not isinstance(tables, list | tuple) or not all(isinstance(table, dict) for table in tables):
        raise ValueError(found)
    triggers = tuple(_trigger(number, table) for number, table in enumerate(tables, 1))
    names = [trigger.name for trigger in triggers]
    if twice := [name for name in names if names.count(name) > 1]:
        raise InvalidTriggerError(f"{twice[0]} is the name of two of them; it must be that of one")
    return triggers


def _trigger(number: int, table: dict[str, Any]) -> Trigger:
    whose = table["name"] if isinstance(table.get("name"), str) and table["name"] else f"number {number}"
    try:
        trigger = Trigger.model_validate(table)
    except ValidationError as error:
        raise InvalidTriggerError(_sentence(whose, error)) from None
    trigger.check()
    return trigger


def _sentence(whose: str, error: ValidationError) -> str:
    first = error.errors()[0]
    field = str(first["loc"][0])
    if field not in Trigger.model_fields:
        return f"{whose}.{field} is unknown; known are {', '.join(Trigger.model_fields)}"
    extra = Trigger.model_fields[field].json_schema_extra
    assert isinstance(extra, dict)
    if first["type"] == "missing":
        return f"{whose} has no {field}; it must be {extra['expected']}"
    return f"{whose}.{field} is {json.dumps(first['input'], default=str)}; it must be {extra['expected']}"
