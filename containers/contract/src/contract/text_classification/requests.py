"""What a text classifier is asked over HTTP: the k most probable labels of texts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Protocol

from contract.errors import ClientError
from contract.serving import (
    JSON,
    JSON_LINES,
    Handler,
    InstanceError,
    at_least_one,
    instances_handler,
    lines_handler,
    short,
    usual_first,
)

CHEAP_CHARACTERS = 100_000  # of texts that are classified in half a millisecond: others may wait so long


class Classifier(Protocol):
    """A model that knows labels."""

    def predict(self, texts: Sequence[str], k: Sequence[int] | int = 1) -> Sequence[Mapping[str, Any]]:
        """The k best labels of each text and their probabilities: {"label": [...], "prob": [...]}, best first."""


def handlers(classifier: Classifier, answer: Callable[[bytes], bytes | None] | None = None) -> dict[str, Handler]:
    """The request handlers by content type.

    Args:
        answer: from the usual request to the whole answer, or None where the request is another; asked first.
    """
    instances = instances_handler(partial(predict, classifier), how_many, _cheap)
    return {
        JSON: usual_first(answer, instances) if answer else instances,
        JSON_LINES: lines_handler(partial(_predict_lines, classifier), how_many, _cheap),
    }


def predict(classifier: Classifier, texts: Sequence[Any], counts: Sequence[int]) -> Sequence[Mapping[str, Any]]:
    """The best labels of each text, as many as its count says.

    Raises:
        InstanceError: a text that is not a string.
    """
    for number, text in enumerate(texts):
        if not isinstance(text, str):
            raise InstanceError(number, f"is {short(text)}; every instance must be a string, a text.")
    return classifier.predict(texts, counts) if texts else []


def how_many(configuration: Mapping[str, Any]) -> int:
    """The k of a configuration, 1 where it has none.

    Raises:
        ClientError: k is no positive integer, or the configuration has another entry.
    """
    if not configuration:
        return 1
    unknown = next((name for name in configuration if name != "k"), None)
    if unknown is not None:
        raise ClientError(f"{short(unknown)} is unknown; known is k.")
    k = configuration["k"]
    return 1 if k is None else at_least_one("k", k)


def _predict_lines(classifier: Classifier, texts: Sequence[Any], counts: Sequence[int]) -> list[dict[str, Any]]:
    # BlazingText's answers have their entries in this order on lines, and in the other one in a list.
    return [{"prob": found["prob"], "label": found["label"]} for found in predict(classifier, texts, counts)]


def _cheap(texts: Sequence[Any], _counts: Sequence[int]) -> bool:
    return sum(len(text) for text in texts if isinstance(text, str)) <= CHEAP_CHARACTERS
