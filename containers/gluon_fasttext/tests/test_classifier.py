"""A trained model: its files, its answers, and the fastText .bin that is made of it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import fasttext
import numpy as np
import pytest

from contract.errors import ClientError
from contract.testing import Jobs, run
from gluon_fasttext.classifier import TextClassifier
from gluon_fasttext.compatibility import load_gluonnlp

from .jobs import orders, topics

if TYPE_CHECKING:
    from contract.testing import Host

TEXTS = [
    *(text for _, text in topics(60, 7)),
    "goal goal team",
    "words that nobody knows goal",
    "nobody knows",
    "",
    "  tabs\tand\nlines \u00e9\u4e2d market  ",
    "goal " * 30_000,
    "a" * 40_000,
]


def exported(model: Path, target: Path) -> Path:
    process = run("gluon_fasttext", ["export", str(model), str(target)], {})
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 0, output
    return target


def test_a_folder_holds_arrays_and_json_that_numpy_and_gluonnlp_read(trained: Host) -> None:
    names = {path.name for path in trained.model.iterdir()}
    assert names == {
        *("config.json", "vocab.json", "labels.json"),
        *("embedding.npy", "output.npy", "buckets.npy", "word_counts.npy", "label_counts.npy"),
    }
    vocabulary = load_gluonnlp().Vocab.from_json((trained.model / "vocab.json").read_text())
    embedding = np.load(trained.model / "embedding.npy", allow_pickle=False)
    buckets = np.load(trained.model / "buckets.npy", allow_pickle=False)
    assert embedding.shape == (len(vocabulary) + len(buckets), 16)
    assert vocabulary["</s>"] == 0, "it is in every text"
    assert (
        json.loads((trained.model / "labels.json").read_text()) == TextClassifier.read(trained.model).vocabulary.labels
    )


@pytest.mark.parametrize("ngrams", [1, 3])
def test_fasttext_loads_an_exported_model_and_predicts_alike(jobs: Jobs, tmp_path: Path, ngrams: int) -> None:
    host = jobs.train({"ngrams": str(ngrams), "min_count": "3", "epochs": "2"})
    model = TextClassifier.read(host.model)
    binary = fasttext.load_model(str(exported(host.model, tmp_path / "model.bin")))
    assert binary.get_labels() == list(model.vocabulary.labels)
    answers = model.predict(TEXTS, 3)
    for text, answer in zip(TEXTS, answers, strict=True):
        labels, probabilities = binary.predict(text.replace("\n", " "), k=3)
        order = dict(zip(labels, probabilities, strict=True))
        tolerance = 2e-5 if len(text) < 1000 else 2e-4  # fastText adds up a long text's rows one by one
        assert answer["prob"] == pytest.approx([order[label] for label in answer["label"]], abs=tolerance), text[:50]
        assert set(answer["label"]) == set(labels)


def test_a_text_of_which_the_model_knows_nothing_has_no_labels(trained: Host) -> None:
    model = TextClassifier.read(trained.model)
    (answer,) = model.predict(["nobody"])
    assert answer["label"], "the end of the text is known"
    words = [word for word in model.vocabulary.words if word != "</s>"]
    without = type(model.vocabulary)(
        words, model.vocabulary.counts[1:], model.vocabulary.labels, model.vocabulary.label_counts, 1
    )
    config = type(model.config)(ngrams=1, buckets=1, normalize=False, max_length=0, min_count=1, epochs=1, tokens=1)
    smaller = TextClassifier(config, without, np.empty(0, np.int32), model.embedding[1 : len(words) + 1], model.output)
    assert smaller.predict(["nobody", "goal"], [2, 2])[0] == {"label": [], "prob": []}


def test_words_in_order_are_told_apart_by_ngrams_alone(jobs: Jobs) -> None:
    channels = {
        name: {"part.csv": "".join(f"{label},{text}\n" for label, text in orders(count, seed)).encode()}
        for name, count, seed in (("train", 2000, 1), ("validation", 400, 2))
    }
    alone, together = (jobs.train({"ngrams": ngrams, "epochs": "6"}, channels) for ngrams in ("1", "2"))
    accuracy = [float(host.output.rpartition("#validation_accuracy: ")[2].split()[0]) for host in (alone, together)]
    assert accuracy[0] < 0.65
    assert accuracy[1] > 0.97


def test_each_text_may_ask_for_its_own_number_of_labels(trained: Host) -> None:
    model = TextClassifier.read(trained.model)
    answers = model.predict(["goal", "price", "song"], [1, 3, 99])
    assert [len(answer["label"]) for answer in answers] == [1, 3, 3]
    assert [answer["label"][0] for answer in answers] == ["__label__sport", "__label__trade", "__label__art"]
    assert answers[1]["prob"] == sorted(answers[1]["prob"], reverse=True)
    with pytest.raises(ClientError, match="half of a surrogate pair"):
        model.predict(["\ud800"])


def damaged_json(name: str, change: Callable[[dict[str, object]], object]) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        content = json.loads((folder / name).read_text())
        (folder / name).write_text(json.dumps(change(content)))

    return damage


def damaged_array(name: str, change: Callable[[np.ndarray], np.ndarray]) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        array = np.load(folder / name)
        np.save(folder / name, change(array))

    return damage


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda folder: (folder / "config.json").unlink(), r"the model has no config\.json"),
        (lambda folder: (folder / "output.npy").unlink(), r"the model has no output\.npy"),
        (lambda folder: (folder / "config.json").write_text("{"), "the model is damaged: "),
        (lambda folder: (folder / "embedding.npy").write_bytes(b"\x93NUMPY"), "the model is damaged: "),
        (damaged_json("config.json", lambda content: {**content, "format": 9}), "not of format 1"),
        (damaged_json("config.json", lambda content: {**content, "ngrams": 0}), "ngrams is 0"),
        (damaged_json("config.json", lambda content: {**content, "more": 0}), "the model is damaged: "),
        (damaged_json("labels.json", lambda content: ["sport", "trade", "art"]), "a label does not begin with"),
        (damaged_json("labels.json", lambda content: []), "its labels are not a list of texts"),
        (damaged_array("embedding.npy", lambda array: array[1:]), r"embedding\.npy has shape"),
        (damaged_array("output.npy", lambda array: array.astype(np.float64)), r"output\.npy is of float64"),
        (damaged_array("buckets.npy", lambda array: array[::-1].copy()), r"buckets\.npy is not ascending"),
        (damaged_array("buckets.npy", lambda array: array + 30_000), r"buckets\.npy is not ascending"),
    ],
)
def test_a_damaged_model_is_refused_in_one_sentence(
    trained: Host, tmp_path: Path, damage: Callable[[Path], None], reason: str
) -> None:
    folder = tmp_path / "model"
    shutil.copytree(trained.model, folder)
    damage(folder)
    with pytest.raises(ClientError, match=reason):
        TextClassifier.read(folder)


def test_an_array_of_pickles_is_not_unpickled(trained: Host, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(trained.model, folder)
    np.save(folder / "output.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(ClientError, match="the model is damaged"):
        TextClassifier.read(folder)
