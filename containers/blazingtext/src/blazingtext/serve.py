"""Word vectors over HTTP: lookup, and nearest neighbours."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from blazingtext import fasttext_format
from contract.errors import ClientError
from contract.paths import Paths
from contract.serving import JSON, JSON_LINES, Handler, instances_handler, lines_handler, run_server

MODEL_FILE = "vectors.bin"
CHEAP_LOOKUPS = 200  # words that are looked up in less time than a thread takes to start on them
_NORM_BLOCK_ROWS = 65536


def serve() -> int:
    """Serve the model folder's vectors.bin until SIGTERM."""
    return run_server(lambda: handlers(WordVectors.read(Paths.from_environ().model / MODEL_FILE)))


def handlers(vectors: WordVectors) -> dict[str, Handler]:
    """The request handlers by content type."""

    def cheap(words: Sequence[Any], configuration: Mapping[str, Any]) -> bool:
        return not configuration and len(words) <= CHEAP_LOOKUPS

    return {JSON: instances_handler(vectors.predict, cheap), JSON_LINES: lines_handler(vectors.predict, cheap)}


class WordVectors:
    """A model's vectors by word.

    Args:
        model: a mapped fastText .bin.
        subword_buckets: from (word, min_char, max_char, buckets) to the buckets of the word's character n-grams.
    """

    def __init__(
        self, model: fasttext_format.Model, subword_buckets: Callable[[str, int, int, int], list[int]] | None
    ) -> None:
        self._model = model
        self._subword_buckets = subword_buckets
        self._rows = {word: row for row, word in enumerate(model.words)}

    @classmethod
    def read(cls, path: Path) -> WordVectors:
        """Map a model.

        Raises:
            ClientError: there is no such file, or it is no model that can be served.
        """
        try:
            model = fasttext_format.read(path)
        except FileNotFoundError:
            raise ClientError(f"the model holds no {path.name}; it must be at the root of model.tar.gz.") from None
        except fasttext_format.FormatError as error:
            raise ClientError(str(error)) from None
        if not model.settings.max_char:
            return cls(model, None)
        from blazingtext._engine import subword_buckets

        return cls(model, subword_buckets)

    def predict(self, words: Sequence[Any], configuration: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Each word's vector, or with the configuration {"nearest": k} its k nearest neighbours.

        Raises:
            ClientError: a word that is not a string, or a configuration that is not known.
        """
        for number, word in enumerate(words):
            if not isinstance(word, str):
                raise ClientError(f"instance {number} is {word!r:.100}; every instance must be a string, a word.")
        nearest = _nearest(configuration)
        if nearest is None:
            return [{"vector": vector, "word": word} for word, vector in zip(words, self.lookup(words), strict=True)]
        return [{"word": word, "neighbors": self.neighbors(word, nearest)} for word in words]

    def lookup(self, words: Sequence[str]) -> NDArray[np.float32]:
        """The vectors of words, shape (len(words), dim); zeros for a word of which nothing is known."""
        if self._subword_buckets:
            composed = self._zeros(len(words))
            for place, word in enumerate(words):
                composed[place] = self._composed(word)
            return composed
        rows = np.array([self._rows.get(word, -1) for word in words], dtype=np.int64)
        found = self._zeros(len(words))
        found[rows >= 0] = self._model.input[rows[rows >= 0]]
        return found

    def neighbors(self, word: str, count: int) -> list[dict[str, Any]]:
        """The `count` words whose vectors have the greatest cosine with that of `word`, which is not among them."""
        vector = self.lookup([word])[0]
        length = float(np.linalg.norm(vector))
        if not length:
            return []
        similarities: NDArray[np.float32] = self._unit_vectors @ (vector / length)
        own = self._rows.get(word)
        if own is not None:
            similarities[own] = -np.inf
        count = min(count, len(similarities) - (own is not None))
        if count <= 0:
            return []
        best = np.argpartition(-similarities, count - 1)[:count]
        best = best[np.lexsort((best, -similarities[best]))]
        return [{"word": self._model.words[row], "similarity": float(similarities[row])} for row in best]

    def _composed(self, word: str) -> NDArray[np.float32]:
        """fastText's vector of a word: the mean over its own row, if it is known, and those of its n-grams."""
        settings, known = self._model.settings, len(self._model.words)
        rows = [self._rows[word]] if word in self._rows else []
        if self._subword_buckets:
            buckets = self._subword_buckets(word, settings.min_char, settings.max_char, settings.buckets)
            rows += [known + bucket for bucket in buckets]
        if not rows:
            return np.zeros(settings.dim, dtype=np.float32)
        composed: NDArray[np.float32] = np.mean(self._model.input[np.array(rows)], axis=0, dtype=np.float32)
        return composed

    @cached_property
    def _unit_vectors(self) -> NDArray[np.float32]:
        """Every word's vector at length 1, shape (V, dim); made when neighbours are first asked for."""
        words = self._model.words
        unit = np.empty((len(words), self._model.settings.dim), dtype=np.float32)
        for start in range(0, len(words), _NORM_BLOCK_ROWS):
            block = self.lookup(words[start : start + _NORM_BLOCK_ROWS])
            lengths = np.linalg.norm(block, axis=1, keepdims=True)
            np.divide(block, np.where(lengths > 0, lengths, 1), out=unit[start : start + len(block)])
        return unit

    def _zeros(self, count: int) -> NDArray[np.float32]:
        return np.zeros((count, self._model.settings.dim), dtype=np.float32)


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
