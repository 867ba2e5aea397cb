"""Requests that nobody meant to send: the server refuses them, lives on and does not grow."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from importlib import resources
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.core import given

from .serving_processes import Server, running

MALFORMED_REQUESTS = 5000
_GROWTH_BYTES = 24 * 2**20

API = schemathesis.openapi.from_dict(
    json.loads(resources.files("contract.serving").joinpath("openapi.json").read_text())
)


@schemathesis.serializer("application/jsonlines")
def as_lines(_context: Any, value: Any) -> bytes:
    return value.encode("utf-8", "replace") if isinstance(value, str) else json.dumps(value).encode()


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with running() as server:
        yield server


@pytest.fixture(scope="module")
def models_server() -> Iterator[Server]:
    with running(SAGEMAKER_MULTI_MODEL="true") as server:
        yield server


@pytest.fixture(scope="module")
def client(server: Server) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.url, timeout=30) as client:
        yield client


REQUEST = {"instances": ["tiger", "käse", ""], "configuration": {"times": 2}}
VALID = json.dumps(REQUEST, ensure_ascii=False).encode()
LINES = b'{"source": "tiger"}\n{"source": "cat", "times": 3}\n'

no_string = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.lists(st.text(max_size=3), max_size=2),
    st.dictionaries(st.text(max_size=3), st.integers(), max_size=2),
)
no_count = st.one_of(
    st.text(max_size=5),
    st.booleans(),
    st.integers(max_value=0),
    st.floats(max_value=0.5, allow_nan=False),
    st.lists(st.none()),
)
no_list = st.one_of(no_string.filter(lambda value: not isinstance(value, list)), st.text(max_size=5))
no_object = st.one_of(st.lists(st.integers(), max_size=2), st.text(max_size=5), st.integers(), st.booleans())


def dumped(value: Any) -> bytes:
    return json.dumps(value).encode("utf-8", "replace")


# Valid JSON that asks for what nobody knows.
wrong = st.one_of(
    no_string.map(lambda value: {**REQUEST, "instances": ["a", value]}),
    no_list.map(lambda value: {**REQUEST, "instances": value}),
    no_object.map(lambda value: {**REQUEST, "configuration": value}),
    no_count.map(lambda value: {**REQUEST, "configuration": {"times": value}}),
    st.text(min_size=1)
    .filter(lambda name: name not in ("times", "seconds"))
    .map(lambda name: {**REQUEST, "configuration": {name: 1}}),
    st.text().filter(lambda name: name != "instances").map(lambda name: {name: ["a"]}),
    st.one_of(no_object.filter(lambda value: value is not None), st.none()),
).map(dumped)

# No JSON at all.
broken = st.one_of(
    st.integers(0, len(VALID) - 1).map(lambda end: VALID[:end]),
    st.binary(min_size=1, max_size=20).map(lambda tail: VALID + b"!" + tail),
    st.integers(0, len(VALID)).map(lambda at: VALID[:at] + b"\x00" + VALID[at:]),
    st.integers(0, len(VALID)).map(lambda at: VALID[:at] + b"\xff" + VALID[at:]),
    st.integers(1100, 100_000).map(lambda depth: b'{"instances": ' + b"[" * depth + b"]" * depth + b"}"),
    st.sampled_from(
        [
            b"",
            b"\xef\xbb\xbf" + VALID,
            VALID.decode().encode("utf-16"),
            b'{"instances": ["\\ud800"]}',
            b'{"instances": ["a"], "configuration": {"times": NaN}}',
            b'{"instances": ["a"], "configuration": {"times": Infinity}}',
            b'{"instances": ["a"], "configuration": {"times": 1e999}}',
            b'{"instances": ["a"], "configuration": {"times": -1' + b"0" * 4000 + b"}}",
        ]
    ),
)
lines = st.one_of(wrong, broken).map(lambda line: LINES + b"[" + line.replace(b"\n", b"").replace(b"\r", b"") + b"\n")
content_types = st.sampled_from(["application/json", "application/json; charset=utf-8", "APPLICATION/JSON"])
requests = st.one_of(
    st.tuples(content_types, st.one_of(wrong, broken)),
    st.tuples(st.just("application/jsonlines"), lines),
    st.tuples(
        st.sampled_from(["text/csv", "application/x-npy", "json", "\x7f", "application/json,application/json"]),
        st.just(VALID),
    ),
)


def test_malformed_requests_are_refused_with_one_sentence(server: Server, client: httpx.Client) -> None:
    workers, sizes, sent = server.workers, [], 0

    @given(requests)
    @settings(max_examples=MALFORMED_REQUESTS, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    def refused(request: tuple[str, bytes]) -> None:
        nonlocal sent
        content_type, body = request
        answer = client.post("/invocations", content=body, headers={"content-type": content_type})
        assert 400 <= answer.status_code < 500, (content_type, body[:200], answer.text)
        assert list(answer.json()) == ["error"]
        assert answer.json()["error"].endswith(".")
        sent += 1
        if sent == MALFORMED_REQUESTS // 5:  # by then all that is made once has been made
            sizes.append(server.resident_bytes())

    refused()
    assert sent >= MALFORMED_REQUESTS
    assert server.workers == workers
    assert server.resident_bytes() - sizes[0] < _GROWTH_BYTES
    assert client.post("/invocations", content=VALID).status_code == 200


@pytest.mark.parametrize(
    "request_",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        b"GET /ping HTTP/9.9\r\n\r\n",
        b"POST /invocations HTTP/1.1\r\ncontent-length: -1\r\n\r\n",
        b"POST /invocations HTTP/1.1\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nabcde",
        b"POST /invocations HTTP/1.1\r\ncontent-length: 99999999999999999999999\r\n\r\n",
        b"POST /invocations HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
        b"POST /\xff\xfe HTTP/1.1\r\n\r\n",
        b"NONSENSE /ping HTTP/1.1\r\n\r\n",
    ],
)
def test_what_is_no_http_is_refused(server: Server, request_: bytes) -> None:
    with socket.create_connection(("127.0.0.1", server.port), 10) as connection:
        connection.sendall(request_)
        assert connection.recv(100).startswith(b"HTTP/1.1 4")
    assert httpx.get(f"{server.url}/ping").status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/invocations", 405),
        ("POST", "/ping", 405),
        ("HEAD", "/ping", 200),
        ("GET", "/", 404),
        ("PUT", "/%2e", 404),
    ],
)
def test_what_is_not_there_is_named(client: httpx.Client, method: str, path: str, status: int) -> None:
    assert client.request(method, path).status_code == status


@API.include(path_regex="^/(ping|execution-parameters|invocations)$").parametrize()
@settings(max_examples=50, deadline=None, suppress_health_check=list(HealthCheck))
def test_the_server_answers_as_its_description_says(case: Any, server: Server) -> None:
    case.call_and_validate(base_url=server.url, excluded_checks=NOT_OURS)


@API.include(path_regex="^/(ping|execution-parameters|models.*)$").parametrize()
@settings(max_examples=50, deadline=None, suppress_health_check=list(HealthCheck))
def test_a_server_of_several_models_answers_as_its_description_says(case: Any, models_server: Server) -> None:
    case.call_and_validate(base_url=models_server.url, excluded_checks=NOT_OURS)


# What instances a model takes is not in the description, so that a request which follows it may be refused; and a GET's
# unexpected parts are ignored, as HTTP has it.
NOT_OURS = [
    schemathesis.checks.CHECKS.get_one("positive_data_acceptance"),
    schemathesis.checks.CHECKS.get_one("negative_data_rejection"),
]
