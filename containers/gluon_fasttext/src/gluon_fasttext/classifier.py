"""A trained model: its files, and the labels that it gives texts, equal to those of the .bin that is made of it.

A model folder holds config.json (how texts become tokens and features), vocab.json (GluonNLP's form:
`gluonnlp.Vocab.from_json`), labels.json, and NumPy arrays: embedding.npy, float32, shape (words + used buckets, dim);
output.npy, float32, shape (labels, dim); buckets.npy, int32, the buckets that n-grams of the training texts fall into,
ascending; word_counts.npy and label_counts.npy, int64. Nothing in it is unpickled, and the matrices are mapped: all
processes that serve it share them.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contract.errors import ClientError
from contract.text_classification import LABEL_PREFIX
from gluon_fasttext.hashing import NO_ROW, Bags, Hashing, rows_of_buckets, word_hashes
from gluon_fasttext.texts import Tokeniser
from gluon_fasttext.vocabulary import Vocabulary

FORMAT = 1
_CONFIG, _VOCABULARY, _LABELS = "config.json", "vocab.json", "labels.json"
_TINY = 1e-5  # fastText's std_log(x) = log(x + 1e-5): its probabilities are that much too large
_ROWS_AT_A_TIME = 2**14  # gathered at once: a text may be as long as a request
_SCORES_AT_A_TIME = 2**22


@dataclass(frozen=True)
class Config:
    """What is not in the arrays: the features' hyperparameters, and for the record those of the training."""

    ngrams: int
    buckets: int
    normalize: bool
    max_length: int
    min_count: int
    epochs: int
    tokens: int


def write(
    folder: Path,
    config: Config,
    vocabulary: Vocabulary,
    hashing: Hashing,
    embedding: NDArray[np.float32],
    output: NDArray[np.float32],
) -> None:
    """Write a model's files."""
    words = list(vocabulary.words)
    gluon = {
        "idx_to_token": words,
        "token_to_idx": {word: row for row, word in enumerate(words)},
        "reserved_tokens": None,
        "unknown_token": None,
        "padding_token": None,
        "bos_token": None,
        "eos_token": None,
        "identifiers_to_tokens": {},
    }
    files = {
        _CONFIG: {"format": FORMAT, **asdict(config)},
        _VOCABULARY: gluon,
        _LABELS: list(vocabulary.labels),
    }
    for name, content in files.items():
        (folder / name).write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")
    rows = hashing.row_of_bucket
    used = np.empty(0, np.int64) if rows is None else np.flatnonzero(rows != NO_ROW)
    arrays: dict[str, NDArray[Any]] = {
        "embedding": embedding,
        "output": output,
        "buckets": used.astype(np.int32),
        "word_counts": vocabulary.counts,
        "label_counts": vocabulary.label_counts,
    }
    for name, array in arrays.items():
        np.save(folder / f"{name}.npy", array, allow_pickle=False)


class TextClassifier:
    """Gives texts labels; many threads may ask at once."""

    def __init__(
        self,
        config: Config,
        vocabulary: Vocabulary,
        used_buckets: NDArray[np.int32],
        embedding: NDArray[np.float32],
        output: NDArray[np.float32],
    ) -> None:
        self.config, self.vocabulary, self.used_buckets = config, vocabulary, used_buckets
        self.embedding, self.output = embedding, output
        self._tokeniser = Tokeniser(config.normalize, config.max_length)
        self._hashing = Hashing(1, config.buckets)
        if config.ngrams > 1:
            used = np.zeros(config.buckets, bool)
            used[used_buckets] = True
            rows = rows_of_buckets(used, len(vocabulary.words))
            self._hashing = Hashing(config.ngrams, config.buckets, rows)
        self._hashes = vocabulary.hashes

    @classmethod
    def read(cls, folder: Path) -> TextClassifier:
        """The model in a folder, its matrices mapped.

        Raises:
            ClientError: there is none, or it is damaged.
        """
        try:
            settings = dict(json.loads((folder / _CONFIG).read_text(encoding="utf-8")))
            if settings.pop("format", None) != FORMAT:
                raise ClientError(f"{_CONFIG} is not of format {FORMAT}, which this version reads.")
            config = _checked(settings)
            words = json.loads((folder / _VOCABULARY).read_text(encoding="utf-8"))["idx_to_token"]
            labels = json.loads((folder / _LABELS).read_text(encoding="utf-8"))
            arrays = {name: _array(folder, name, kind) for name, kind in _ARRAYS.items()}
        except FileNotFoundError as error:
            raise ClientError(
                f"the model has no {Path(error.filename).name}; it is not one of this algorithm."
            ) from None
        except (ValueError, KeyError, TypeError) as error:
            raise ClientError(f"the model is damaged: {error}") from error
        _check_shapes(config, words, labels, arrays)
        vocabulary = Vocabulary(words, arrays["word_counts"], labels, arrays["label_counts"], config.tokens)
        return cls(config, vocabulary, arrays["buckets"], arrays["embedding"], arrays["output"])

    def predict(self, texts: Sequence[str], k: int | Sequence[int] = 1) -> list[dict[str, list[Any]]]:
        """The best labels of each text, best first: {"label": [...], "prob": [...]}.

        Probabilities are fastText's, 1e-5 too large. A text of which the model knows nothing has no labels.

        Args:
            k: labels at most, one number for all texts or one for each; at least 1.
        Raises:
            ClientError: a text that is no Unicode.
        """
        try:
            tokens = [self._tokeniser.tokens(text.encode()) for text in texts]
        except UnicodeEncodeError:
            raise ClientError("a text holds half of a surrogate pair, which is no character.") from None
        counts = [k] * len(texts) if isinstance(k, int) else k
        answers: list[dict[str, list[Any]]] = []
        step = max(1, _SCORES_AT_A_TIME // len(self.vocabulary.labels))
        for start in range(0, len(tokens), step):
            bags = self._bags(tokens[start : start + step])
            scores = self._hidden(bags) @ self.output.T
            answers += self._answers(scores, bags.sizes, counts[start : start + step])
        return answers

    def _bags(self, texts: Sequence[Sequence[bytes]]) -> Bags:
        flat = [token for text in texts for token in text]
        rows = self.vocabulary.rows(flat)
        lengths = np.fromiter(map(len, texts), np.int64, len(texts))
        hashes = np.zeros(len(flat), np.int32)
        if self.config.ngrams > 1:
            known = rows != NO_ROW
            hashes[known] = self._hashes[rows[known]]
            unknown = np.flatnonzero(~known).tolist()
            hashes[unknown] = word_hashes([flat[place] for place in unknown])
        return self._hashing.bags(rows, hashes, lengths)

    def _hidden(self, bags: Bags) -> NDArray[np.float32]:
        """The mean over each text's features, shape (texts, dim)."""
        hidden = np.zeros((len(bags.sizes), self.embedding.shape[1]), np.float32)
        text = np.repeat(np.arange(len(hidden)), np.diff(bags.bounds))
        for start in range(0, len(text), _ROWS_AT_A_TIME):
            part = slice(start, start + _ROWS_AT_A_TIME)
            firsts = np.flatnonzero(np.diff(text[part], prepend=-1))
            hidden[text[part][firsts]] += np.add.reduceat(self.embedding[bags.rows[part]], firsts, axis=0)
        hidden /= np.maximum(bags.sizes, 1)[:, None].astype(np.float32)
        return hidden

    def _answers(
        self, scores: NDArray[np.float32], sizes: NDArray[np.int64], counts: Sequence[int]
    ) -> list[dict[str, list[Any]]]:
        powers = np.exp(scores - scores.max(axis=1, keepdims=True))
        probabilities = powers / powers.sum(axis=1, keepdims=True) + np.float32(_TINY)
        most = min(max(counts, default=1), len(self.vocabulary.labels))
        best = np.argsort(-probabilities, axis=1, kind="stable")[:, :most]
        found = np.take_along_axis(probabilities, best, axis=1)
        names = self.vocabulary.labels
        return [
            {
                "label": [names[label] for label in labels[:count]] if size else [],
                "prob": values[:count] if size else [],
            }
            for labels, values, size, count in zip(best.tolist(), found.tolist(), sizes.tolist(), counts, strict=True)
        ]


_ARRAYS: dict[str, type[np.generic]] = {
    "embedding": np.float32,
    "output": np.float32,
    "buckets": np.int32,
    "word_counts": np.int64,
    "label_counts": np.int64,
}


def _array(folder: Path, name: str, kind: type[np.generic]) -> NDArray[Any]:
    array: NDArray[Any] = np.load(folder / f"{name}.npy", mmap_mode="r", allow_pickle=False)
    if array.dtype != kind:
        raise ValueError(f"{name}.npy is of {array.dtype}, not {np.dtype(kind)}")
    return array


def _checked(settings: dict[str, Any]) -> Config:
    config = Config(**settings)
    for name, value in asdict(config).items():
        if name == "normalize":
            right = isinstance(value, bool)
        else:
            right = (
                isinstance(value, int) and not isinstance(value, bool) and value >= int(name in ("ngrams", "buckets"))
            )
        if not right:
            raise ValueError(f"{name} is {value!r}")
    return config


def _check_shapes(config: Config, words: Any, labels: Any, arrays: dict[str, NDArray[Any]]) -> None:
    for name, texts in (("words", words), ("labels", labels)):
        if not isinstance(texts, list) or not texts or not all(isinstance(text, str) for text in texts):
            raise ClientError(f"the model is damaged: its {name} are not a list of texts.")
    if not all(label.startswith(LABEL_PREFIX) for label in labels):
        raise ClientError(f"the model is damaged: a label does not begin with {LABEL_PREFIX}.")
    used, dim = arrays["buckets"], arrays["output"].shape[-1]
    wanted = {
        "buckets": (len(used),),
        "embedding": (len(words) + len(used), dim),
        "output": (len(labels), dim),
        "word_counts": (len(words),),
        "label_counts": (len(labels),),
    }
    for name, shape in wanted.items():
        if arrays[name].shape != shape:
            raise ClientError(f"the model is damaged: {name}.npy has shape {arrays[name].shape}, not {shape}.")
    if len(used) and (used.min() < 0 or used.max() >= config.buckets or (np.diff(used) <= 0).any()):
        raise ClientError(f"the model is damaged: buckets.npy is not ascending from 0 to {config.buckets - 1}.")
