"""A small program that keeps SageMaker's container contract, but for the one fault that $FAULT names.

`train` copies its channel to the model, `serve` counts the words of a JSON text. Hyperparameters: seconds.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import FrameType

FAULT = os.environ.get("FAULT", "")
BASE = Path("/opt/ml")


def train() -> int:
    stopped = False

    def stop(_number: int, _frame: FrameType | None) -> None:
        nonlocal stopped
        stopped = True

    signal.signal(signal.SIGTERM, signal.SIG_IGN if FAULT == "ignores SIGTERM in train" else stop)
    print("training", flush=True)
    asked = json.loads((BASE / "input/config/hyperparameters.json").read_text())
    channel = BASE / "input/data/train"
    unknown = sorted(set(asked) - {"seconds"})
    if unknown and FAULT != "takes any hyperparameter":
        return fail(f"hyperparameter {unknown[0]} is unknown; known is seconds.")
    if not channel.is_dir():
        if FAULT == "trains on nothing":
            return 0
        return fail("channel train is missing.")
    if FAULT == "writes into its input":
        (channel / "cache").write_text("x")
    if FAULT == "writes beside /opt/ml":
        Path("/var/cache/broken").write_text("x")
    end = time.monotonic() + float(asked.get("seconds", 0))
    while time.monotonic() < end and not stopped:
        time.sleep(0.05)
    if FAULT != "leaves no model":
        (BASE / "model/words.txt").write_text("".join(path.read_text() for path in sorted(channel.iterdir())))
    return 1 if FAULT == "fails though it trained" else 0


def fail(sentence: str) -> int:
    if FAULT != "leaves no failure file":
        (BASE / "output/failure").write_text("something failed" if FAULT == "fails without a name" else sentence)
    return 1


class Server(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        known = self.path == "/ping" or FAULT == "serves every path"
        if FAULT == "answers /ping late":
            time.sleep(2.5)
        self.answer(200 if known else 404, b"")

    def do_POST(self) -> None:
        try:
            body = self.rfile.read(max(0, int(self.headers.get("Content-Length", 0))))
            if self.headers.get("Content-Type") != "application/json":
                self.answer(415, b"")
                return
            text = json.loads(body)["text"]
        except (ValueError, KeyError, TypeError, RecursionError):
            if FAULT == "dies of a bad request":
                os._exit(1)
            self.answer(500 if FAULT == "answers bad requests with 500" else 400, b"")
            return
        self.answer(200, json.dumps({"words": len(text.split())}).encode())

    def answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def serve() -> int:
    if FAULT == "unpacks beside its model":
        (BASE / "model/unpacked").write_text("x")
    if FAULT == "is root or nothing" and os.getuid() != 0:
        return 1
    port = 8081 if FAULT == "listens elsewhere" else 8080
    server = ThreadingHTTPServer(("0.0.0.0", port), Server)

    def stop(_number: int, _frame: FrameType | None) -> None:
        os._exit(0)

    signal.signal(signal.SIGTERM, signal.SIG_IGN if FAULT == "ignores SIGTERM in serve" else stop)
    server.serve_forever()
    return 0


if __name__ == "__main__":
    sys.exit({"train": train, "serve": serve}[sys.argv[1]]())
