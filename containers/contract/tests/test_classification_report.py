"""The scores of a classifier: fastText's own counts, and what they say by label."""

from __future__ import annotations

import csv
import json
import random
from pathlib import Path

import fasttext
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract.text_classification.report import OTHER, report, write_report

CAT, DOG, COW = "__label__cat", "__label__dog", "__label__cow"


def ranked(*labels: str) -> list[tuple[str, float]]:
    return [(label, 0.5 / (rank + 1)) for rank, label in enumerate(labels)]


def test_precision_and_recall_count_over_all_examples() -> None:
    made = report([{CAT}, {CAT, DOG}, {COW}], [ranked(CAT, DOG), ranked(COW, CAT), ranked(DOG)])
    assert made.examples == 3
    assert made.accuracy == pytest.approx(1 / 3)
    first, second, *_, fifth = made.at_k
    assert (first.k, first.precision, first.recall) == (1, pytest.approx(1 / 3), pytest.approx(1 / 4))
    assert (second.k, second.precision, second.recall) == (2, pytest.approx(2 / 5), pytest.approx(2 / 4))
    assert (fifth.k, fifth.precision, fifth.recall) == (5, second.precision, second.recall)


def test_labels_have_scores_at_their_best_prediction_the_most_frequent_first() -> None:
    made = report([{CAT}, {CAT, DOG}, {DOG}, {CAT}], [ranked(CAT), ranked(CAT), ranked(CAT), ranked(COW)])
    assert [(s.label, s.support) for s in made.labels] == [(CAT, 3), (DOG, 2), (COW, 0)]
    cat, dog, cow = made.labels
    assert (cat.precision, cat.recall) == (pytest.approx(2 / 3), pytest.approx(2 / 3))
    assert cat.f1 == pytest.approx(2 / 3)
    assert (dog.precision, dog.recall, dog.f1) == (0, 0, 0)
    assert (cow.precision, cow.recall, cow.f1) == (0, 0, 0)


def test_the_table_of_confusions_holds_examples_of_one_label() -> None:
    truth = [{CAT}, {CAT}, {CAT}, {DOG}, {CAT, DOG}, {DOG}]
    made = report(truth, [ranked(CAT), ranked(DOG), ranked(COW), ranked(DOG), ranked(CAT), []])
    assert made.confusion.labels == (CAT, DOG, COW)
    assert made.confusion.counts == ((1, 1, 1), (0, 1, 0), (0, 0, 0))


def test_rare_labels_share_a_row_and_a_column() -> None:
    truth = [{f"__label__{number}"} for number in range(60) for _ in range(60 - number)]
    made = report(truth, [ranked("__label__59")] * len(truth))
    assert made.confusion.labels == (*(f"__label__{number}" for number in range(50)), OTHER)
    assert made.confusion.counts[0][50] == 60
    assert made.confusion.counts[50][50] == sum(range(1, 11))
    assert sum(map(sum, made.confusion.counts)) == len(truth)


def test_examples_without_a_label_or_a_prediction_are_counted_as_fasttext_does() -> None:
    made = report([set(), {CAT}, {CAT}], [ranked(DOG), [], ranked(CAT)])
    assert made.examples == 2
    assert made.accuracy == 0.5
    assert (made.at_k[0].precision, made.at_k[0].recall) == (1, 0.5)
    with pytest.raises(ValueError, match="no example has a label"):
        report([set()], [ranked(CAT)])
    with pytest.raises(ValueError, match="zip"):
        report([{CAT}], [])


def test_the_report_is_written_where_the_service_packs_it(tmp_path: Path) -> None:
    made = write_report(tmp_path / "data", [{CAT}, {DOG}], [ranked(CAT), ranked(CAT, DOG)])
    written = json.loads((tmp_path / "data" / "evaluation" / "classification.json").read_text())
    assert written["accuracy"] == made.accuracy == 0.5
    assert [entry["k"] for entry in written["at_k"]] == [1, 2, 3, 4, 5]
    assert written["labels"][0] == {
        "label": CAT,
        "precision": 0.5,
        "recall": 1.0,
        "f1": pytest.approx(2 / 3),
        "support": 1,
    }
    with (tmp_path / "data" / "evaluation" / "confusion.csv").open() as file:
        assert list(csv.reader(file)) == [["true label", CAT, DOG], [CAT, "1", "0"], [DOG, "1", "0"]]


def test_fasttext_counts_the_same(tmp_path: Path) -> None:
    rng = random.Random(3)
    words = [f"word{number}" for number in range(30)]
    labels = [f"__label__{letter}" for letter in "abcdefg"]

    def example() -> tuple[set[str], str]:
        chosen = {rng.choice(labels) for _ in range(rng.choice([1, 1, 2, 3]))}
        near = [words[(4 * labels.index(label) + rng.randrange(6)) % 30] for label in chosen for _ in range(3)]
        return chosen, " ".join(near)

    def lines(examples: list[tuple[set[str], str]]) -> str:
        return "".join(f"{' '.join(sorted(chosen))} {text}\n" for chosen, text in examples)

    train, test = [example() for _ in range(400)], [example() for _ in range(200)]
    (tmp_path / "train").write_text(lines(train))
    (tmp_path / "test").write_text(lines(test))
    # One tenth of the matrix is initialised by each of the first ten threads.
    model = fasttext.train_supervised(str(tmp_path / "train"), dim=8, epoch=5, thread=12, verbose=0)
    predictions = [
        [(label, probability) for probability, label in model.f.predict(text + "\n", 5, 0.0, "strict")]
        for _, text in test
    ]
    made = report([chosen for chosen, _ in test], predictions)
    for at in made.at_k:
        examples, precision, recall = model.test(str(tmp_path / "test"), k=at.k)
        assert (made.examples, at.precision, at.recall) == (examples, pytest.approx(precision), pytest.approx(recall))
    by_label = model.test_label(str(tmp_path / "test"), k=1)
    assert {score.label for score in made.labels} == set(by_label)
    for score in made.labels:
        expected = by_label[score.label]
        assert score.recall == pytest.approx(expected["recall"])
        if score.precision:
            assert score.precision == pytest.approx(expected["precision"])
            assert score.f1 == pytest.approx(expected["f1score"])


LABELS = st.sampled_from([f"__label__{letter}" for letter in "abc"])


@given(st.lists(st.tuples(st.frozensets(LABELS, min_size=1), st.lists(LABELS, unique=True)), min_size=1))
def test_shares_are_shares_and_every_example_is_somewhere(examples: list[tuple[frozenset[str], list[str]]]) -> None:
    made = report([labels for labels, _ in examples], [ranked(*predicted) for _, predicted in examples])
    numbers = [made.accuracy, *(n for at in made.at_k for n in (at.precision, at.recall))]
    numbers += [n for score in made.labels for n in (score.precision, score.recall, score.f1)]
    assert all(0 <= number <= 1 for number in numbers)
    assert [at.recall for at in made.at_k] == sorted(at.recall for at in made.at_k)
    assert sum(score.support for score in made.labels) == sum(len(labels) for labels, _ in examples)
    tabled = sum(1 for labels, predicted in examples if len(labels) == 1 and predicted)
    assert sum(map(sum, made.confusion.counts)) == tabled
