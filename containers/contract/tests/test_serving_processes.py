"""The server's processes: readiness, workers that die, and the end."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from . import serving_processes
from .serving_processes import FACTOR, Server, free_port, running, write_model

ASK = {"instances": ["abcd"]}
ANSWER = [{"length": 4 * FACTOR}]


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with running() as server:
        yield server


@pytest.fixture(params=[0, 6], ids=["alone", "among others"])
def crowded(server: Server, request: pytest.FixtureRequest) -> Iterator[Server]:
    """The server while so many other clients are connected."""
    with ExitStack() as stack:
        for _ in range(request.param):
            stack.enter_context(socket.create_connection(("127.0.0.1", server.port), 10))
        yield server


def ask(server: Server, body: object = ASK, **more: object) -> httpx.Response:
    return httpx.post(f"{server.url}/invocations", json=body, timeout=30)


def until(holds: object) -> None:
    deadline = time.monotonic() + 20
    while not holds():  # type: ignore[operator]
        assert time.monotonic() < deadline
        time.sleep(0.05)


def raw(server: Server, request: bytes, answers: int = 1) -> list[tuple[int, bytes]]:
    """The answers to bytes as they are sent."""
    with socket.create_connection(("127.0.0.1", server.port), 10) as connection:
        connection.sendall(request)
        file = connection.makefile("rb")
        found = []
        for _ in range(answers):
            status = int(file.readline().split()[1])
            headers = http.client.parse_headers(file)
            found.append((status, file.read(int(headers["content-length"]))))
        return found


def post(body: bytes, *headers: str) -> bytes:
    lines = ["POST /invocations HTTP/1.1", "host: server", f"content-length: {len(body)}", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def test_each_core_has_a_worker_and_all_answer(server: Server) -> None:
    assert len(server.workers) == 2
    assert [ask(server).json() for _ in range(20)] == [ANSWER] * 20


def test_connections_are_shared_between_the_workers(server: Server) -> None:
    def sockets(worker: int) -> int:
        links = [str(path.readlink()) for path in Path(f"/proc/{worker}/fd").iterdir() if path.is_symlink()]
        return sum(link.startswith("socket:") for link in links)

    before = [sockets(worker) for worker in server.workers]
    clients = [httpx.Client(base_url=server.url) for _ in range(10)]
    try:
        for client in clients:
            assert client.get("/ping").status_code == 200
        grown = [sockets(worker) - old for worker, old in zip(server.workers, before, strict=True)]
        assert min(grown) >= 3
    finally:
        for client in clients:
            client.close()


def test_requests_that_come_together_are_answered_in_their_order(crowded: Server) -> None:
    slow = post(b'{"instances": ["a"], "configuration": {"seconds": 0.1}}')
    quick = post(b'{"instances": ["ab"]}')
    answers = raw(crowded, quick + quick + slow + quick + slow + quick, answers=6)
    assert [json.loads(answer)[0]["length"] // FACTOR for _, answer in answers] == [2, 2, 1, 2, 1, 2]


def test_a_body_may_come_in_parts_and_in_chunks(crowded: Server) -> None:
    body = json.dumps(ASK).encode()
    chunked = b"".join(b"1\r\n%c\r\n" % byte for byte in body) + b"0\r\n\r\n"
    head = b"POST /invocations HTTP/1.1\r\nhost: server\r\ntransfer-encoding: chunked\r\n\r\n"
    ((status, answer),) = raw(crowded, head + chunked)
    assert (status, json.loads(answer)) == (200, ANSWER)
    with socket.create_connection(("127.0.0.1", crowded.port), 10) as connection:
        for byte in post(body):
            connection.sendall(bytes([byte]))
        assert b"200 OK" in connection.recv(4096)


def test_a_client_that_waits_for_100_is_told_to_go_on(crowded: Server) -> None:
    with socket.create_connection(("127.0.0.1", crowded.port), 10) as connection:
        request = post(json.dumps(ASK).encode(), "expect: 100-continue")
        head, _, body = request.partition(b"\r\n\r\n")
        connection.sendall(head + b"\r\n\r\n")
        assert connection.recv(100).startswith(b"HTTP/1.1 100 ")
        connection.sendall(body)
        assert connection.recv(4096).startswith(b"HTTP/1.1 200 ")


def test_a_connection_closes_when_the_client_asks_for_it(crowded: Server) -> None:
    with socket.create_connection(("127.0.0.1", crowded.port), 10) as connection:
        connection.sendall(post(json.dumps(ASK).encode(), "connection: close"))
        assert b"connection: close" in connection.makefile("rb").read()


def test_a_client_that_sends_no_more_gets_its_answers(crowded: Server) -> None:
    with socket.create_connection(("127.0.0.1", crowded.port), 10) as connection:
        connection.sendall(post(json.dumps(ASK).encode()) * 3)
        connection.shutdown(socket.SHUT_WR)
        assert connection.makefile("rb").read().count(b"200 OK") == 3


def test_answers_to_many_clients_are_theirs(server: Server) -> None:
    with ExitStack() as stack:
        opened = [stack.enter_context(socket.create_connection(("127.0.0.1", server.port), 10)) for _ in range(20)]
        for length, connection in enumerate(opened):
            connection.sendall(post(json.dumps({"instances": ["a" * length]}).encode()))
        for length, connection in enumerate(opened):
            assert connection.recv(4096).endswith(b'[{"length":%d}]' % (length * FACTOR))


def test_25_megabytes_are_taken_and_more_are_413(server: Server) -> None:
    text = "a" * (25 * 2**20 - 20)
    assert ask(server, {"instances": [text]}).json() == [{"length": len(text) * FACTOR}]
    refused = ask(server, {"instances": [text + "a" * 100]})
    assert refused.status_code == 413
    assert refused.json()["error"] == "the body is longer than 25 MiB; send fewer instances at a time."


def test_endless_headers_are_refused(crowded: Server) -> None:
    with socket.create_connection(("127.0.0.1", crowded.port), 10) as connection:
        connection.sendall(b"GET /ping HTTP/1.1\r\n" + b"x-more: and more\r\n" * 8000)
        assert connection.recv(100).startswith(b"HTTP/1.1 400 ")


def test_the_server_cannot_be_reached_before_its_model_is_loaded(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    os.mkfifo(tmp_path / "model" / "factor.txt")  # loading waits until somebody writes into it
    server = serving_processes.start(tmp_path, free_port(), {})
    try:
        for _ in range(20):
            with pytest.raises(httpx.ConnectError):
                httpx.get(f"{server.url}/ping")
            time.sleep(0.05)
        (tmp_path / "model" / "factor.txt").write_text("2")
        serving_processes.await_ping(server)
        assert ask(server).json() == [{"length": 8}]
    finally:
        server.process.kill()
        server.process.wait()


def test_a_model_that_cannot_be_loaded_ends_the_server_with_one_sentence(tmp_path: Path) -> None:
    server = serving_processes.start(tmp_path, free_port(), {})
    assert server.process.wait(30) == 1
    assert "the model cannot be served: the model has no factor.txt; it must" in server.log
    assert "Traceback" not in server.log


@pytest.mark.parametrize(
    ("environ", "sentence"),
    [
        ({"KINDLING_WORKERS": "many"}, "the environment has KINDLING_WORKERS='many'; it must be a whole number."),
        (
            {"SAGEMAKER_BIND_TO_PORT": "1x"},
            "the environment has SAGEMAKER_BIND_TO_PORT='1x'; it must be a whole number.",
        ),
    ],
)
def test_a_wrong_environment_is_named(tmp_path: Path, environ: dict[str, str], sentence: str) -> None:
    server = serving_processes.start(tmp_path, free_port(), environ)
    assert server.process.wait(30) == 1
    assert sentence in server.log


def test_a_port_in_use_is_named(server: Server, tmp_path: Path) -> None:
    second = serving_processes.start(tmp_path, server.port, {})
    assert second.process.wait(30) == 1
    assert f"the server cannot listen on port {server.port}: Address already in use." in second.log


def test_a_worker_that_dies_is_replaced_and_the_log_says_why() -> None:
    with running() as server:
        time.sleep(1.1)  # one that has lived only a moment is replaced after a pause
        victim = server.kill_worker()
        until(lambda: len(server.workers) == 2 and victim not in server.workers)
        assert [ask(server).json() for _ in range(10)] == [ANSWER] * 10
        assert f"(process {victim}) was ended by SIGKILL; another takes its place." in server.log


def test_the_workers_end_with_the_supervisor() -> None:
    with running() as server:
        workers = server.workers
        server.process.kill()
        server.process.wait()
        until(lambda: not any(Path(f"/proc/{worker}").exists() for worker in workers))


def test_sigterm_lets_requests_under_way_finish() -> None:
    with running() as server:
        answers: list[httpx.Response] = []
        slow = {"instances": ["abcd"], "configuration": {"seconds": 1.5}}
        askers = [threading.Thread(target=lambda: answers.append(ask(server, slow))) for _ in range(4)]
        for asker in askers:
            asker.start()
        with socket.create_connection(("127.0.0.1", server.port), 10) as half:
            request = post(json.dumps(ASK).encode())
            half.sendall(request[:-5])
            time.sleep(0.5)
            server.process.send_signal(signal.SIGTERM)
            time.sleep(0.4)
            half.sendall(request[-5:])
            finished = half.makefile("rb").read()
        for asker in askers:
            asker.join()
        assert server.process.wait(30) == 0
        assert [answer.json() for answer in answers] == [ANSWER] * 4
        assert finished.startswith(b"HTTP/1.1 200 ")


def test_several_models(tmp_path: Path) -> None:
    double = write_model(tmp_path / "double" / "model", 2)
    heavy = write_model(tmp_path / "heavy" / "model", 3, padding=3 * 2**20)
    heavier = write_model(tmp_path / "heavier" / "model", 4, padding=9 * 2**20)
    with running(SAGEMAKER_MULTI_MODEL="true", KINDLING_MODELS_MEMORY_MB="8") as server:

        def send(method: str, path: str, body: object = None) -> httpx.Response:
            return httpx.request(method, f"{server.url}{path}", json=body)  # each on a connection of its own

        def add(name: str, folder: Path) -> httpx.Response:
            return send("POST", "/models", {"model_name": name, "url": str(folder)})

        assert send("GET", "/models").json() == {"models": []}
        assert send("POST", "/models/double/invoke", ASK).status_code == 404
        assert add("double", double).status_code == 200
        assert add("double", double).status_code == 409
        assert add("a/b %41", heavy).status_code == 200
        refused = add("heavier", heavier)
        assert refused.status_code == 507
        assert refused.json()["error"].startswith("the model 'heavier' needs 9 MiB of memory, and ")
        assert send("GET", "/models/double").json() == {"modelName": "double", "modelUrl": str(double)}
        assert [model["modelName"] for model in send("GET", "/models").json()["models"]] == ["a/b %41", "double"]
        # Workers that were not asked to load it answer as well.
        assert [send("POST", "/models/double/invoke", ASK).json() for _ in range(20)] == [[{"length": 8}]] * 20
        assert send("POST", "/models/a%2Fb%20%2541/invoke", ASK).json() == [{"length": 12}]
        assert send("POST", "/models/double/invoke", {"instances": [1]}).status_code == 400
        assert send("DELETE", "/models/double").status_code == 200
        assert send("DELETE", "/models/double").status_code == 404
        assert [send("POST", "/models/double/invoke", ASK).status_code for _ in range(20)] == [404] * 20
        assert send("GET", "/models/double").status_code == 404
        (double / "factor.txt").write_text("5")
        assert add("double", double).status_code == 200
        assert [send("POST", "/models/double/invoke", ASK).json() for _ in range(20)] == [[{"length": 20}]] * 20
        server.kill_worker()
        assert send("POST", "/models/double/invoke", ASK).json() == [{"length": 20}]
        assert add("none", tmp_path / "none").status_code == 400
        assert send("POST", "/models", {"url": "/"}).status_code == 400
        assert send("PUT", "/models").status_code == 405
        assert send("POST", "/invocations", ASK).status_code == 404
        assert send("GET", "/ping").status_code == 200
        assert server.stop() == 0


def test_the_list_of_models_has_pages(tmp_path: Path) -> None:
    model = write_model(tmp_path / "model")
    names = sorted(f"model-{number}" for number in range(230))
    with running(SAGEMAKER_MULTI_MODEL="true") as server, httpx.Client(base_url=server.url) as client:
        for name in names:
            assert client.post("/models", json={"model_name": name, "url": str(model)}).status_code == 200
        found, token, pages = [], None, 0
        while token or not pages:
            page = client.get("/models", params={"next_page_token": token} if token else {}).json()
            found += [entry["modelName"] for entry in page["models"]]
            token, pages = page.get("nextPageToken"), pages + 1
        assert (found, pages) == (names, 3)
