"""A served model, asked over HTTP."""

from __future__ import annotations

import json
import signal
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import fasttext
import httpx
import numpy as np
import pytest

from blazingtext._engine import FormatError
from blazingtext.model import Model
from blazingtext.quantised_model import write_quantised
from blazingtext.word_vectors import WordVectors

if TYPE_CHECKING:
    from conftest import Host, Jobs, ReadText

    Serve = Callable[[Path], Any]

Run = Callable[[str, dict[str, str]], Any]


@pytest.fixture(scope="module")
def serve(run_command: Run, find_port: Callable[[], int]) -> Callable[[Path], Any]:
    @contextmanager
    def serving(base: Path) -> Iterator[tuple[httpx.Client, Any]]:
        port = find_port()
        process = run_command("serve", {"SAGEMAKER_BASE_DIR": str(base), "SAGEMAKER_BIND_TO_PORT": str(port)})
        try:
            with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30) as client:
                await_ping(client, process)
                yield client, process
        finally:
            process.kill()
            process.communicate()

    return serving


def await_ping(client: httpx.Client, process: Any) -> None:
    deadline = time.monotonic() + 60
    while process.poll() is None and time.monotonic() < deadline:
        try:
            if client.get("/ping").status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.05)
    pytest.fail(f"the server did not answer: {process.stdout.read() if process.poll() is not None else 'running'}")


@pytest.fixture(scope="module")
def client(trained: Host, serve: Serve) -> Iterator[httpx.Client]:
    with serve(trained.base) as (client, _):
        yield client


def ask(client: httpx.Client, body: object, content_type: str = "application/json") -> httpx.Response:
    content = body if isinstance(body, bytes | str) else json.dumps(body)
    return client.post("/invocations", content=content, headers={"content-type": content_type})


def test_instances_get_their_vectors_and_unknown_words_zeros(
    client: httpx.Client, trained: Host, read_text: ReadText
) -> None:
    answer = ask(client, {"instances": ["tiger", "unheard-of", "the"]})
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    expected = read_text(trained.model / "vectors.txt")
    assert answer.json() == [
        {"vector": expected["tiger"], "word": "tiger"},
        {"vector": [0.0] * 12, "word": "unheard-of"},
        {"vector": expected["the"], "word": "the"},
    ]


def test_json_lines_are_answered_line_by_line(client: httpx.Client, trained: Host, read_text: ReadText) -> None:
    body = '{"source": "tiger"}\n\n{"source": "cat", "nearest": 1}\n{"source": "the"}'
    answer = ask(client, body, "application/jsonlines;data=text")
    assert answer.status_code == 200
    first, second, third = (json.loads(line) for line in answer.text.splitlines())
    assert first["vector"] == read_text(trained.model / "vectors.txt")["tiger"]
    assert second["word"] == "cat"
    assert len(second["neighbors"]) == 1
    assert third["word"] == "the"


def test_no_instances_get_no_answers(client: httpx.Client) -> None:
    assert ask(client, {"instances": []}).json() == []
    assert ask(client, b"", "application/jsonlines").text == ""


def test_many_instances_are_answered_in_their_order(client: httpx.Client) -> None:
    words = ["tiger", "cat", "king"] * 1000
    assert [item["word"] for item in ask(client, {"instances": words}).json()] == words


def test_neighbours_are_those_of_greatest_cosine_without_the_word_itself(
    client: httpx.Client, trained: Host, read_text: ReadText
) -> None:
    request = {"instances": ["tiger", "unheard-of"], "configuration": {"nearest": 3}}
    known, unknown = ask(client, request).json()
    assert unknown == {"word": "unheard-of", "neighbors": []}
    vectors = {word: np.array(row) for word, row in read_text(trained.model / "vectors.txt").items()}
    tiger = vectors.pop("tiger")
    cosines = {
        word: tiger @ vector / np.linalg.norm(tiger) / np.linalg.norm(vector) for word, vector in vectors.items()
    }
    best = sorted(cosines, key=lambda word: -cosines[word])[:3]
    assert known["word"] == "tiger"
    assert [neighbor["word"] for neighbor in known["neighbors"]] == best
    for neighbor in known["neighbors"]:
        assert neighbor["similarity"] == pytest.approx(cosines[neighbor["word"]], abs=1e-5)


def test_more_neighbours_than_words_are_all_the_others(client: httpx.Client, trained: Host) -> None:
    words = Model(trained.model / "vectors.bin").words
    (answer,) = ask(client, {"instances": ["tiger"], "configuration": {"nearest": 10**6}}).json()
    assert {neighbor["word"] for neighbor in answer["neighbors"]} == set(words) - {"tiger"}


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        (b'{"instances": ["a"', "the request is not JSON: "),
        (b"\xff", "the request is not JSON: "),
        ({"words": ["a"]}, 'the request has no "instances"; it must be {"instances": [...]}.'),
        (["a"], 'the request has no "instances"; it must be {"instances": [...]}.'),
        ({"instances": "a"}, '"instances" is a string; it must be a list.'),
        ({"instances": ["a", 5]}, "instance 1 is 5; every instance must be a string, a word"),
        ({"instances": ["a"], "configuration": 7}, '"configuration" is a number; it must be an object.'),
        ({"instances": ["a"], "configuration": {"k": 2}}, "configuration 'k' is unknown; known is nearest."),
        (
            {"instances": ["a"], "configuration": {"nearest": "2"}},
            "configuration nearest='2' is not valid; it must be an integer from 1.",
        ),
    ],
)
def test_a_bad_request_is_400_with_one_sentence(client: httpx.Client, body: object, sentence: str) -> None:
    answer = ask(client, body)
    assert answer.status_code == 400
    assert answer.json()["error"].startswith(sentence)
    assert client.get("/ping").status_code == 200


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ('{"source"', "line 2 is not JSON: "),
        ('{"word": "a"}', 'line 2 has no "source"; every line must be {"source": ...}.'),
    ],
)
def test_a_bad_line_is_named_by_its_number(client: httpx.Client, line: str, sentence: str) -> None:
    answer = ask(client, '{"source": "tiger"}\n' + line, "application/jsonlines")
    assert answer.status_code == 400
    assert answer.json()["error"].startswith(sentence)


def test_other_content_types_are_415(client: httpx.Client) -> None:
    answer = ask(client, "tiger", "text/csv; header=absent")
    assert answer.status_code == 415
    assert answer.json()["error"] == (
        "content type 'text/csv; header=absent' is not supported; it must be application/json or application/jsonlines."
    )


def test_sigterm_ends_the_server_with_exit_code_0(trained: Host, serve: Serve) -> None:
    with serve(trained.base) as (_, process):
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=30) == 0


def test_subword_models_compose_unknown_words(jobs: Jobs, corpus: bytes, serve: Serve) -> None:
    host = jobs.train(corpus, {"mode": "skipgram", "subwords": "True", "buckets": "500"})
    fast = fasttext.load_model(str(host.model / "vectors.bin"))
    with serve(host.base) as (client, _):
        for item in ask(client, {"instances": ["tiger", "tigerish"]}).json():
            np.testing.assert_allclose(item["vector"], fast.get_word_vector(item["word"]), rtol=2e-5, atol=1e-7)
        (neighbors,) = ask(client, {"instances": ["tigerish"], "configuration": {"nearest": 2}}).json()
        assert len(neighbors["neighbors"]) == 2


def damaged(content: bytes, offset: int, replacement: bytes) -> bytes:
    return content[:offset] + replacement + content[offset + len(replacement) :]


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda content: content[:40], "is cut short at offset 40"),
        (lambda content: content[:-1], "the file ends inside the output matrix, 1 bytes early"),
        (lambda content: content[:120], "the file ends inside the dictionary"),
        (lambda content: content + b"!", "1 bytes follow the end of the model"),
        (lambda content: damaged(content, 0, b"PK"), "at offset 0, this is no fastText model"),
        (lambda content: damaged(content, 4, struct.pack("<i", 10)), "at offset 4, the format's version is 10"),
        (lambda content: damaged(content, 36, struct.pack("<i", 4)), "at offset 36, the architecture is 4"),
        (lambda content: damaged(content, 36, struct.pack("<i", 3)), "this is a classifier without labels"),
        (lambda content: damaged(content, 8, struct.pack("<i", 13)), "the input matrix has shape"),
        (lambda content: damaged(content, content.index(b"\0", 92) + 9, b"\1"), "entry 0 of the dictionary is damaged"),
    ],
)
def test_a_damaged_model_is_refused_with_the_offset_and_the_reason(
    trained: Host, tmp_path: Path, damage: Callable[[bytes], bytes], reason: str
) -> None:
    (tmp_path / "model").mkdir()
    path = tmp_path / "model" / "vectors.bin"
    path.write_bytes(damage((trained.model / "vectors.bin").read_bytes()))
    with pytest.raises(FormatError, match="at offset") as refusal:
        Model(path)
    assert reason in str(refusal.value)


def test_a_server_without_its_model_ends_with_the_reason(tmp_path: Path, run_command: Run) -> None:
    process = run_command("serve", {"SAGEMAKER_BASE_DIR": str(tmp_path)})
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "the model holds none of model.bin, model.ftz, vectors.bin, vectors.ftz; one must be at the root" in output
    assert "Traceback" not in output


def test_a_model_with_quantised_vectors_alone_is_served_from_them(
    trained: Host, tmp_path: Path, serve: Serve, read_text: ReadText
) -> None:
    (tmp_path / "model").mkdir()
    model = Model(trained.model / "vectors.bin")
    write_quantised(model, tmp_path / "model" / "vectors.ftz", block=2, seed=1, threads=1)
    expected = read_text(trained.model / "vectors.txt")
    with serve(tmp_path) as (client, _):
        (tiger, unknown) = ask(client, {"instances": ["tiger", "unheard-of"]}).json()
        np.testing.assert_allclose(
            tiger["vector"], expected["tiger"], rtol=1e-4
        )  # few words: each has its own centroid
        assert unknown["vector"] == [0.0] * 12
        (near,) = ask(client, {"instances": ["tiger"], "configuration": {"nearest": 3}}).json()
    best = [item["word"] for item in WordVectors(model).neighbors("tiger", 3)]
    assert [item["word"] for item in near["neighbors"]] == best
