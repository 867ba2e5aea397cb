"""How well a classifier does on labelled examples: precision and recall at k, by label, and what it confuses.

The counts are fastText's (`fasttext test`): over all examples together, so precision at k is the share of right labels
among all that were predicted, and recall at k the share of all true labels that were found.
"""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

MOST_K = 5
CONFUSED_LABELS = 50  # that the table has rows of their own for
OTHER = "other"  # no label's name: those begin with __label__

Prediction = Sequence[tuple[str, float]]


@dataclass(frozen=True)
class AtK:
    """Precision and recall when the k best labels of each example count; 0 where there is nothing to divide by."""

    k: int
    precision: float
    recall: float


@dataclass(frozen=True)
class LabelScore:
    """One label when only the best prediction counts. `support` is the number of examples that bear it."""

    label: str
    precision: float
    recall: float
    f1: float
    support: int


@dataclass(frozen=True)
class Confusion:
    """Examples of one label by that label (rows) and by the best prediction (columns).

    `labels` are the most frequent ones, the most frequent first, then "other" where there are more. `counts` has shape
    (len(labels), len(labels)). Examples for which nothing was predicted are not in it.
    """

    labels: tuple[str, ...]
    counts: tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class Epoch:
    """What one pass over the training examples came to; losses are mean cross-entropies in nats.

    None where there is no validation channel.
    """

    epoch: int
    train_accuracy: float
    train_loss: float
    validation_accuracy: float | None = None
    validation_loss: float | None = None


@dataclass(frozen=True)
class ClassificationReport:
    """What `evaluation/classification.json` says of the examples of a channel.

    `accuracy` is the share of examples whose best label is one of theirs; `labels` are the most frequent first.
    `epochs` tell how the model came about, where the algorithm measures that.
    """

    channel: str
    examples: int
    accuracy: float
    at_k: tuple[AtK, ...]
    labels: tuple[LabelScore, ...]
    confusion: Confusion
    epochs: tuple[Epoch, ...] = ()


def report(
    truth: Sequence[Collection[str]],
    predictions: Sequence[Prediction],
    channel: str = "test",
    epochs: Sequence[Epoch] = (),
) -> ClassificationReport:
    """Compare predicted labels with true ones.

    Args:
        truth: of each example its labels. Examples without any are left out, as fastText does; labels that the model
            does not know count as not found, unless the caller leaves them out as fastText does.
        predictions: of each example up to 5 labels and their probabilities, the best first; may be empty.
        channel: where the examples are from.
        epochs: of the training.
    Raises:
        ValueError: the lengths differ, or no example has a label.
    """
    pairs = [
        (frozenset(labels), [label for label, _ in predicted[:MOST_K]])
        for labels, predicted in zip(truth, predictions, strict=True)
        if labels
    ]
    if not pairs:
        raise ValueError("no example has a label")
    support = Counter(label for labels, _ in pairs for label in labels)
    hits = sum(1 for labels, predicted in pairs if predicted and predicted[0] in labels)
    return ClassificationReport(
        channel=channel,
        examples=len(pairs),
        accuracy=hits / len(pairs),
        at_k=tuple(_at_k(pairs)),
        labels=tuple(_label_scores(pairs, support)),
        confusion=_confusion(pairs),
        epochs=tuple(epochs),
    )


def write_report(
    folder: Path,
    truth: Sequence[Collection[str]],
    predictions: Sequence[Prediction],
    channel: str = "test",
    epochs: Sequence[Epoch] = (),
) -> ClassificationReport:
    """Write `evaluation/classification.json` and `evaluation/confusion.csv` below a folder, the job's output data.

    The arguments and errors are those of `report`, whose result is returned.
    """
    made = report(truth, predictions, channel, epochs)
    place = folder / "evaluation"
    place.mkdir(parents=True, exist_ok=True)
    text = json.dumps(asdict(made), ensure_ascii=False, indent=1)
    (place / "classification.json").write_text(text + "\n", encoding="utf-8")
    with (place / "confusion.csv").open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(["true label", *made.confusion.labels])
        rows.writerows(
            [label, *counts] for label, counts in zip(made.confusion.labels, made.confusion.counts, strict=True)
        )
    return made


Pairs = Sequence[tuple[frozenset[str], list[str]]]


def _at_k(pairs: Pairs) -> Iterable[AtK]:
    # By rank, so that one pass does for every k.
    right, made = [0] * MOST_K, [0] * MOST_K
    for labels, predicted in pairs:
        for rank, label in enumerate(predicted):
            made[rank] += 1
            right[rank] += label in labels
    gold = sum(len(labels) for labels, _ in pairs)
    for k in range(1, MOST_K + 1):
        found = sum(right[:k])
        yield AtK(k, _ratio(found, sum(made[:k])), _ratio(found, gold))


def _label_scores(pairs: Pairs, support: Mapping[str, int]) -> Iterable[LabelScore]:
    predicted_as = Counter(predicted[0] for _, predicted in pairs if predicted)
    right = Counter(predicted[0] for labels, predicted in pairs if predicted and predicted[0] in labels)
    for label in sorted(support.keys() | predicted_as.keys(), key=lambda label: (-support[label], label)):
        precision, recall = _ratio(right[label], predicted_as[label]), _ratio(right[label], support[label])
        f1 = _ratio(2 * right[label], predicted_as[label] + support[label])
        yield LabelScore(label, precision, recall, f1, support[label])


def _confusion(pairs: Pairs) -> Confusion:
    single = [(next(iter(labels)), predicted[0]) for labels, predicted in pairs if len(labels) == 1 and predicted]
    seen = Counter(label for label, _ in single)
    known = sorted({label for pair in single for label in pair}, key=lambda label: (-seen[label], label))
    labels = known[:CONFUSED_LABELS] + ([OTHER] if len(known) > CONFUSED_LABELS else [])
    rows = {label: row for row, label in enumerate(labels)}
    counts = [[0] * len(labels) for _ in labels]
    for (true, predicted), count in Counter(single).items():
        counts[rows.get(true, len(labels) - 1)][rows.get(predicted, len(labels) - 1)] += count
    return Confusion(tuple(labels), tuple(tuple(row) for row in counts))


def _ratio(part: int, whole: int) -> float:
    return part / whole if whole else 0.0
