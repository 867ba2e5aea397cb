"""What a classifier and word vectors are asked, without a socket: the protocol of BlazingText to the letter."""

from __future__ import annotations

import json
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from blazingtext import serve, word_requests
from contract.errors import ClientError
from contract.serving import JSON, JSON_LINES, Handler
from contract.text_classification import requests as text_requests


class Classifier:
    """Knows three labels; what it is asked is kept."""

    def __init__(self) -> None:
        self.asked: list[Any] = []

    def answer(self, request: bytes) -> bytes | None:
        usual = request == b'{"instances": ["usual"]}'
        return b"a quick answer" if usual else None

    def predict(self, texts: Sequence[str], k: Sequence[int] | int = 1) -> list[dict[str, Any]]:
        self.asked.append((list(texts), k))
        counts = [k] * len(texts) if isinstance(k, int) else k
        labels, probabilities = ["__label__a", "__label__b", "__label__c"], [0.5, 0.25, 0.125]
        return [
            {"label": labels[:count], "prob": probabilities[:count]} for _, count in zip(texts, counts, strict=True)
        ]


class Vectors:
    """Knows how long words are."""

    def __init__(self) -> None:
        self.lookups = 0

    def lookup(self, words: Sequence[str]) -> NDArray[np.float32]:
        self.lookups += 1
        return np.array([[len(word), 0.1] for word in words], dtype=np.float32)

    def neighbors(self, word: str, count: int) -> list[dict[str, Any]]:
        return [{"word": f"{word}s", "similarity": 0.5}] * min(count, 3)

    def analogies(self, words: Sequence[str], count: int) -> list[dict[str, Any]]:
        a, b, c = words
        return [{"word": f"{a}-{b}+{c}", "similarity": 0.5}] * min(count, 20)

    def similarity(self, word: str, other: str) -> float:
        return 0.25 if word != other else 1.0

    def sentence_vectors(self, texts: Sequence[str]) -> NDArray[np.float32]:
        return np.array([[len(text.split()), 0.5] for text in texts], dtype=np.float32)


@pytest.fixture
def classifier() -> Classifier:
    return Classifier()


@pytest.fixture
def texts(classifier: Classifier) -> dict[str, Handler]:
    return text_requests.handlers(classifier, classifier.answer)


@pytest.fixture
def words() -> dict[str, Handler]:
    return word_requests.handlers(Vectors())


def ask(handler: Handler, body: object) -> bytes:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    answer = handler.answer(content)
    assert handler.at_once(content) in (None, answer)
    return answer


def test_texts_get_their_best_label(texts: dict[str, Handler]) -> None:
    answer = ask(texts[JSON], {"instances": ["a text .", ""]})
    assert answer == b'[{"label":["__label__a"],"prob":[0.5]},{"label":["__label__a"],"prob":[0.5]}]'


def test_the_classifier_itself_answers_the_usual_request(texts: dict[str, Handler], classifier: Classifier) -> None:
    assert ask(texts[JSON], {"instances": ["usual"]}) == b"a quick answer"
    assert classifier.asked == []


def test_k_is_of_the_request_or_of_the_line(texts: dict[str, Handler]) -> None:
    answer = ask(texts[JSON], {"instances": ["a"], "configuration": {"k": 2}})
    assert answer == b'[{"label":["__label__a","__label__b"],"prob":[0.5,0.25]}]'
    lines = b'{"source": "a", "k": 2}\n\n{"source": ""}\r\n{"k": 1000000000000, "source": "c"}'
    assert ask(texts[JSON_LINES], lines).splitlines() == [
        b'{"prob":[0.5,0.25],"label":["__label__a","__label__b"]}',
        b'{"prob":[0.5],"label":["__label__a"]}',
        b'{"prob":[0.5,0.25,0.125],"label":["__label__a","__label__b","__label__c"]}',
    ]


def test_lines_are_classified_in_one_call(texts: dict[str, Handler], classifier: Classifier) -> None:
    texts[JSON_LINES].answer(b'{"source": "a", "k": 2}\n{"source": "b"}\n')
    assert classifier.asked == [(["a", "b"], [2, 1])]


def test_nothing_asked_is_nothing_answered(texts: dict[str, Handler]) -> None:
    assert ask(texts[JSON], {"instances": []}) == b"[]"
    assert ask(texts[JSON_LINES], b"\n") == b""


def test_long_texts_are_not_answered_at_once(texts: dict[str, Handler]) -> None:
    long = json.dumps({"instances": ["a" * (text_requests.CHEAP_CHARACTERS + 1)]}).encode()
    assert texts[JSON].at_once(long) is None


@pytest.mark.parametrize("k", [0, -1, "2", 1.5, True, [1], {}])
def test_k_must_be_a_positive_integer(texts: dict[str, Handler], k: Any) -> None:
    with pytest.raises(ClientError, match=r"^configuration k=.* is not valid; it must be an integer from 1\.$"):
        ask(texts[JSON], {"instances": ["a"], "configuration": {"k": k}})
    line = json.dumps({"source": "a", "k": k}).encode()
    with pytest.raises(ClientError, match=r"^line 2: k=.* is not valid; it must be an integer from 1\.$"):
        ask(texts[JSON_LINES], b'{"source": "a"}\n' + line)


def test_what_is_no_text_is_named(texts: dict[str, Handler]) -> None:
    with pytest.raises(ClientError, match=r"^instance 1 is 5; every instance must be a string, a text\.$"):
        ask(texts[JSON], {"instances": ["a", 5]})
    with pytest.raises(ClientError, match=r"^line 3 is null; every instance must be a string, a text\.$"):
        ask(texts[JSON_LINES], b'{"source": "a"}\n\n{"source": null}')
    with pytest.raises(ClientError, match=r"^configuration 'nearest' is unknown; known is k\.$"):
        ask(texts[JSON], {"instances": ["a"], "configuration": {"nearest": 2}})


def test_words_and_questions_may_be_mixed(words: dict[str, Handler]) -> None:
    instances = ["tiger", {"analogy": ["king", "man", "woman"]}, {"similarity": ["a", "b"]}, {"sentence": "a b c"}]
    vector, analogy, similarity, sentence = json.loads(ask(words[JSON], {"instances": instances}))
    assert vector == {"vector": [5.0, 0.1], "word": "tiger"}
    assert analogy["analogy"] == ["king", "man", "woman"]
    assert analogy["neighbors"] == [{"word": "king-man+woman", "similarity": 0.5}] * 10
    assert similarity == {"similarity": 0.25, "words": ["a", "b"]}
    assert sentence == {"vector": [3.0, 0.5], "sentence": "a b c"}


def test_nearest_counts_neighbours_of_words_and_of_analogies(words: dict[str, Handler]) -> None:
    request = {"instances": ["cat", {"analogy": ["a", "b", "c"]}], "configuration": {"nearest": 2}}
    neighbors, analogy = json.loads(ask(words[JSON], request))
    assert neighbors == {"word": "cat", "neighbors": [{"word": "cats", "similarity": 0.5}] * 2}
    assert len(analogy["neighbors"]) == 2


def test_lines_ask_the_same_questions(words: dict[str, Handler]) -> None:
    body = b"""{"source": "tiger"}
    {"source": "cat", "nearest": 1}
    {"analogy": ["king", "man", "woman"], "nearest": 1}
    {"similarity": ["a", "a"]}
    {"sentence": "a b"}
    {"source": {"sentence": "a"}}"""
    assert [json.loads(line) for line in ask(words[JSON_LINES], body).splitlines()] == [
        {"vector": [5.0, 0.1], "word": "tiger"},
        {"word": "cat", "neighbors": [{"word": "cats", "similarity": 0.5}]},
        {"analogy": ["king", "man", "woman"], "neighbors": [{"word": "king-man+woman", "similarity": 0.5}]},
        {"similarity": 1.0, "words": ["a", "a"]},
        {"vector": [2.0, 0.5], "sentence": "a b"},
        {"vector": [1.0, 0.5], "sentence": "a"},
    ]


@pytest.mark.parametrize(
    ("instance", "sentence"),
    [
        ({"analogy": ["a", "b"]}, "instance 0 has analogy=a list; it must be a list of three words."),
        ({"similarity": ["a", 5]}, "instance 0 has similarity=a list; it must be a list of two words."),
        ({"sentence": ["a"]}, "instance 0 has sentence=a list; it must be a string."),
        ({"synonym": "a"}, "instance 0 asks for 'synonym'; known are analogy, similarity, sentence."),
        ({}, "instance 0 is an object; every instance must be a string, a word, or an object with analogy,"),
        (None, "instance 0 is null; every instance must be"),
    ],
)
def test_questions_that_nobody_knows_are_named(words: dict[str, Handler], instance: Any, sentence: str) -> None:
    with pytest.raises(ClientError) as refusal:
        ask(words[JSON], {"instances": [instance]})
    assert str(refusal.value).startswith(sentence)


def test_answers_to_frequent_words_are_kept() -> None:
    vectors = Vectors()
    handler = word_requests.handlers(vectors)[JSON]
    before = vectors.lookups
    for _ in range(5):
        assert handler.at_once(b'{"instances": ["cat", "cat"]}') == b'[{"vector":[3.0,0.1],"word":"cat"}]'.replace(
            b"}]", b'},{"vector":[3.0,0.1],"word":"cat"}]'
        )
    assert vectors.lookups == before + 1


def test_the_model_says_what_it_is(tmp_path: Path, trained: Any) -> None:
    with pytest.raises(
        ClientError, match=r"holds none of model\.bin, model\.ftz, vectors\.bin, vectors\.ftz; one must"
    ):
        serve.load(tmp_path)
    (tmp_path / "model.bin").write_bytes((trained.model / "vectors.bin").read_bytes())
    handler = serve.load(tmp_path)[JSON]
    (answer,) = json.loads(handler.answer(b'{"instances": ["tiger"]}'))
    assert len(answer["vector"]) == 12
    (tmp_path / "model.bin").write_bytes(struct.pack("<i", 5) * 30)
    with pytest.raises(ClientError, match="at offset 0, this is no fastText model"):
        serve.load(tmp_path)
