"""Answers for words that an endpoint keeps, as the engine does it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import fasttext
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from blazingtext import serve
from blazingtext._engine import KeptAnswers
from contract.serving import JSON

from .fasttext_models import WORDS, Draw, save, trained_by

WORD = st.text(max_size=20) | st.sampled_from(
    ["a", "b", "a\0", "", "wörld", "a word that is longer than its neighbours"]
)


def request(*words: str) -> bytes:
    return json.dumps({"instances": words}, ensure_ascii=False).encode()


@settings(deadline=None, derandomize=True)
@given(st.lists(st.tuples(WORD, st.binary(max_size=200)), max_size=60), st.integers(1, 20))
def test_what_is_kept_is_the_words_own_and_its_last(kept: list[tuple[str, bytes]], most: int) -> None:
    answers = KeptAnswers(most)
    last: dict[str, bytes] = {}
    for word, answer in kept:
        answers.keep(word, answer)
        last[word] = answer
        assert answers.get(word) == answer
    found = {word: answers.get(word) for word in last}
    assert all(answer is None or answer == last[word] for word, answer in found.items())
    assert sum(answer is not None for answer in found.values()) <= most + 3


def test_what_is_asked_for_again_stays() -> None:
    answers = KeptAnswers(4)
    for number in range(100):
        answers.keep(f"w{number}", b"1")
        assert answers.get("w0") == b"1"


def test_words_that_are_all_kept_are_answered() -> None:
    answers = KeptAnswers(100)
    for word in ("a", "wörld"):
        answers.keep(word, f'"{word}"'.encode())
    assert answers.answer(request("a", "wörld", "a"), 3) == '["a","wörld","a"]'.encode()
    assert answers.answer(request(), 3) == b"[]"
    assert answers.answer(request("a", "b"), 3) == ["a", "b"]
    assert answers.answer(request("a", "a", "a", "a"), 3) is None
    assert answers.answer(b'{"instances": ["a"], "configuration": {}}', 3) is None
    assert answers.answer(b'{"instances": ["\\u0061"]}', 3) is None


@pytest.mark.parametrize("dim", [4, 100])
def test_an_endpoint_answers_as_if_nothing_were_kept(tmp_path: Path, dim: int) -> None:
    options: dict[str, Any] = {"dim": dim, "epoch": 1, "minn": 2, "maxn": 3}
    save(
        trained_by(fasttext.train_unsupervised, Draw(1).plain(tmp_path / "text.txt"), **options),
        tmp_path / "vectors.bin",
    )
    handler = serve.load(tmp_path)[JSON]
    words = [*WORDS, "unseen", "wörld", "w1 w2", ""]
    expected = json.loads(handler.answer(json.dumps({"instances": words, "configuration": {}}).encode()))
    assert [found["word"] for found in expected] == words
    for body in (request(*words), request(*words), json.dumps({"instances": words}).encode()):
        assert json.loads(handler.at_once(body) or b"null") == expected
