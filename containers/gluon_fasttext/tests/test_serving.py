"""A served classifier, asked over HTTP: the protocol of BlazingText's text classification."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from contract.testing import serving
from gluon_fasttext.classifier import TextClassifier

if TYPE_CHECKING:
    from contract.testing import Host

TEXTS = ["the goal of the team", "market price", ""]


@pytest.fixture(scope="module")
def client(trained: Host) -> Iterator[httpx.Client]:
    with serving("gluon_fasttext", trained.base) as address, httpx.Client(base_url=address, timeout=30) as client:
        yield client


def ask(client: httpx.Client, body: object, content_type: str = "application/json") -> httpx.Response:
    content = body if isinstance(body, bytes) else json.dumps(body)
    return client.post("/invocations", content=content, headers={"Content-Type": content_type})


def test_instances_are_answered_as_blazingtext_answers_them(client: httpx.Client, trained: Host) -> None:
    expected = TextClassifier.read(trained.model).predict(TEXTS, 2)
    answer = ask(client, {"instances": TEXTS, "configuration": {"k": 2}})
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "application/json"
    assert [found["label"] for found in answer.json()] == [found["label"] for found in expected]
    for found, wanted in zip(answer.json(), expected, strict=True):
        assert found["prob"] == pytest.approx(wanted["prob"])
    assert list(answer.json()[0]) == ["label", "prob"]


def test_lines_are_answered_in_lines(client: httpx.Client) -> None:
    body = b'{"source": "goal"}\n{"source": "song", "k": 2}\n'
    lines = ask(client, body, "application/jsonlines").text.splitlines()
    found: list[Any] = [json.loads(line) for line in lines]
    assert [answer["label"][0] for answer in found] == ["__label__sport", "__label__art"]
    assert [len(answer["prob"]) for answer in found] == [1, 2]
    assert list(found[0]) == ["prob", "label"]


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ({"instances": [1]}, "every instance must be a string, a text."),
        ({"instances": ["a"], "configuration": {"beam": 2}}, "known is k."),
        ({"instances": ["a"], "configuration": {"k": 0}}, "k=0 is not valid; it must be an integer from 1."),
        (b"{", "JSON"),
    ],
)
def test_what_cannot_be_answered_is_refused_in_one_sentence(client: httpx.Client, body: object, reason: str) -> None:
    answer = ask(client, body)
    assert answer.status_code == 400
    assert reason in answer.text
