"""A serving container small enough to see through: streams, sessions, and SageMaker's contract for several models.

What a request asks for is the first word of its body. With SAGEMAKER_MULTI_MODEL=true it begins without a model and
has room for as many as ROOM says.
"""

from __future__ import annotations

import itertools
import json
import os
import re
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

# What tells it from all others on this machine: its process, or its container.
INSTANCE: int | str = os.getpid()
if INSTANCE == 1:
    INSTANCE = re.findall(r"/containers/([0-9a-f]{64})/", Path("/proc/self/mountinfo").read_text())[0]
HOST = "0.0.0.0" if os.environ["SAGEMAKER_BASE_DIR"] == "/opt/ml" else "127.0.0.1"  # clients come over its network
released = threading.Event()
sessions = itertools.count(1)
models: dict[str, str] = {}
most_at_once = under_way = 0
counting = threading.Lock()


class Server(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        if self.path == "/ping":
            self.answer(200, b"")
        elif self.path == "/models":
            listed = [{"modelName": name, "modelUrl": url} for name, url in models.items()]
            self.answer(200, json.dumps({"models": listed}).encode())
        else:
            self.answer(200 if self.path.removeprefix("/models/") in models else 404, b"{}")

    def do_DELETE(self) -> None:
        found = models.pop(self.path.removeprefix("/models/"), None)
        self.answer(200 if found else 404, b"{}")

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.path == "/models":
            self.load(json.loads(body))
        elif self.path == "/invocations":
            self.counted(body)
        else:
            name = self.path.split("/")[2]
            if name in models:
                self.invoke(body, Path(models[name], "words").read_text())
            else:
                self.answer(404, b"not loaded")

    def load(self, wanted: dict[str, str]) -> None:
        if wanted["model_name"] in models:
            self.answer(409, b"{}")
        elif len(models) >= int(os.environ["ROOM"]):
            self.answer(507, b"no room")
        elif not Path(wanted["url"], "words").is_file():
            self.answer(400, b"a model needs words")
        else:
            awaited = Path(wanted["url"], "awaited")
            while awaited.is_file() and not Path(awaited.read_text()).exists():
                time.sleep(0.02)
            models[wanted["model_name"]] = wanted["url"]
            self.answer(200, b"{}")

    def counted(self, body: bytes) -> None:
        global most_at_once, under_way
        with counting:
            under_way += 1
            most_at_once = max(most_at_once, under_way)
        try:
            self.invoke(body, "")
        finally:
            with counting:
                under_way -= 1

    def invoke(self, body: bytes, words: str) -> None:
        asked, _, argument = body.decode("latin-1").partition(" ")
        if asked == "fail":
            self.answer(int(argument), b"what went wrong")
        elif asked == "die":
            os._exit(3)
        elif asked in ("parts", "break", "stall"):
            self.stream(asked)
        elif asked == "release":
            released.set()
            self.answer(200, b"released")
        elif asked == "wait":
            awaited, _, started = argument.partition(" ")
            if started:
                Path(started).touch()
            while not Path(awaited).exists():
                time.sleep(0.02)
            self.answer(200, f"waited, at most {most_at_once} at once".encode())
        elif asked == "close":
            session = self.headers["X-Amzn-SageMaker-Session-Id"]
            self.answer(200, b"closed", {"X-Amzn-SageMaker-Closed-Session-Id": session})
        else:
            self.tell(body, words)

    def tell(self, body: bytes, words: str) -> None:
        """What arrived."""
        said = {"headers": dict(self.headers), "size": len(body), "instance": INSTANCE, "words": words}
        more = {"X-Amzn-SageMaker-Custom-Attributes": "from the model"}
        if self.headers["X-Amzn-SageMaker-Session-Id"] == "NEW_SESSION":
            expires = body.decode() or "2099-01-01T00:00:00Z"
            name = f"session-{INSTANCE}-{next(sessions)}"
            more["X-Amzn-SageMaker-New-Session-Id"] = f"{name}; Expires={expires}"
        self.answer(200, json.dumps(said).encode(), more)

    def stream(self, how: str) -> None:
        """Two parts, of which the second is written when the first has been seen; or one, and no end."""
        self.send_response(200)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self.chunk(b"first ")
        if how == "parts":
            released.wait()
            self.chunk(b"second")
            self.chunk(b"")
        elif how == "stall":
            time.sleep(60)
        self.close_connection = True

    def chunk(self, part: bytes) -> None:
        self.wfile.write(b"%x\r\n%s\r\n" % (len(part), part))

    def answer(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json" if body.startswith(b"{") else "text/plain")
        self.send_header("Content-Length", str(len(body)))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)


if __name__ == "__main__":
    assert sys.argv[1] == "serve"
    ThreadingHTTPServer((HOST, int(os.environ["SAGEMAKER_BIND_TO_PORT"])), Server).serve_forever()
