"""What word vectors are asked over HTTP: vectors, nearest neighbours, analogies, similarities, sentences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from blazingtext._engine import KeptAnswers
from contract.errors import ClientError
from contract.serving import (
    JSON,
    JSON_LINES,
    Handler,
    InstanceError,
    at_least_one,
    encode,
    encoded,
    instances_handler,
    lines_handler,
    short,
    source_of,
    usual_first,
)

CHEAP_LOOKUPS = 200  # words that are looked up in less time than others may wait

_KEPT_BYTES = 16 * 2**20  # of answers for frequent words, in each worker
_NUMBER_BYTES = 13
_ANALOGY_COUNT = 10
_KINDS = {"analogy": 3, "similarity": 2}  # of questions about words, and about how many


class Vectors(Protocol):
    """A model that knows words; vectors have shape (dim,)."""

    def lookup(self, words: Sequence[str]) -> NDArray[np.float32]:
        """The vectors of words, shape (len(words), dim)."""

    def neighbors(self, word: str, count: int) -> Sequence[Mapping[str, Any]]:
        """The nearest words of a word, each with its similarity."""

    def analogies(self, words: Sequence[str], count: int) -> Sequence[Mapping[str, Any]]:
        """The words nearest to a - b + c, each with its similarity."""

    def similarity(self, word: str, other: str) -> float | None:
        """The cosine of two words' vectors; None when nothing is known of one of them."""

    def sentence_vectors(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """The vectors of texts, shape (len(texts), dim)."""


def handlers(vectors: Vectors) -> dict[str, Handler]:
    """The request handlers by content type."""
    answers = Answers(vectors)
    return {
        JSON: usual_first(answers.usual, instances_handler(answers.predict, nearest, cheap)),
        JSON_LINES: lines_handler(answers.predict, nearest, cheap, question),
    }


class Answers:
    """The answers of a model. Those for the words last asked for are kept as they are sent."""

    def __init__(self, vectors: Vectors) -> None:
        self._vectors = vectors
        dim = vectors.lookup(["a"]).shape[1]
        self._kept = KeptAnswers(max(1, _KEPT_BYTES // (dim * _NUMBER_BYTES + 100)))

    def usual(self, body: bytes) -> bytes | None:
        """The answer to a request for the vectors of a few words; None where it is another, or not valid."""
        found = self._kept.answer(body, CHEAP_LOOKUPS)
        return b"[%b]" % b",".join(map(self._vector, found)) if isinstance(found, list) else found

    def predict(self, instances: Sequence[Any], counts: Sequence[int | None]) -> list[Any]:
        """One answer to each instance: a word, or an object that asks a question about words or a sentence.

        Raises:
            InstanceError: an instance that is none of these.
        """
        if not any(counts) and _are_words(instances):
            if len(instances) <= CHEAP_LOOKUPS:
                return [encoded(self._vector(word)) for word in instances]
            found = self._vectors.lookup(instances)
            return [{"vector": vector, "word": word} for word, vector in zip(instances, found, strict=True)]
        return [
            self._answer(number, instance, count)
            for number, (instance, count) in enumerate(zip(instances, counts, strict=True))
        ]

    def _answer(self, number: int, instance: Any, count: int | None) -> Any:
        if isinstance(instance, str):
            if count is None:
                return encoded(self._vector(instance))
            return {"word": instance, "neighbors": self._vectors.neighbors(instance, count)}
        name, asked = _read_question(number, instance)
        if name == "analogy":
            return {"analogy": asked, "neighbors": self._vectors.analogies(asked, count or _ANALOGY_COUNT)}
        if name == "similarity":
            return {"similarity": self._vectors.similarity(*asked), "words": asked}
        return {"vector": self._vectors.sentence_vectors([asked])[0], "sentence": asked}

    def _vector(self, word: str) -> bytes:
        answer = self._kept.get(word)
        if answer is None:
            answer = encode({"vector": self._vectors.lookup([word])[0], "word": word})
            self._kept.keep(word, answer)
        return answer


def nearest(configuration: Mapping[str, Any]) -> int | None:
    """How many neighbours a configuration asks for; None when it asks for none.

    Raises:
        ClientError: an unknown entry, or a number that is none.
    """
    if not configuration:
        return None
    unknown = next((name for name in configuration if name != "nearest"), None)
    if unknown is not None:
        raise ClientError(f"{short(unknown)} is unknown; known is nearest.")
    count = configuration["nearest"]
    return None if count is None else at_least_one("nearest", count)


def question(record: dict[str, Any]) -> tuple[Any, Mapping[str, Any]]:
    """A line's instance and configuration: its "source", or the line itself where it asks something else.

    Raises:
        ClientError: it asks nothing.
    """
    asked = next((name for name in (*_KINDS, "sentence") if name in record), None)
    if asked is None or "source" in record:
        return source_of(record)
    return {asked: record.pop(asked)}, record


def cheap(instances: Sequence[Any], counts: Sequence[int | None]) -> bool:
    """Whether the answers are vectors, and few."""
    return len(instances) <= CHEAP_LOOKUPS and not any(counts) and _are_words(instances)


def _are_words(instances: Sequence[Any]) -> bool:
    return set(map(type, instances)) <= {str}  # decoded JSON: no subclasses


def _read_question(number: int, instance: Any) -> tuple[str, Any]:
    """The kind of a question and what it is about.

    Raises:
        InstanceError: it is no question.
    """
    if not isinstance(instance, dict) or len(instance) != 1:
        raise InstanceError(
            number,
            f"is {short(instance)}; every instance must be a string, a word, or an object with analogy, similarity or"
            " sentence.",
        )
    ((name, asked),) = instance.items()
    if name == "sentence" and isinstance(asked, str):
        return name, asked
    words = _KINDS.get(name)
    if words and isinstance(asked, list) and len(asked) == words and _are_words(asked):
        return name, asked
    expected = {"analogy": "a list of three words", "similarity": "a list of two words", "sentence": "a string"}
    if name not in expected:
        raise InstanceError(number, f"asks for {short(name)}; known are {', '.join(expected)}.")
    raise InstanceError(number, f"has {name}={short(asked)}; it must be {expected[name]}.")
