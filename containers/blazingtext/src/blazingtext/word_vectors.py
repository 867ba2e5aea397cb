"""The vectors of a model's words, by word: lookup, and nearest neighbours."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from blazingtext import fasttext_format
from contract.errors import ClientError

MODEL_FILES = ("vectors.bin", "vectors.ftz")
_NORM_BLOCK_ROWS = 65536


class WordVectors:
    """A model's vectors by word.

    Args:
        model: a mapped fastText .bin or .ftz.
        subword_buckets: from (word, min_char, max_char, buckets) to the buckets of the word's character n-grams.
    """

    def __init__(
        self, model: fasttext_format.Model, subword_buckets: Callable[[str, int, int, int], list[int]] | None
    ) -> None:
        self._model = model
        self._subword_buckets = subword_buckets
        self._rows = {word: row for row, word in enumerate(model.words)}

    @classmethod
    def read(cls, folder: Path) -> WordVectors:
        """Map the model in a folder: vectors.bin, or vectors.ftz where there is none.

        Raises:
            ClientError: there is neither, or it is no model that can be served.
        """
        path = next((folder / name for name in MODEL_FILES if (folder / name).exists()), None)
        if path is None:
            raise ClientError(
                f"the model holds neither {' nor '.join(MODEL_FILES)}; one must be at the root of model.tar.gz."
            )
        try:
            model = fasttext_format.read(path)
        except fasttext_format.FormatError as error:
            raise ClientError(str(error)) from None
        return cls.of(model)

    @classmethod
    def of(cls, model: fasttext_format.Model) -> WordVectors:
        """The vectors of a mapped model."""
        if not model.settings.max_char:
            return cls(model, None)
        from blazingtext._engine import subword_buckets

        return cls(model, subword_buckets)

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
        settings = self._model.settings
        rows = [self._rows[word]] if word in self._rows else []
        if self._subword_buckets:
            buckets = self._subword_buckets(word, settings.min_char, settings.max_char, settings.buckets)
            rows += self._model.bucket_rows(buckets)
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


def used_buckets(words: Sequence[str], settings: fasttext_format.Settings) -> NDArray[np.int64]:
    """The hash buckets of all n-grams of some words, ascending; none for a model without subwords."""
    if not settings.max_char:
        return np.empty(0, dtype=np.int64)
    from blazingtext._engine import subword_buckets

    shape = (settings.min_char, settings.max_char, settings.buckets)
    return np.array(sorted({bucket for word in words for bucket in subword_buckets(word, *shape)}), dtype=np.int64)
