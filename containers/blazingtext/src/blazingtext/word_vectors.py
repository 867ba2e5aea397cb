"""The vectors of a model's words, by word: lookup, nearest neighbours, analogies, sentences."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from blazingtext._engine import FormatError, subword_buckets
from blazingtext.model import Model, model_file
from contract import fasttext_format
from contract.cores import available_cpus
from contract.errors import ClientError

MODEL_FILES = ("vectors.bin", "vectors.ftz")


class WordVectors:
    """A model's vectors by word; many threads may ask at once."""

    def __init__(self, model: Model) -> None:
        self._model = model

    @classmethod
    def read(cls, folder: Path) -> WordVectors:
        """Map the model in a folder: vectors.bin, or vectors.ftz where there is none.

        Raises:
            ClientError: there is neither, or it is no model of word vectors, or damaged.
        """
        try:
            return cls(Model.of_word_vectors(model_file(folder, MODEL_FILES)))
        except FormatError as error:
            raise ClientError(str(error)) from None

    def lookup(self, words: Sequence[str]) -> NDArray[np.float32]:
        """The vectors of words, shape (len(words), dim); zeros for a word of which nothing is known.

        With subwords a vector is the mean over the word's own row, if the word is known, and those of its n-grams.
        """
        return self._model.vectors(list(words))

    def neighbors(self, word: str, count: int) -> list[dict[str, Any]]:
        """The `count` words whose vectors have the greatest cosine with that of `word`, which is not among them."""
        return self._nearest(self.lookup([word])[0], count, [word])

    def analogies(self, words: Sequence[str], count: int) -> list[dict[str, Any]]:
        """The words nearest to a - b + c, as king - man + woman is near queen; none of the three is among them.

        The three count alike: their vectors are made one long first, as fastText does.

        Args:
            words: a, b and c.
        Raises:
            ValueError: not three words.
        """
        if len(words) != 3:
            raise ValueError(f"an analogy is made of three words, not of {len(words)}.")
        a, b, c = (_unit(vector) for vector in self.lookup(words))
        return self._nearest(a - b + c, count, words)

    def similarity(self, word: str, other: str) -> float | None:
        """The cosine of two words' vectors; None when nothing is known of one of them."""
        first, second = (_unit(vector) for vector in self.lookup([word, other]))
        return float(first @ second) if first.any() and second.any() else None

    def sentence_vectors(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """The mean of each text's words' vectors, each made one long, shape (len(texts), dim); zeros without any."""
        return self._model.sentence_vectors(list(texts))

    def _nearest(self, vector: NDArray[np.float32], count: int, but: Sequence[str]) -> list[dict[str, Any]]:
        unit = _unit(vector)
        if not unit.any():
            return []
        similarities: NDArray[np.float32] = self._unit_vectors @ unit
        excluded = {row for row in map(self._model.find, but) if row >= 0}
        similarities[np.array(sorted(excluded), dtype=np.int64)] = -np.inf
        count = min(count, len(similarities) - len(excluded))
        if count <= 0:
            return []
        best = np.argpartition(-similarities, count - 1)[:count]
        best = best[np.lexsort((best, -similarities[best]))]
        return [{"word": self._model.word(row), "similarity": float(similarities[row])} for row in best.tolist()]

    @cached_property
    def _unit_vectors(self) -> NDArray[np.float32]:
        """Every word's vector at length 1, shape (V, dim); made when neighbours are first asked for."""
        return self._model.unit_vectors(available_cpus())


def used_buckets(words: Sequence[str], settings: fasttext_format.Settings) -> NDArray[np.int64]:
    """The hash buckets of all n-grams of some words, ascending; none for a model without subwords."""
    if not settings.max_char:
        return np.empty(0, dtype=np.int64)
    shape = (settings.min_char, settings.max_char, settings.buckets)
    return np.array(sorted({bucket for word in words for bucket in subword_buckets(word, *shape)}), dtype=np.int64)


def _unit(vector: NDArray[np.float32]) -> NDArray[np.float32]:
    length = float(np.linalg.norm(vector))
    return vector / np.float32(length) if length else vector
