"""`make check-security` asks about every locked package, and passes only when all answers are good."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from containers.catalogue import algorithms
from kindling import lock_audit
from kindling.environments import ROOT
from kindling.lock_audit import lock_files
from kindling.ports import free_port

pytestmark = pytest.mark.timeout(120)


class Database(ThreadingHTTPServer):
    """A database of vulnerabilities that speaks OSV's protocol: who asked for what, and what is known."""

    def __init__(self) -> None:
        self.asked: set[tuple[str, str]] = set()
        self.vulnerable = ""
        super().__init__(("127.0.0.1", 0), Query)


class Query(BaseHTTPRequestHandler):
    server: Database

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        name = asked["package"]["name"]
        self.server.asked.add((name, asked["version"]))
        known = {"vulns": [{"id": "GHSA-0000-0000-0000", "details": "It is planted.", "affected": []}]}
        body = json.dumps(known if name == self.server.vulnerable else {}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def database() -> Iterator[Database]:
    server = Database()
    Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def check_security(port: int) -> subprocess.CompletedProcess[str]:
    command = ["make", "--no-print-directory", "check-security", f"AUDIT={' '.join(options(port))}"]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def test_every_locked_package_is_looked_up(database: Database) -> None:
    made = check_security(database.server_port)
    assert made.returncode == 0, made.stdout + made.stderr
    for path in lock_files():
        assert f"{path.relative_to(ROOT)}: " in made.stdout
        for name, version in re.findall(r"^([a-z0-9._-]+)==(\S+) \\$", path.read_text(), re.MULTILINE):
            assert (name, version) in database.asked, f"{name} of {path.name}"
    for algorithm in algorithms().values():
        if algorithm.environment.torch:
            assert ("torch", algorithm.environment.torch) in database.asked


@pytest.fixture
def two_files(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each file takes a second, and two tell as much as all."""
    found = [ROOT / "requirements/kindling.txt", ROOT / "containers/blazingtext/requirements.txt"]
    monkeypatch.setattr(lock_audit, "lock_files", lambda: found)


def options(port: int) -> list[str]:
    return ["--vulnerability-service", "osv", "--osv-url", f"http://127.0.0.1:{port}/v1/query"]


@pytest.mark.usefixtures("two_files")
def test_a_known_vulnerability_fails_and_is_named(database: Database, capsys: pytest.CaptureFixture[str]) -> None:
    database.vulnerable = "boto3"
    assert lock_audit.main(options(database.server_port)) != 0
    said = capsys.readouterr()
    assert re.search(r"requirements/kindling\.txt: .*boto3 .*GHSA-0000-0000-0000", said.out, re.DOTALL)
    assert "containers/blazingtext/requirements.txt: " in said.out, "the others are looked up all the same"
    assert "known vulnerability, or not looked up." in said.err


@pytest.mark.usefixtures("two_files")
def test_a_database_that_does_not_answer_is_no_good_news(capsys: pytest.CaptureFixture[str]) -> None:
    assert lock_audit.main(options(free_port())) != 0
    said = capsys.readouterr()
    assert "no known vulnerability" not in said.out
    assert "Connection refused" in said.out


def test_every_line_of_a_lock_file_has_its_hashes() -> None:
    for path in lock_files():
        entries = re.findall(r"^\S+==.*?(?=^\S|\Z)", path.read_text(), re.MULTILINE | re.DOTALL)
        assert entries
        assert [entry for entry in entries if "--hash=sha256:" not in entry] == [], path.name
