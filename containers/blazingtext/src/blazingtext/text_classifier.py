"""Labels of texts by a trained classifier, equal to those of the fastText package's `predict`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from blazingtext._engine import Classifier, FormatError
from blazingtext.model import Model, model_file
from contract.errors import ClientError

MODEL_FILES = ("model.bin", "model.ftz")


class TextClassifier:
    """A classifier; many threads may ask at once.

    Args:
        model: supervised.
    Raises:
        ClientError: the model holds word vectors.
    """

    def __init__(self, model: Model) -> None:
        if not model.supervised:
            raise ClientError(f"{model.path} holds word vectors, not a classifier; name it vectors{model.path.suffix}.")
        self._model = model
        self._classifier = Classifier(model)
        self.answer = self._classifier.answer
        """The answer to the usual request, the engine's own method: another call would count beside a short text's."""
        self.labels = model.labels
        """With their prefix, most frequent first."""

    @classmethod
    def read(cls, folder: Path) -> TextClassifier:
        """Map the model in a folder: model.bin, or model.ftz where there is none.

        Raises:
            ClientError: there is neither, or it is no classifier, or damaged.
        """
        try:
            return cls(Model(model_file(folder, MODEL_FILES)))
        except FormatError as error:
            raise ClientError(str(error)) from None

    def predict(
        self, texts: Sequence[str], k: int | Sequence[int] = 1, threshold: float = 0.0
    ) -> list[dict[str, list[Any]]]:
        """The best labels of each text, best first: {"label": [...], "prob": [...]}.

        Words are what stands between spaces, tabs, newlines and the like; `</s>` ends a text. Probabilities are
        fastText's, 1e-5 too large. A text of which the model knows nothing has no labels.

        Args:
            k: labels at most, one number for all texts or one for each; at least 1.
            threshold: of the probability.
        Raises:
            ClientError: a k below 1, or a text that is no Unicode.
            FloatingPointError: the model's weights give no numbers.
        """
        try:
            return self._classifier.predict(texts, k, threshold)
        except UnicodeEncodeError:
            raise ClientError("a text holds half of a surrogate pair, which is no character.") from None
        except ValueError as error:
            raise ClientError(str(error)) from None

    def sentence_vectors(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """What the classifier makes of each text before its output matrix, shape (len(texts), dim).

        It is the mean over the rows of the text's words and n-grams; zeros for a text of which the model knows nothing.
        """
        return self._model.sentence_vectors(list(texts))
