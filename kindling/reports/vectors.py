"""The word vectors inside a run's model.tar.gz, read as they stream by."""

from __future__ import annotations

import tarfile
from dataclasses import dataclass
from itertools import islice
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from kindling.targets import Target

MEMBER = "vectors.txt"


@dataclass(frozen=True)
class Vectors:
    """The most frequent words, the most frequent first, and their vectors scaled to length 1.

    `matrix` has shape (words, dim), float32; the row of a word whose vector is zero stays zero.
    """

    words: tuple[str, ...]
    matrix: NDArray[np.float32]

    def nearest(self, word: str, k: int) -> list[tuple[str, float]]:
        """The k words of the greatest cosine with `word`, which is not among them, and their cosines.

        Raises:
            ValueError: the word is not in the vocabulary.
        """
        row = self.words.index(word)
        similarity = self.matrix @ self.matrix[row]
        similarity[row] = -np.inf
        count = min(k, len(self.words) - 1)
        best = np.argpartition(-similarity, count - 1)[:count] if count else np.array([], dtype=np.int64)
        return [(self.words[i], float(similarity[i])) for i in best[np.argsort(-similarity[best])]]


def of_model(target: Target, model_s3_uri: str, limit: int) -> Vectors | None:
    """The `limit` most frequent words of a model, or None when it has no vectors.txt. Nothing is unpacked to disk."""
    bucket, _, key = model_s3_uri.removeprefix("s3://").partition("/")
    body: Any = target.client("s3").get_object(Bucket=bucket, Key=key)["Body"]
    with body, tarfile.open(fileobj=body, mode="r|gz") as archive:
        for member in archive:
            if member.name.removeprefix("./") == MEMBER and (file := archive.extractfile(member)) is not None:
                return read(file, limit)
    return None


def read(file: IO[bytes], limit: int) -> Vectors:
    """The first `limit` words of a file in word2vec's text format: a line `V D`, then a word and D numbers a line."""
    _, dim = (int(number) for number in next(file).split())
    words: list[str] = []
    rows: list[NDArray[np.float32]] = []
    for line in islice(file, limit):
        word, *numbers = line.rstrip(b"\n").rsplit(b" ", dim)
        words.append(word.decode())
        rows.append(np.array(numbers, dtype=np.float32))
    matrix = np.array(rows, dtype=np.float32).reshape(len(rows), dim)
    lengths: NDArray[np.float32] = np.linalg.norm(matrix, axis=1, keepdims=True)
    lengths[lengths == 0] = 1
    return Vectors(tuple(words), matrix / lengths)
