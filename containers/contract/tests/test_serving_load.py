"""Mixed load while workers are killed: no wrong answer, and no request lost but those under way at a kill."""

from __future__ import annotations

import json
import os
import random
import threading
import time
from dataclasses import dataclass, field

import httpx
import pytest

from .serving_processes import FACTOR, Server, running

CLIENTS = 4
MINUTES = float(os.environ.get("KINDLING_TEST_MINUTES", "10"))
_WORDS = ["tiger", "cat", "käse", "", "a" * 5000]
_LOST_SHARE = 0.001
_TOLERANCE_S = 0.05  # between the kill and the moment at which its time was noted


@dataclass
class Found:
    """What the clients found: the times of failed requests, and answers that were wrong."""

    answered: int = 0
    failed: list[tuple[float, float, str]] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)


class Load:
    """Clients that ask without a pause until they are stopped."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._stop = threading.Event()
        self._found = [Found() for _ in range(CLIENTS)]
        self._threads = [threading.Thread(target=self._ask, args=(number,)) for number in range(CLIENTS)]

    def run(self, seconds: float, kill_every: float) -> tuple[Found, list[float]]:
        """What was found in so many seconds, and when workers were killed."""
        for thread in self._threads:
            thread.start()
        kills, number = [], 0
        end = time.monotonic() + seconds
        while time.monotonic() + kill_every < end:
            time.sleep(kill_every)
            kills.append(time.monotonic())
            self._server.kill_worker(number % 2)
            number += 1
        time.sleep(max(0.0, end - time.monotonic()))
        self._stop.set()
        for thread in self._threads:
            thread.join()
        return (
            Found(
                sum(found.answered for found in self._found),
                [failure for found in self._found for failure in found.failed],
                [answer for found in self._found for answer in found.wrong],
            ),
            kills,
        )

    def _ask(self, number: int) -> None:
        draw, found = random.Random(number), self._found[number]
        with httpx.Client(base_url=self._server.url, timeout=30) as client:
            while not self._stop.is_set():
                body, content_type, status, expected = request(draw)
                begun = time.monotonic()
                try:
                    answer = client.post("/invocations", content=body, headers={"content-type": content_type})
                except httpx.TransportError as error:
                    found.failed.append((begun, time.monotonic(), repr(error)))
                    continue
                found.answered += 1
                if answer.status_code != status or (expected is not None and answer.text != expected):
                    found.wrong.append(f"{answer.status_code} {answer.text[:200]} to {body[:200]!r}")


def request(draw: random.Random) -> tuple[bytes, str, int, str | None]:
    """A body, its content type, the status of its answer, and the answer, if it is not an error."""
    words = draw.choices(_WORDS, k=draw.choice([1, 5, 200]))
    times = draw.randint(1, 9)
    answers = [json.dumps({"length": len(word) * FACTOR * times}, separators=(",", ":")) for word in words]
    if draw.random() < 0.1:
        return json.dumps({"instances": [*words, 5]}).encode(), "application/json", 400, None
    if draw.random() < 0.3:
        lines = "".join(f"{json.dumps({'source': word, 'times': times})}\n" for word in words)
        return lines.encode(), "application/jsonlines", 200, "".join(f"{answer}\n" for answer in answers)
    configuration = {"times": times}
    if draw.random() < 0.1:
        words, answers = words[:1], answers[:1]
        configuration["seconds"] = 0.05  # type: ignore[assignment]
    body = json.dumps({"instances": words, "configuration": configuration})
    return body.encode(), "application/json", 200, f"[{','.join(answers)}]"


def check(found: Found, kills: list[float]) -> None:
    assert not found.wrong, found.wrong[:3]
    for begun, ended, error in found.failed:
        assert any(begun - _TOLERANCE_S <= kill <= ended for kill in kills), (error, begun, ended, kills)


def test_a_worker_killed_under_load_costs_the_requests_under_way_and_no_more() -> None:
    with running() as server:
        found, kills = Load(server).run(seconds=5, kill_every=2)
        check(found, kills)
        assert len(found.failed) <= len(kills) * CLIENTS
        assert len(server.workers) == 2
        assert server.log.count("another takes its place.") == len(kills) == 2
        assert server.stop() == 0


@pytest.mark.slow
@pytest.mark.timeout(MINUTES * 60 + 120)
def test_workers_killed_every_20_seconds_lose_less_than_a_thousandth() -> None:
    with running() as server:
        found, kills = Load(server).run(seconds=MINUTES * 60, kill_every=20)
        check(found, kills)
        assert len(found.failed) < _LOST_SHARE * found.answered
        assert len(server.workers) == 2
        assert server.stop() == 0
        print(f"{found.answered} answered, {len(found.failed)} lost by {len(kills)} kills")
