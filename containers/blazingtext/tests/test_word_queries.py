"""What is asked of word vectors: vectors, neighbours, analogies, similarities, sentences, equal to fastText's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import fasttext
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from blazingtext._engine import usable_instructions
from blazingtext.model import Model
from blazingtext.word_vectors import WordVectors
from contract.errors import ClientError

from .asking import wrong_answers
from .fasttext_models import WORDS, Draw, relative_error, save, trained_by

PROPERTY = {"deadline": None, "derandomize": True, "suppress_health_check": [HealthCheck.function_scoped_fixture]}
WORDS_ASKED = [*WORDS, "unseen", "wörld", "q", "</s>", "w1 w2"]


def train(draw: Draw, path: Path, **options: Any) -> Any:
    chosen = {"dim": 8, "epoch": 2, "minn": 0, "maxn": 0, **options}
    return save(trained_by(fasttext.train_unsupervised, draw.plain(path.with_suffix(".txt")), **chosen), path)


@settings(max_examples=30, **PROPERTY)
@given(
    seed=st.integers(0, 10_000),
    architecture=st.sampled_from(["cbow", "skipgram"]),
    loss=st.sampled_from(["ns", "hs", "softmax"]),
    dim=st.one_of(st.integers(1, 36), st.sampled_from([100, 300])),
    characters=st.sampled_from([(0, 0), (1, 2), (3, 6)]),
    instructions=st.sampled_from(usable_instructions()),
)
def test_vectors_and_sentences_are_those_of_fasttext(
    tmp_path: Path, seed: int, architecture: str, loss: str, dim: int, characters: tuple[int, int], instructions: str
) -> None:
    draw, path = Draw(seed), tmp_path / "vectors.bin"
    fast = train(draw, path, model=architecture, loss=loss, dim=dim, minn=characters[0], maxn=characters[1])
    vectors = WordVectors(Model(path, instructions))
    for word, vector in zip(WORDS_ASKED, vectors.lookup(WORDS_ASKED), strict=True):
        assert relative_error(vector, fast.get_word_vector(word)) < 1e-5, word
    texts = draw.texts()
    for text, vector in zip(texts, vectors.sentence_vectors(texts), strict=True):
        assert relative_error(vector, fast.get_sentence_vector(text)) < 1e-5, text


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("vectors") / "vectors.bin"
    train(Draw(1), path, minn=2, maxn=3)
    return path


def scores(found: list[tuple[float, str]]) -> dict[str, float]:
    return {word: pytest.approx(score, abs=1e-5) for score, word in found}


def answered(found: list[dict[str, Any]]) -> dict[str, float]:
    similarities = [item["similarity"] for item in found]
    assert similarities == sorted(similarities, reverse=True)
    return {item["word"]: item["similarity"] for item in found}


def test_neighbours_and_analogies_are_those_of_fasttext(path: Path) -> None:
    fast, vectors = fasttext.load_model(str(path)), WordVectors.read(path.parent)
    others = len(fast.get_words())  # more than there are, so that no tie at the end decides
    for word in ("w1", "naïve", "unseen"):
        assert answered(vectors.neighbors(word, others)) == scores(fast.get_nearest_neighbors(word, others))
    for words in (["w1", "w2", "w3"], ["w1", "unseen", "世界"], ["w1", "w1", "w4"]):
        expected = scores(fast.get_analogies(*words, k=others))
        found = answered(vectors.analogies(words, others))
        assert found == expected
        assert not {*words} & {*found}
    assert len(vectors.analogies(["w1", "w2", "w3"], 2)) == 2


def test_an_analogy_has_three_words(path: Path) -> None:
    with pytest.raises(ValueError, match="three words, not of 2"):
        WordVectors.read(path.parent).analogies(["w1", "w2"], 1)


def test_similarity_is_the_cosine_and_none_for_what_is_unknown(path: Path, tmp_path: Path) -> None:
    vectors = WordVectors.read(path.parent)
    a, b = vectors.lookup(["w1", "w2"])
    cosine = a @ b / np.linalg.norm(a) / np.linalg.norm(b)
    assert vectors.similarity("w1", "w2") == pytest.approx(float(cosine), abs=1e-6)
    assert vectors.similarity("w1", "w1") == pytest.approx(1, abs=1e-6)
    train(Draw(2), tmp_path / "vectors.bin")
    plain = WordVectors.read(tmp_path)
    assert plain.similarity("w1", "unseen") is None
    assert plain.neighbors("unseen", 3) == []
    assert plain.analogies(["unseen", "also", "never"], 3) == []
    assert not plain.lookup(["unseen"]).any()


def test_word_vectors_are_not_read_from_a_classifier(tmp_path: Path) -> None:
    model = trained_by(fasttext.train_supervised, Draw(1).labelled(tmp_path / "corpus", 3), dim=4)
    model.save_model(str(tmp_path / "vectors.bin"))
    with pytest.raises(ClientError, match="at offset 36, this is a supervised model, a text classifier; it must be"):
        WordVectors.read(tmp_path)


def test_many_threads_ask_at_once(path: Path) -> None:
    vectors = WordVectors.read(path.parent)
    expected, nearest = vectors.lookup(WORDS_ASKED), vectors.neighbors("w1", 5)

    def is_right() -> bool:
        return bool((vectors.lookup(WORDS_ASKED) == expected).all()) and vectors.neighbors("w1", 5) == nearest

    assert wrong_answers(is_right) == 0
