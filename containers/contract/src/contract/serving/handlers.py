"""From a request's body to the answer's: the JSON and the JSON Lines protocol around a model's predictions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from contract.errors import ClientError

JSON, JSON_LINES = "application/json", "application/jsonlines"

# From instances and one option each to one answer each; raises InstanceError for what it refuses.
Predict = Callable[[Sequence[Any], Sequence[Any]], Sequence[Any]]
# From a configuration as it was sent to an option; raises ClientError, whose sentence begins with the entry's name.
Configure = Callable[[Mapping[str, Any]], Any]
# Whether a prediction takes less time than handing it to a thread would.
Cheap = Callable[[Sequence[Any], Sequence[Any]], bool]
# From a line's object to the instance and the configuration; raises ClientError, whose sentence goes on after "line 3".
Split = Callable[[dict[str, Any]], tuple[Any, Mapping[str, Any]]]


class InstanceError(ClientError):
    """An instance that is refused: its number, from 0, and a sentence that goes on after "instance 3"."""

    def __init__(self, number: int, sentence: str) -> None:
        super().__init__(f"instance {number} {sentence}")
        self.number, self.sentence = number, sentence


@dataclass(frozen=True)
class Handler:
    """One content type's way from a request's body to the answer's; both raise ClientError for what they refuse.

    `at_once` gives None where the answer takes so long that other requests would wait for it; `answer` always answers.
    The answer has the request's content type, or `content_type`. A request whose Accept names one of `accepting` is
    answered by that handler; any other Accept is ignored.
    """

    answer: Callable[[bytes], bytes]
    at_once: Callable[[bytes], bytes | None] = lambda _body: None
    content_type: str = ""
    accepting: Mapping[str, Handler] = field(default_factory=dict)

    def for_accept(self, accept: str) -> Handler:
        """The handler of a request with this Accept, "" where it has none."""
        if self.accepting and accept:
            for part in accept.split(","):
                if found := self.accepting.get(bare(part)):
                    return found
        return self


def bare(content_type: str) -> str:
    """A content type without its parameters."""
    return content_type.partition(";")[0].strip().lower()


Handlers = Mapping[str, Handler]


def plain(configuration: Mapping[str, Any]) -> Mapping[str, Any]:
    """The option of a model that reads configurations itself: the configuration as it was sent."""
    return configuration


def never_cheap(_instances: Sequence[Any], _options: Sequence[Any]) -> bool:
    """Every prediction goes to a thread."""
    return False


def source_of(record: dict[str, Any]) -> tuple[Any, Mapping[str, Any]]:
    """The instance is the line's "source"; what else it holds is its configuration.

    Raises:
        ClientError: there is no "source".
    """
    if "source" not in record:
        raise ClientError('has no "source"; every line must be {"source": ...}.')
    return record.pop("source"), record


def instances_handler(predict: Predict, configure: Configure = plain, cheap: Cheap = never_cheap) -> Handler:
    """The application/json handler: {"instances": [...], "configuration": {...}} to a list, one item per instance."""

    def read(body: bytes) -> tuple[list[Any], list[Any]]:
        request = decode(body, "the request")
        if not isinstance(request, dict) or "instances" not in request:
            raise ClientError('the request has no "instances"; it must be {"instances": [...]}.')
        instances, configuration = request["instances"], request.get("configuration")
        if not isinstance(instances, list):
            raise ClientError(f'"instances" is {kind(instances)}; it must be a list.')
        if configuration is not None and not isinstance(configuration, dict):
            raise ClientError(f'"configuration" is {kind(configuration)}; it must be an object.')
        try:
            option = configure(configuration or {})
        except ClientError as error:
            raise ClientError(f"configuration {error}") from None
        return instances, [option] * len(instances)

    def answer(body: bytes) -> bytes:
        return encode(predict(*read(body)))

    def at_once(body: bytes) -> bytes | None:
        instances, options = read(body)
        return encode(predict(instances, options)) if cheap(instances, options) else None

    return Handler(answer, at_once)


def usual_first(answer: Callable[[bytes], bytes | None], general: Handler) -> Handler:
    """A handler for the requests that are usual, which are answered without a detour, and for all others.

    Args:
        answer: the answer to a usual request, which takes long only if its body is long; None where it is another,
            whose mistakes `general` will name.
    """

    def first(body: bytes) -> bytes:
        found = answer(body)
        return general.answer(body) if found is None else found

    def first_at_once(body: bytes) -> bytes | None:
        found = answer(body)
        return general.at_once(body) if found is None else found

    return Handler(first, first_at_once)


def lines_handler(
    predict: Predict, configure: Configure = plain, cheap: Cheap = never_cheap, split: Split = source_of
) -> Handler:
    """The application/jsonlines handler: one object per line to one answer per line; blank lines are skipped."""

    def read(body: bytes) -> tuple[list[int], list[Any], list[Any]]:
        numbers: list[int] = []
        instances: list[Any] = []
        options: list[Any] = []
        for number, line in enumerate(body.splitlines(), 1):
            if not line.strip():
                continue
            instance, option = read_line(number, line)
            numbers.append(number)
            instances.append(instance)
            options.append(option)
        return numbers, instances, options

    def read_line(number: int, line: bytes) -> tuple[Any, Any]:
        record = decode(line, f"line {number}")
        if not isinstance(record, dict):
            raise ClientError(f"line {number} is {kind(record)}; it must be an object.")
        try:
            instance, configuration = split(record)
        except ClientError as error:
            raise ClientError(f"line {number} {error}") from None
        try:
            return instance, configure(configuration)
        except ClientError as error:
            raise ClientError(f"line {number}: {error}") from None

    def told(numbers: list[int], instances: list[Any], options: list[Any]) -> bytes:
        try:
            answers = predict(instances, options)
        except InstanceError as error:
            raise ClientError(f"line {numbers[error.number]} {error.sentence}") from None
        return b"".join(encode(answer) + b"\n" for answer in answers)

    def answer(body: bytes) -> bytes:
        return told(*read(body))

    def at_once(body: bytes) -> bytes | None:
        numbers, instances, options = read(body)
        return told(numbers, instances, options) if cheap(instances, options) else None

    return Handler(answer, at_once)


def encode(value: object) -> bytes:
    """A value as JSON; arrays of NumPy are lists, their float32 in the fewest digits that give them again."""
    return orjson.dumps(value, option=orjson.OPT_SERIALIZE_NUMPY)


def encoded(json: bytes) -> orjson.Fragment:
    """A value that is JSON already, as a part of an answer."""
    return orjson.Fragment(json)


def kind(value: object) -> str:
    """What a decoded value is, in JSON's words: "an object"."""
    names = {dict: "an object", list: "a list", str: "a string", bool: "a boolean", type(None): "null"}
    return names.get(type(value), "a number")


def short(value: object) -> str:
    """A decoded value as an error shows it: its beginning, or what it is where it holds others."""
    if value is None or isinstance(value, dict | list):
        return kind(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    return repr(value[:100] if isinstance(value, str) else value)


def at_least_one(name: str, value: object) -> int:
    """A configuration's entry that must be a positive integer, at most 2^31 - 1, which is as good as any greater one.

    Raises:
        ClientError: it is none; the sentence begins with its name.
    """
    if isinstance(value, float) and value >= 2**53 and value.is_integer():
        return 2**31 - 1  # an integer that is too great for the decoder
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ClientError(f"{name}={short(value)} is not valid; it must be an integer from 1.")
    return min(value, 2**31 - 1)


def decode(body: bytes, where: str) -> Any:
    """What JSON says.

    Args:
        where: what errors call it: "line 3".
    Raises:
        ClientError: it is not JSON.
    """
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise ClientError(f"{where} is not JSON: {error.msg} (line {error.lineno}, column {error.colno}).") from None
