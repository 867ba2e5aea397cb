"""Word vectors over HTTP: lookup, and nearest neighbours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from blazingtext.word_vectors import WordVectors
from contract.errors import ClientError
from contract.paths import Paths
from contract.serving import JSON, JSON_LINES, Handler, instances_handler, lines_handler, run_server

CHEAP_LOOKUPS = 200  # words that are looked up in less time than a thread takes to start on them


def serve() -> int:
    """Serve the model folder's vectors until SIGTERM."""
    return run_server(lambda: handlers(WordVectors.read(Paths.from_environ().model)))


def handlers(vectors: WordVectors) -> dict[str, Handler]:
    """The request handlers by content type."""

    def cheap(words: Sequence[Any], configuration: Mapping[str, Any]) -> bool:
        return not configuration and len(words) <= CHEAP_LOOKUPS

    answer = partial(predict, vectors)
    return {JSON: instances_handler(answer, cheap), JSON_LINES: lines_handler(answer, cheap)}


def predict(vectors: WordVectors, words: Sequence[Any], configuration: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Each word's vector, or with the configuration {"nearest": k} its k nearest neighbours.

    Raises:
        ClientError: a word that is not a string, or a configuration that is not known.
    """
    for number, word in enumerate(words):
        if not isinstance(word, str):
            raise ClientError(f"instance {number} is {word!r:.100}; every instance must be a string, a word.")
    nearest = _nearest(configuration)
    if nearest is None:
        return [{"vector": vector, "word": word} for word, vector in zip(words, vectors.lookup(words), strict=True)]
    return [{"word": word, "neighbors": vectors.neighbors(word, nearest)} for word in words]


def _nearest(configuration: Mapping[str, Any]) -> int | None:
    """How many neighbours a configuration asks for; None when it asks for vectors.

    Raises:
        ClientError: an unknown entry, or a number that is none.
    """
    unknown = [name for name in configuration if name != "nearest"]
    if unknown:
        raise ClientError(f"configuration {unknown[0]!r} is unknown; known is nearest.")
    nearest = configuration.get("nearest")
    if nearest is None:
        return None
    if not isinstance(nearest, int) or isinstance(nearest, bool) or nearest < 1:
        raise ClientError(f"configuration nearest={nearest!r:.100} is not valid; it must be an integer from 1.")
    return nearest
