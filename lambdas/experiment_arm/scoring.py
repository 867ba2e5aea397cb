"""How wrong a model is on test records: asked through its endpoint, or read from a batch transform's output.

A test object is CSV without a header, the label first. An answer is {"score": ...} of a regressor, whose error is the
squared difference to the label, or has a "predicted_label", whose error is 1 where it is another than the label.
"""

from __future__ import annotations

import json
import math
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

LARGEST_BODY = 5 * 2**20  # bytes; what InvokeEndpoint has always taken

Ask = Callable[[bytes], bytes]


class ScoringError(RuntimeError):
    """Test data or answers that cannot be scored. The message is one sentence."""


class Scores:
    """The errors of some records, in their order, as float32; their mean is the MSE, or the share of wrong labels."""

    def __init__(self) -> None:
        self.errors = array("f")
        self.classifies = False

    def add(self, label: str, answer: Any, where: str) -> None:
        """Add a record's error.

        Raises:
            ScoringError: the label is no number, or the answer none that can be scored.
        """
        try:
            wanted = float(label)
            if "predicted_label" in answer:
                self.classifies = True
                self.errors.append(float(float(answer["predicted_label"]) != wanted))
            else:
                self.errors.append((float(answer["score"]) - wanted) ** 2)
        except (TypeError, KeyError, ValueError):
            raise ScoringError(
                f"{where}: label {label[:50]!r} and answer {str(answer)[:100]!r} cannot be compared."
            ) from None

    def summary(self) -> dict[str, Any]:
        """Mean, its interval of 95 %, and the number of records."""
        if not self.errors:
            raise ScoringError("the test data hold no record.")
        mean = math.fsum(self.errors) / len(self.errors)
        variance = math.fsum((error - mean) ** 2 for error in self.errors) / max(1, len(self.errors) - 1)
        return {
            "measure": "error rate" if self.classifies else "MSE",
            "mean": mean,
            "half_width": 1.96 * math.sqrt(variance / len(self.errors)),
            "records": len(self.errors),
        }


def by_endpoint(objects: Iterable[tuple[str, Iterable[bytes]]], ask: Ask, largest: int = LARGEST_BODY) -> Scores:
    """Scores of the answers that an endpoint gives to bodies of at most `largest` bytes.

    Args:
        objects: names and lines.
        ask: from a body of CSV to the answer, {"predictions": [...]}.
    """
    scores = Scores()
    for where, labels, body in _bodies(objects, largest):
        answers = json.loads(ask(body)).get("predictions")
        if not isinstance(answers, list) or len(answers) != len(labels):
            raise ScoringError(f"{where}: the endpoint did not give {len(labels)} predictions for as many records.")
        for label, answer in zip(labels, answers, strict=True):
            scores.add(label, answer, where)
    return scores


def by_transform(objects: Iterable[tuple[str, Iterable[bytes], Iterable[bytes]]]) -> Scores:
    """Scores of what a batch transform wrote.

    Args:
        objects: names, lines of the test object, and lines of the transform's output, JSON.
    """
    scores = Scores()
    for where, lines, outputs in objects:
        answers = (json.loads(line) for line in outputs if line.strip())
        for label, _ in _records(lines):
            answer = next(answers, None)
            if answer is None:
                raise ScoringError(f"{where}: the transform's output has fewer answers than there are records.")
            scores.add(label, answer, where)
        if next(answers, None) is not None:
            raise ScoringError(f"{where}: the transform's output has more answers than there are records.")
    return scores


def _bodies(objects: Iterable[tuple[str, Iterable[bytes]]], largest: int) -> Iterator[tuple[str, Sequence[str], bytes]]:
    """An object's name, some labels and their vectors."""
    for where, lines in objects:
        labels: list[str] = []
        vectors: list[bytes] = []
        size = 0
        for label, vector in _records(lines):
            if vectors and size + len(vector) + 1 > largest:
                yield where, labels, b"".join(vectors)
                labels, vectors, size = [], [], 0
            labels.append(label)
            vectors.append(vector + b"\n")
            size += len(vector) + 1
        if vectors:
            yield where, labels, b"".join(vectors)


def _records(lines: Iterable[bytes]) -> Iterator[tuple[str, bytes]]:
    """The label and the rest of each line that is not blank."""
    for line in lines:
        if stripped := line.strip():
            label, _, vector = stripped.partition(b",")
            yield label.decode("utf-8", "replace"), vector


def place(output: Mapping[str, str], arm: int, kind: str) -> str:
    """The key of an arm's errors, beside the experiment's result."""
    return f"{output['prefix']}/{arm}/{kind}.errors"
