"""The inference server, asked without a socket."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import httpx
import pytest

from contract.errors import ClientError
from contract.serving import (
    JSON,
    JSON_LINES,
    Application,
    Handler,
    ServingSettings,
    instances_handler,
    lines_handler,
)


def lengths(instances: Sequence[Any], configurations: Sequence[Mapping[str, Any]]) -> list[Any]:
    """A model that measures strings."""
    return [
        {"length": len(instance) * configuration.get("times", 1)}
        for instance, configuration in zip(instances, configurations, strict=True)
    ]


def configure(configuration: Mapping[str, Any]) -> Mapping[str, Any]:
    if "refuse" in configuration:
        raise ClientError("refuse is not known.")
    return configuration


class Client:
    """Asks an application without a socket."""

    def __init__(self, application: Application) -> None:
        self._application = application

    def get(self, path: str) -> httpx.Response:
        return asyncio.run(self._send("GET", path))

    def post(self, path: str, **request: Any) -> httpx.Response:
        return asyncio.run(self._send("POST", path, **request))

    async def _send(self, method: str, path: str, **request: Any) -> httpx.Response:
        transport = httpx.ASGITransport(self._application)
        async with httpx.AsyncClient(transport=transport, base_url="http://server") as client:
            return await client.request(method, path, **request)


@pytest.fixture
def client() -> Client:
    lines = lines_handler(lengths, cheap=lambda _instances, _options: True)
    handlers = {JSON: instances_handler(lengths, configure), JSON_LINES: lines}
    return Client(Application(handlers, ServingSettings(max_body_bytes=2**20)))


def test_ping_is_200_and_empty(client: Client) -> None:
    answer = client.get("/ping")
    assert (answer.status_code, answer.content) == (200, b"")


def test_instances_are_answered_with_their_configuration(client: Client) -> None:
    request = {"instances": ["a", "bcd"], "configuration": {"times": 2}}
    assert client.post("/invocations", json=request).json() == [{"length": 2}, {"length": 6}]


def test_every_line_has_its_own_configuration(client: Client) -> None:
    body = '{"source": "ab"}\n{"source": "ab", "times": 3}\n{"source": "a", "times": 3}\n{"source": "a"}\n'
    answer = client.post("/invocations", content=body, headers={"content-type": "application/jsonlines; data=text"})
    assert answer.text == '{"length":2}\n{"length":6}\n{"length":3}\n{"length":1}\n'
    assert answer.headers["content-type"] == JSON_LINES


def test_a_request_without_content_type_is_taken_for_the_first(client: Client) -> None:
    assert client.post("/invocations", content=b'{"instances": ["a"]}').json() == [{"length": 1}]


def test_a_refusal_is_400_and_a_bug_500_and_the_server_goes_on(client: Client) -> None:
    refused = client.post("/invocations", json={"instances": [], "configuration": {"refuse": True}})
    assert (refused.status_code, refused.json()) == (400, {"error": "configuration refuse is not known."})
    broken = client.post("/invocations", json={"instances": [5]})
    assert (broken.status_code, broken.json()) == (500, {"error": "the request failed: TypeError."})
    assert client.post("/invocations", json={"instances": ["a"]}).status_code == 200


def test_a_body_beyond_the_limit_is_413(client: Client) -> None:
    answer = client.post("/invocations", json={"instances": ["a" * 2**20]})
    assert answer.status_code == 413
    assert answer.json()["error"] == "the body is longer than 1 MiB; send fewer instances at a time."


def test_an_unknown_content_type_is_415(client: Client) -> None:
    answer = client.post("/invocations", content=b"a,b", headers={"content-type": "text/csv"})
    assert answer.status_code == 415
    assert "it must be application/json or application/jsonlines." in answer.json()["error"]


def test_execution_parameters_are_what_a_batch_transform_reads() -> None:
    settings = ServingSettings.from_environ({"SAGEMAKER_MAX_PAYLOAD_IN_MB": "7", "KINDLING_CPUS_PER_HOST": "4"})
    answer = Client(Application({JSON: instances_handler(lengths)}, settings)).get("/execution-parameters")
    assert answer.json() == {"MaxConcurrentTransforms": 4, "BatchStrategy": "MULTI_RECORD", "MaxPayloadInMB": 7}


def test_the_environment_sets_port_and_limits() -> None:
    assert ServingSettings.from_environ({}).port == 8080
    settings = ServingSettings.from_environ({"SAGEMAKER_BIND_TO_PORT": "9000", "KINDLING_MAX_BODY_MB": "3"})
    assert (settings.port, settings.max_body_bytes) == (9000, 6 * 2**20)  # no less than a batch's payload
    assert ServingSettings.from_environ({"KINDLING_MAX_BODY_MB": "200"}).max_body_bytes == 200 * 2**20


def test_a_plain_process_listens_on_its_own_machine_alone() -> None:
    assert ServingSettings.from_environ({"SAGEMAKER_BASE_DIR": "/somewhere"}).host == "127.0.0.1"
    assert ServingSettings.from_environ({}).host == "0.0.0.0"


def test_accept_chooses_among_the_answers_that_a_handler_has() -> None:
    plain = Handler(lambda _body: b"plain", content_type="text/plain")
    found = Handler(lambda body: body, content_type=JSON, accepting={"text/plain": plain})
    client = Client(Application({"text/csv": found}))
    for accept, kind, body in (
        ("*/*", JSON, "1,2"),
        ("text/html", JSON, "1,2"),
        ("text/plain", "text/plain", "plain"),
        ("text/html, Text/Plain; q=0.5", "text/plain", "plain"),
    ):
        answer = client.post("/invocations", content="1,2", headers={"Content-Type": "text/csv", "Accept": accept})
        assert (answer.headers["Content-Type"], answer.text) == (kind, body), accept
