"""Classifiers of the fastText package, asked by us and by it."""

from __future__ import annotations

import itertools
import json
import random
import struct
from pathlib import Path
from typing import Any

import fasttext
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from blazingtext._engine import Classifier, usable_instructions
from blazingtext.model import Model
from blazingtext.text_classifier import TextClassifier
from contract.errors import ClientError

from .asking import wrong_answers
from .fasttext_models import Draw, assert_alike, predictions, relative_error, save, trained_by

PROPERTY = {"deadline": None, "derandomize": True, "suppress_health_check": [HealthCheck.function_scoped_fixture]}
DIMS = st.one_of(st.integers(1, 36), st.sampled_from([64, 100, 300]))


def train(draw: Draw, path: Path, labels: int = 7, lines: int = 300, **options: Any) -> Any:
    corpus = draw.labelled(path.with_suffix(".txt"), labels, lines)
    return trained_by(fasttext.train_supervised, corpus, **{"dim": 10, "epoch": 3, "lr": 0.3, **options})


def assert_equal_to_fasttext(fast: Any, model: Model, draw: Draw) -> None:
    texts, sigmoid = draw.texts(), model.settings.loss in ("ova", "ns")
    classifier = TextClassifier(model)
    for k, threshold in itertools.product((1, 3, 1000), (0.0, 0.15)):
        expected = [predictions(fast, text, k, threshold) for text in texts]
        assert_alike(classifier.predict(texts, k, threshold), expected, sigmoid=sigmoid)
    vectors = classifier.sentence_vectors(texts)
    for text, vector in zip(texts, vectors, strict=True):
        assert relative_error(vector, fast.get_sentence_vector(text)) < 1e-5


@settings(max_examples=40, **PROPERTY)
@given(
    seed=st.integers(0, 10_000),
    loss=st.sampled_from(["softmax", "ova", "hs", "ns"]),
    dim=DIMS,
    labels=st.integers(1, 9),
    word_ngrams=st.integers(1, 4),
    characters=st.sampled_from([(0, 0), (0, 0), (1, 3), (3, 6)]),
    instructions=st.sampled_from(usable_instructions()),
)
def test_labels_and_probabilities_are_those_of_fasttext(
    tmp_path: Path, seed: int, loss: str, dim: int, labels: int, word_ngrams: int, characters: tuple[int, int],
    instructions: str,
) -> None:  # fmt: skip
    draw, path = Draw(seed), tmp_path / "model.bin"
    assume(labels > 1 or loss != "ns")  # fastText would look for another label to the end of time
    options = {"loss": loss, "dim": dim, "wordNgrams": word_ngrams, "minn": characters[0], "maxn": characters[1]}
    fast = save(train(draw, path, labels, **options), path)
    assert_equal_to_fasttext(fast, Model(path, instructions), draw)


@settings(max_examples=15, **PROPERTY)
@given(
    seed=st.integers(0, 10_000),
    loss=st.sampled_from(["softmax", "ova", "hs"]),
    dim=st.integers(1, 20),
    word_ngrams=st.integers(1, 3),
    max_char=st.sampled_from([0, 4]),
    dsub=st.integers(1, 5),
    qnorm=st.booleans(),
    qout=st.booleans(),
    cutoff=st.sampled_from([0, 260, 330]),
    retrain=st.booleans(),
)
def test_quantised_and_pruned_models_answer_as_in_fasttext(
    tmp_path: Path, seed: int, loss: str, dim: int, word_ngrams: int, max_char: int, dsub: int, qnorm: bool, qout: bool,
    cutoff: int, retrain: bool,
) -> None:  # fmt: skip
    draw, path = Draw(seed), tmp_path / "model.ftz"
    assume(word_ngrams > 1 or max_char)  # else there are too few rows to quantise
    # An output matrix of fewer than 256 rows cannot be quantised.
    options = {"loss": loss, "dim": dim, "wordNgrams": word_ngrams, "minn": 2, "maxn": max_char}
    model = train(draw, path, 300 if qout else 5, lines=3000 if qout else 300, **options)
    text = str(path.with_suffix(".txt"))
    model.quantize(
        input=text, qout=qout, cutoff=cutoff, retrain=retrain, dsub=dsub, qnorm=qnorm, epoch=1, lr=0.3, thread=19
    )
    assume(not qout or len(model.labels) >= 256)
    fast = save(model, path)
    assert_equal_to_fasttext(fast, Model(path), draw)
    path.unlink()


def test_classifiers_of_version_11_have_no_character_ngrams(tmp_path: Path) -> None:
    draw, path = Draw(4), tmp_path / "model.bin"
    train(draw, path, minn=2, maxn=4).save_model(str(path))
    content = path.read_bytes()
    path.write_bytes(content[:4] + struct.pack("<i", 11) + content[8:])
    model = Model(path)
    assert (model.version, model.settings.max_char) == (11, 0)
    assert_equal_to_fasttext(fasttext.load_model(str(path)), model, draw)


@pytest.mark.parametrize("counts", ["equal", "zero", "rising", "falling", "steep"])
@pytest.mark.parametrize("labels", [1, 2, 3, 40])
def test_trees_of_any_counts_are_those_of_fasttext(tmp_path: Path, counts: str, labels: int) -> None:
    """Also counts that training does not leave: ties, and chains as deep as there are labels."""
    draw, path = Draw(labels), tmp_path / "model.bin"
    train(draw, path, labels, loss="hs", minn=0, maxn=0).save_model(str(path))
    number = {
        "equal": lambda i: 7,
        "zero": lambda i: 0,
        "rising": lambda i: i,
        "falling": lambda i: 100 - i,
        "steep": lambda i: 2 ** (40 - i),
    }[counts]
    content = path.read_bytes()
    for place, label in enumerate(Model(path).labels):
        entry = label.encode() + b"\0"
        at = content.index(entry) + len(entry)
        content = content[:at] + struct.pack("<q", number(place)) + content[at + 8 :]
    path.write_bytes(content)
    assert_equal_to_fasttext(fasttext.load_model(str(path)), Model(path), draw)


def test_equally_likely_labels_come_in_fasttexts_order(tmp_path: Path) -> None:
    """Before the first step all rows of the output matrix are zero, and all labels alike."""
    draw, path = Draw(9), tmp_path / "model.bin"
    for labels in (2, 5, 40):
        for loss in ("softmax", "ova", "hs"):
            fast = save(train(draw, path, labels, loss=loss, lr=0.0), path)
            texts, classifier = draw.texts(), TextClassifier(Model(path))
            for k in range(1, labels + 2):
                assert_alike(classifier.predict(texts, k), [predictions(fast, text, k) for text in texts])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("classifier")
    train(Draw(1), folder / "model.bin", wordNgrams=2).save_model(str(folder / "model.bin"))
    return folder


def test_k_may_differ_from_text_to_text(folder: Path) -> None:
    classifier = TextClassifier.read(folder)
    answers = classifier.predict(["w1 w2", "w3", "w4 w5"], [1, 10**30, 2])
    assert [len(answer["label"]) for answer in answers] == [1, len(classifier.labels), 2]
    assert answers[1] == classifier.predict(["w3"], 100)[0]
    assert sorted(answers[1]["label"]) == sorted(classifier.labels)
    assert classifier.predict(["w3"], 10**30) == answers[1:2]
    assert classifier.predict([]) == []


def test_a_newline_is_a_separator_like_others(folder: Path) -> None:
    classifier = TextClassifier.read(folder)
    assert classifier.predict(["w1\nw2\n\n w3"]) == classifier.predict(["w1 w2 w3"])


@pytest.mark.parametrize("separators", [" ", " \t\n\r\v\f\0"])
def test_words_of_any_length_at_any_place_are_those_of_fasttext(tmp_path: Path, separators: str) -> None:
    """Words of 8 bytes and more, and those that begin or end where a block of 64 does, are taken in other ways."""
    draw, path = random.Random(1), tmp_path / "model.bin"
    words = ["".join(draw.choices("abcé", k=draw.randrange(1, 12))) for _ in range(300)] + ["x" * 70, "y" * 64]
    lines = [f"__label__{draw.randrange(5)} {' '.join(draw.choices(words, k=8))}\n" for _ in range(400)]
    path.with_suffix(".txt").write_text("".join(lines))
    fast = save(trained_by(fasttext.train_supervised, path.with_suffix(".txt"), dim=10, wordNgrams=2, lr=0.3), path)
    texts = ["".join(word + draw.choice(separators) * draw.randrange(1, 4) for word in draw.choices(words, k=20))
             for _ in range(200)]  # fmt: skip
    texts += [" " * before + "abc" for before in range(130)] + ["a" * length for length in range(130)]
    texts += [" " * before + "abc </s> x" for before in range(57, 66)] + ["__label__1 abc", "abc __label__9 a"]
    found = TextClassifier(Model(path)).predict(texts)
    assert_alike(found, [predictions(fast, " ".join(text.split("\n")), 1) for text in texts])


@settings(max_examples=300, **PROPERTY)
@given(
    texts=st.lists(
        st.text(max_size=80) | st.sampled_from(["w1 w2 w3", "", "w4 " * 30, "é w5", "__label__1 w1"]), max_size=5
    ),
    spaces=st.lists(st.sampled_from(["", " ", "\n\t\r"]), min_size=8, max_size=8),
    ascii_only=st.booleans(),
)
def test_the_usual_request_is_answered_as_any_other(
    folder: Path, texts: list[str], spaces: list[str], ascii_only: bool
) -> None:
    classifier = TextClassifier.read(folder)
    a, b, c, d, e, f, g, h = spaces
    items = f"{e},{f}".join(json.dumps(text, ensure_ascii=ascii_only) for text in texts)
    request = f'{a}{{{b}"instances"{c}:{d}[{items}{g}]{h}}}\n'.encode()
    answer = classifier.answer(request)
    assert (answer is None) == (b"\\" in request)
    if answer is not None:
        assert json.loads(answer) == classifier.predict(texts)


@pytest.mark.parametrize(
    "request_",
    [
        b"", b"{}", b"[]", b'{"instances": ["a"]', b'{"instances": ["a"]} x', b'{"instances": ["a",]}',
        b'{"instances": [1]}',
        b'{"instances": ["a" "b"]}', b'{"instances": ["a]}', b'{"instances": ["a\x01"]}', b'{"instances": ["\xff"]}',
        b'{"instances": ["\xed\xa0\x80"]}', b'{"instances": ["a"], "configuration": {"k": 2}}', b'{"Instances": ["a"]}',
        b'{"instances": [["a"]]}', b'{"instances": "a"}', b'\xef\xbb\xbf{"instances": ["a"]}',
        b'{"instances": ["a\\n"]}',
    ],
)  # fmt: skip
def test_any_other_request_is_left_to_the_general_way(folder: Path, request_: bytes) -> None:
    assert TextClassifier.read(folder).answer(request_) is None


@pytest.mark.parametrize("instructions", usable_instructions())
def test_words_are_known_by_all_their_bytes(tmp_path: Path, instructions: str) -> None:
    """Words that begin alike, up to where the dictionary's table holds their bytes and beyond."""
    letters = "aböcdéfgh世ijklmnopqrstuv"
    words = [letters[:length] + end for length in range(len(letters)) for end in ("x", "y", "é")]
    lines = [f"__label__{number} {word}" for number, word in enumerate(words)]
    (tmp_path / "model.txt").write_text("\n".join(lines * 20))
    trained = trained_by(fasttext.train_supervised, tmp_path / "model.txt", dim=16, lr=1.0, epoch=20, wordNgrams=2)
    fast = save(trained, tmp_path / "model.bin")
    classifier = TextClassifier(Model(tmp_path / "model.bin", instructions))
    texts = [*words, *(word + "z" for word in words), *(word[:-1] for word in words if word[:-1]), " ".join(words)]
    found = classifier.predict(texts, 3)
    assert_alike(found, [predictions(fast, text, 3) for text in texts])
    assert [answer["label"][0] for answer in found[: len(words)]] == [
        f"__label__{number}" for number in range(len(words))
    ]


def test_labels_are_answered_whatever_they_are_called(tmp_path: Path) -> None:
    names = ['__label__"', "__label__\\", "__label__é", "__label__\x01"]
    (tmp_path / "model.txt").write_text("".join(f"{name} w{number}\n" for number, name in enumerate(names)))
    fast = trained_by(fasttext.train_supervised, tmp_path / "model.txt", dim=4, lr=1.0, epoch=50)
    fast.save_model(str(tmp_path / "model.bin"))
    classifier, texts = TextClassifier.read(tmp_path), [f"w{number}" for number in range(4)]
    answer = classifier.answer(json.dumps({"instances": texts}).encode())
    assert answer is not None
    assert json.loads(answer) == classifier.predict(texts)
    assert [label for found in json.loads(answer) for label in found["label"]] == names


def test_a_matrix_in_memory_gives_the_same(folder: Path) -> None:
    mapped, held = Model(folder / "model.bin"), Model(folder / "model.bin")
    texts = Draw(4).texts()
    held.hold_input()
    held.hold_input()
    assert TextClassifier(held).predict(texts, 3) == TextClassifier(mapped).predict(texts, 3)
    assert (held.input.numbers == mapped.input.numbers).all()


def test_a_text_without_features_has_no_labels(tmp_path: Path) -> None:
    (tmp_path / "model.txt").write_text("__label__a apple\n__label__b banana")
    fast = trained_by(fasttext.train_supervised, tmp_path / "model.txt", dim=4)
    fast.save_model(str(tmp_path / "model.bin"))
    content = (tmp_path / "model.bin").read_bytes()
    (tmp_path / "model.bin").write_bytes(content.replace(b"</s>\0", b"<xx>\0"))  # no row for the end
    assert TextClassifier.read(tmp_path).predict(["", "unheard of", "__label__a"]) == [{"label": [], "prob": []}] * 3


@pytest.mark.parametrize("k", [0, -1, [1, 0]])
def test_a_k_below_1_is_refused(folder: Path, k: Any) -> None:
    with pytest.raises(ClientError, match="k must be at least 1"):
        TextClassifier.read(folder).predict(["w1", "w2"], k)


def test_what_is_no_text_is_refused(folder: Path) -> None:
    with pytest.raises(ClientError, match="half of a surrogate pair"):
        TextClassifier.read(folder).predict(["w1", "\ud800"])
    with pytest.raises(ClientError, match="one for each text"):
        TextClassifier.read(folder).predict(["w1"], [1, 2])


def test_a_folder_without_a_classifier_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ClientError, match=r"holds none of model\.bin, model\.ftz; one must be at the root"):
        TextClassifier.read(tmp_path)
    (tmp_path / "model.bin").write_bytes(b"PK")
    with pytest.raises(ClientError, match="is cut short at offset 2"):
        TextClassifier.read(tmp_path)
    model = trained_by(fasttext.train_unsupervised, Draw(1).plain(tmp_path / "corpus.txt"), dim=4)
    model.save_model(str(tmp_path / "model.bin"))
    with pytest.raises(ClientError, match=r"holds word vectors, not a classifier; name it vectors\.bin\."):
        TextClassifier.read(tmp_path)
    with pytest.raises(ValueError, match="is no text classifier"):
        Classifier(Model(tmp_path / "model.bin"))


def test_many_threads_ask_at_once(folder: Path) -> None:
    classifier, texts = TextClassifier.read(folder), Draw(3).texts()
    expected = classifier.predict(texts, 3)
    assert wrong_answers(lambda: classifier.predict(texts, 3) == expected) == 0
