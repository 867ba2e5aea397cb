"""A served translator, asked over HTTP."""

from __future__ import annotations

import html
import json
import re
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from contract.errors import ClientError
from contract.testing import free_port, serving
from translator.serve import load

from .jobs import sentences, translator

if TYPE_CHECKING:
    from contract.testing import Host

JSON_LINES = "application/jsonlines"


@contextmanager
def asking(base: Path) -> Iterator[httpx.Client]:
    with serving("translator", base) as address, httpx.Client(base_url=address, timeout=60) as client:
        yield client


@pytest.fixture(scope="module")
def client(trained: Host) -> Iterator[httpx.Client]:
    with asking(trained.base) as client:
        yield client


def ask(client: httpx.Client, body: object, content_type: str = "application/json") -> httpx.Response:
    content = body if isinstance(body, bytes) else json.dumps(body)
    return client.post("/invocations", content=content, headers={"content-type": content_type})


def test_the_originals_protocol_is_a_string_for_a_string(client: httpx.Client) -> None:
    source, expected = sentences(1, 5)[0]
    answer = ask(client, source)
    assert answer.status_code == 200
    assert html.unescape(answer.json()) == expected


def test_the_originals_strings_are_escaped_both_ways(client: httpx.Client) -> None:
    """`&amp;` is one character of the text, and what the answer holds is safe in a page."""
    plain = ask(client, {"instances": ["<er> & er"]}).json()[0]["translations"][0]["text"]
    answer = ask(client, "&lt;er&gt; &amp; er").json()
    assert html.unescape(answer) == plain
    assert "<" not in answer


def test_instances_are_translated_with_scores(client: httpx.Client) -> None:
    pairs = sentences(30, 6)
    answer = ask(client, {"instances": [source for source, _ in pairs]}).json()
    assert [one["translations"][0]["text"] for one in answer] == [target for _, target in pairs]
    assert all(one["translations"][0]["score"] < 0 for one in answer)
    assert not any(one["truncated"] for one in answer)


def test_a_configuration_sets_the_search(client: httpx.Client) -> None:
    body = {"instances": ["Hund Mann."], "configuration": {"beam": 4, "nbest": 3, "lenpen": 0.5}}
    translations = ask(client, body).json()[0]["translations"]
    scores = [one["score"] for one in translations]
    assert len(scores) == 3
    assert scores == sorted(scores, reverse=True)


def test_json_lines_are_answered_line_by_line(client: httpx.Client) -> None:
    pairs = sentences(3, 7)
    lines = "".join(json.dumps({"source": source, "nbest": 2}) + "\n" for source, _ in pairs)
    answer = ask(client, lines.encode(), JSON_LINES)
    found = [json.loads(line) for line in answer.text.splitlines()]
    assert [one["translations"][0]["text"] for one in found] == [target for _, target in pairs]
    assert all(len(one["translations"]) == 2 for one in found)


def test_empty_text_is_answered_by_empty_text(client: httpx.Client) -> None:
    assert ask(client, "").json() == ""
    answer = ask(client, {"instances": ["", "  \n"]}).json()
    assert answer[0] == {"translations": [{"text": "", "score": 0.0}], "truncated": False}
    assert answer[1]["translations"][0]["text"].strip() == ""


def test_a_long_text_is_cut_and_said_to_be(client: httpx.Client) -> None:
    body = {"instances": ["Haus " * 3000], "configuration": {"beam": 1}}
    assert ask(client, body).json()[0]["truncated"]


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        (b"", "the request is not JSON"),
        (b'"half', "the request is not JSON"),
        (b"\xff", "the request is not JSON"),
        (b"5", 'the request has no "instances"; it must be {"instances": [...]}.'),
        (b'{"instances": "er"}', '"instances" is a string; it must be a list.'),
        (b'{"instances": ["er", 5]}', "instance 1 is a number; it must be a string."),
        (
            b'{"instances": [], "configuration": {"beam": 0}}',
            "configuration beam=0 is not valid; it must be an integer",
        ),
        (
            b'{"instances": [], "configuration": {"beam": 900}}',
            "configuration beam=900 is not valid; it must be an inte",
        ),
        (
            b'{"instances": [], "configuration": {"lenpen": "x"}}',
            "configuration lenpen='x' is not valid; it must be a nu",
        ),
        (
            b'{"instances": [], "configuration": {"bean": 5}}',
            "configuration bean is unknown; known are beam, nbest, lenp",
        ),
        (
            b'{"instances": [], "configuration": {"beam": 2, "nbest": 3}}',
            "configuration nbest=3 is not valid; it must be",
        ),
    ],
)
def test_a_mistake_is_answered_by_400_and_one_sentence(client: httpx.Client, body: bytes, sentence: str) -> None:
    answer = ask(client, body)
    assert answer.status_code == 400
    assert sentence in answer.json()["error"]


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(texts=st.lists(st.text(max_size=60), min_size=1, max_size=4))
def test_any_text_is_answered(client: httpx.Client, texts: list[str]) -> None:
    body = {"instances": texts, "configuration": {"beam": 2}}
    answer = client.post("/invocations", json=body)
    if any("\ud800" <= character <= "\udfff" for text in texts for character in text):
        assert answer.status_code == 400  # half a character is none
        return
    assert answer.status_code == 200, answer.text
    assert len(answer.json()) == len(texts)


def test_many_clients_at_once_get_their_own_answers(client: httpx.Client) -> None:
    pairs = sentences(24, 8)

    def right(pair: tuple[str, str]) -> bool:
        return bool(html.unescape(ask(client, pair[0]).json()) == pair[1])

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(right, pairs))


def damaged(model: Path, name: str, content: bytes | None) -> None:
    if content is None:
        (model / name).unlink()
    else:
        (model / name).write_bytes(content)


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("config.json", None, "holds no config.json, so it is no translation model."),
        ("config.json", b"{", "the model's config.json is damaged"),
        ("config.json", b'{"format": 9}', "the model's config.json is of another format than 1."),
        ("model.safetensors", b"\x80\x04N.", "the model's model.safetensors cannot be loaded"),
        ("model.safetensors", None, "the model's model.safetensors cannot be loaded"),
        ("dict.de.txt", None, "the model's dict.de.txt cannot be read"),
    ],
)
@pytest.mark.filterwarnings("ignore")  # of fairseq's imports, which a server silences by itself
def test_a_damaged_model_is_refused_in_one_sentence(
    trained: Host, tmp_path: Path, name: str, content: bytes | None, sentence: str
) -> None:
    shutil.copytree(trained.model, tmp_path / "model")
    damaged(tmp_path / "model", name, content)
    with pytest.raises(ClientError, match=re.escape(sentence)):
        load(tmp_path / "model")


@pytest.mark.filterwarnings("ignore")  # of fairseq's imports, which a server silences by itself
@pytest.mark.parametrize(
    "text", ["__import__('pathlib').Path('{0}').touch()", "[open('{0}', 'w')][0]", "[x for x in ()]"]
)
def test_a_configuration_is_not_evaluated_as_a_program(trained: Host, tmp_path: Path, text: str) -> None:
    """fairseq evaluates the layers of a convolutional model as Python."""
    shutil.copytree(trained.model, tmp_path / "model")
    config = json.loads((tmp_path / "model/config.json").read_text())
    assert config["model"]["encoder_layers"] == "[(48, 3)] * 2"
    config["model"]["encoder_layers"] = text.format(tmp_path / "ran")
    (tmp_path / "model/config.json").write_text(json.dumps(config))
    with pytest.raises(ClientError, match=r"has encoder_layers=.*, which is more than a value"):
        load(tmp_path / "model")
    assert not (tmp_path / "ran").exists()


def test_the_endpoint_never_unpickles(trained: Host, tmp_path: Path) -> None:
    """A model folder that holds a checkpoint that would run code is refused, and the code does not run."""
    import pickle

    class Evil:
        def __reduce__(self) -> tuple[Any, tuple[str, ...]]:
            return Path.touch, (Path(tmp_path / "ran"),)  # type: ignore[return-value]

    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "checkpoint_best.pt").write_bytes(pickle.dumps(Evil()))
    process = translator(["serve"], {"SAGEMAKER_BASE_DIR": str(tmp_path), "SAGEMAKER_BIND_TO_PORT": str(free_port())})
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "Traceback" not in output
    assert "It holds a fairseq checkpoint, which `python -m translator convert` makes a model of." in output
    assert not (tmp_path / "ran").exists()
