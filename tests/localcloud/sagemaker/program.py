"""A real program that follows the container contract, small enough to see through: what the tests' images run.

`python sagemaker_program.py train|serve|process`. Training does what its hyperparameters say; serving echoes.
"""

from __future__ import annotations

import itertools
import json
import os
import re
import signal
import sys
import tarfile
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

BASE = Path(os.environ["SAGEMAKER_BASE_DIR"])
# What tells it from all others on this machine: its process, or its container.
INSTANCE: int | str = os.getpid()
if INSTANCE == 1:
    INSTANCE = re.findall(r"/containers/([0-9a-f]{64})/", Path("/proc/self/mountinfo").read_text())[0]
HOST = "0.0.0.0" if Path("/opt/ml") == BASE else "127.0.0.1"  # in a container, where clients come over its network


def die() -> None:
    """End as SIGKILL ends a process. The first one of a container cannot send it to itself, only end as if."""
    if os.getpid() == 1:
        os._exit(128 + signal.SIGKILL)
    os.kill(os.getpid(), signal.SIGKILL)


def train() -> int:
    config = {path.stem: json.loads(path.read_text()) for path in (BASE / "input" / "config").glob("*.json")}
    asked, host = config["hyperparameters"], config["resourceconfig"]["current_host"]
    data = {
        path.relative_to(BASE / "input" / "data").as_posix(): path.read_text("latin-1")
        for path in sorted((BASE / "input" / "data").rglob("*"))
        if path.is_file()
    }
    pipes = {
        name: content.decode("latin-1")
        for channel, epochs in json.loads(asked.get("epochs_of_pipes", "{}")).items()
        for name, content in read_pipes(channel, epochs, int(asked.get("bytes_of_pipes", "-1")))
    }
    if "records_of" in asked:
        from contract.channels import InputChannel

        channel = InputChannel("train", BASE / "input" / "data" / asked["records_of"], input_mode="Pipe")
        pipes = {f"{epoch}": [record.decode("latin-1") for record in channel.records()] for epoch in range(2)}
    report = {"config": config, "data": data, "environment": dict(os.environ), "pipes": pipes}
    if "modes_of" in asked:
        report["modes"] = modes_of(asked["modes_of"].split())
    if "unpack" in asked:
        with tarfile.open(BASE / "input" / "data" / asked["unpack"]) as archive:
            report["unpacked"] = archive.getnames()
    (BASE / "model" / f"{host}.json").write_text(json.dumps(report))
    if "checkpoint" in asked:
        keep(asked["checkpoint"], host)
    for key in asked:
        if key.startswith("print"):
            print(asked[key], flush=True)
    if "model_bytes" in asked:  # of noise, which no archive makes smaller
        (BASE / "model" / f"{host}.noise").write_bytes(os.urandom(int(asked["model_bytes"])))
    if "objective" in asked:
        report_epochs(asked)
    if "output" in asked:
        folder = BASE / "output" / "data" / asked.get("output_folder", "")
        folder.mkdir(exist_ok=True)
        (folder / f"{host}.txt").write_text(asked["output"])
    if "attempts" in asked and attempts() < int(asked["attempts"]):
        wait("politely")
    if "sleep" in asked:
        time.sleep(float(asked["sleep"]))
    if "wait" in asked:
        wait(asked["wait"])
    if asked.get("fail_on", host) == host and "failure" in asked:
        (BASE / "output" / "failure").write_text(asked["failure"])
        return 1
    if asked.get("killed_host") == host:
        die()
    return int(asked.get("exit", "0"))


def report_epochs(asked: dict[str, str]) -> None:
    """Print what the expression `objective` gives for the hyperparameters, once an epoch.

    When the expression `hold` is true, wait for SIGTERM and print no more.
    """
    known: dict[str, float | str] = {name: number_or_text(value) for name, value in asked.items()}
    for epoch in range(1, int(asked.get("epochs", "1")) + 1):
        known["epoch"] = epoch
        print(f"objective={eval(asked['objective'], {}, known)}", flush=True)
        if eval(asked.get("hold", "False"), {}, known):
            wait("politely")
            return


def number_or_text(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text


def modes_of(channels: list[str]) -> dict[str, str]:
    """Who may do what with the folders and files of some channels."""
    data = BASE / "input" / "data"
    paths = [path for channel in channels for path in (data / channel, *sorted((data / channel).rglob("*")))]
    return {path.relative_to(data).as_posix(): oct(path.stat().st_mode & 0o777) for path in paths}


def read_pipes(channel: str, epochs: int, limit: int) -> Iterator[tuple[str, bytes]]:
    """What comes through a channel's pipes, of each no more than `limit` bytes."""
    for epoch in range(epochs):
        path = BASE / "input" / "data" / f"{channel}_{epoch}"
        while not path.exists():
            time.sleep(0.01)
        with path.open("rb", buffering=0) as pipe:
            yield path.name, pipe.read(limit)


def keep(text: str, host: str) -> None:
    """Leave a checkpoint in place of those that were found, and an empty file; tell what was found."""
    folder = BASE / "checkpoints"
    found = {path.name: path.read_text() for path in folder.iterdir()}
    (BASE / "model" / f"{host}-checkpoints.json").write_text(json.dumps(found))
    for name in found:
        if name.startswith(host):
            (folder / name).unlink()
    (folder / f"{host}-{text}").write_text(text)
    (folder / "last").touch()


def attempts() -> int:
    """How often this job has been started, by the checkpoints of its host."""
    number = len(list((BASE / "checkpoints").glob("attempt-*"))) + 1
    (BASE / "checkpoints" / f"attempt-{number}").write_text("begun")
    return number


def wait(how: str) -> None:
    """Run on: until SIGTERM ("politely"), or whatever comes ("stubbornly")."""
    ended = []
    if how == "stubbornly":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    else:
        signal.signal(signal.SIGTERM, lambda *_: ended.append(True))
    print("waiting", flush=True)
    while not ended:
        time.sleep(0.02)
    (BASE / "model" / "saved-on-sigterm").write_text("yes")


def process() -> int:
    """Leave the arguments in the output."""
    (BASE / "processing" / "output" / "arguments.json").write_text(json.dumps(sys.argv[2:]))
    return 0


class Server(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # an answer is two writes; the second is not to wait for an acknowledgement

    def do_GET(self) -> None:
        if self.path == "/execution-parameters":
            wishes = os.environ.get("EXECUTION_PARAMETERS")
            self.answer(200 if wishes else 404, (wishes or "").encode(), "application/json")
            return
        self.answer(200 if os.environ.get("HEALTHY", "yes") == "yes" else 503, b"", "text/plain")

    def do_POST(self) -> None:
        body = self.chunks() if "Transfer-Encoding" in self.headers else self.rfile.read(self.content_length())
        if body.startswith(b"fail "):
            self.answer(int(body.split()[1]), b"what went wrong", "text/plain")
            return
        if body == b"die":
            os._exit(3)
        if body == b"think":
            time.sleep(0.7)
        if body == b"sleep":
            time.sleep(60)
        if "TRANSFORM" in os.environ:
            self.answer(*transformed(body), "text/plain")
            return
        said = {
            "body": body.decode("latin-1"),
            "content_type": self.headers["Content-Type"],
            "accept": self.headers["Accept"],
            "greeting": os.environ.get("GREETING"),
            "model": sorted(path.name for path in (BASE / "model").iterdir()),
            "instance": INSTANCE,
            "batch": {name: value for name, value in os.environ.items() if name.startswith("SAGEMAKER_")},
            "chunked": "Transfer-Encoding" in self.headers,
        }
        self.answer(200, json.dumps(said).encode(), "application/json")

    def content_length(self) -> int:
        return int(self.headers["Content-Length"])

    def chunks(self) -> bytes:
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def answer(self, status: int, body: bytes, content_type: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


REQUESTS = itertools.count(1)
TOGETHER = threading.Barrier(int(os.environ.get("TOGETHER", "1")))


def transformed(body: bytes) -> tuple[int, bytes]:
    """A status and a body, made in the way that the environment names: of every line, or in spite of it."""
    number, way = next(REQUESTS), os.environ["TRANSFORM"]
    lines = body.splitlines()
    if way == "label":
        return 200, b"\n".join(json.dumps({"label": len(json.loads(line))}).encode() for line in lines)
    if way == "length":
        return 200, b"".join(b"%d,%d\n" % (len(line), line.count(b",") + 1) for line in lines)
    if way == "too few":
        return 200, b"one"
    if way == "flaky" and number == 1:
        return 503, b"not yet"
    if way == "together":
        try:
            TOGETHER.wait(timeout=20)
        except threading.BrokenBarrierError:
            return 500, b"alone"
    return 200, body.upper()


def started_before(times: Path) -> int:
    """How often this was called with that file."""
    with times.open("ab") as file:
        before = file.tell()
        file.write(b"x")
    return before


def serve() -> int:
    print("serving", flush=True)
    if "EXIT" in os.environ:
        print("ClientError: the model cannot be read.", flush=True)
        return int(os.environ["EXIT"])
    if "TIMES" in os.environ and started_before(Path(os.environ["TIMES"])) >= int(os.environ["AT_MOST"]):
        return 9
    ThreadingHTTPServer((HOST, int(os.environ["SAGEMAKER_BIND_TO_PORT"])), Server).serve_forever()
    return 0


if __name__ == "__main__":
    sys.exit({"train": train, "serve": serve, "process": process}[sys.argv[1]]())
