"""Our endpoint against a plain Starlette server around the fastText package, and against a constant answer.

`python -m benchmarks.serving [options]`. All servers run at once, each with a worker per core, and are loaded in turn
by wrk on the same machine, so that what the machine does otherwise meets all of them: rounds of all kinds of requests
on 1, 10 and 100 connections. `constant` is our own HTTP server with the same answer for every request, of the size of a
usual one. The medians, and the ratios that they give, go to the output; the figures to OUT/serving.json.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks import corpus, machine
from benchmarks.load import Loaded, load, pss_mb, running
from kindling.environments import ROOT, EnvironmentNotMadeError, python_of
from kindling.errors import UserError
from kindling.ports import free_port

RESULTS = machine.BUILT / "serving"
SERVERS = ("ours", "peer", "constant")
CONNECTIONS = (1, 10, 100)


@dataclass(frozen=True)
class Kind:
    """A kind of request. `times` is how many times the peer's requests/s it must reach on 10 connections."""

    name: str
    model: str  # vectors | model, a folder of benchmarks/serving_models.py
    times: float


KINDS = (Kind("five-words", "vectors", 2), Kind("one-text", "model", 2), Kind("hundred-texts", "model", 3))
_OF_CONSTANT = 0.8  # of a constant answer's requests/s, for single requests


@dataclass(frozen=True)
class Measured:
    """One run of wrk."""

    kind: str
    server: str
    connections: int
    loaded: Loaded


def benchmark(arguments: argparse.Namespace) -> None:
    """Make the models, run all rounds, and print the tables.

    Raises:
        UserError: wrk or an environment is missing, or a server did not start.
    """
    try:
        python = python_of("blazingtext")
    except EnvironmentNotMadeError as error:
        raise UserError(str(error)) from None
    if machine.load_average() > machine.QUIET_LOAD:
        print("warning: the machine does other work, too; only ratios mean something.", file=sys.stderr)
    folder = arguments.out.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    text = corpus.prepare(arguments.corpus, arguments.tokens, folder)
    _run([python, "-m", "benchmarks.serving_models", text.path, folder])
    described = machine.describe()
    cores = described["cores"]
    print(f"{described['cpu']}, {cores} cores, Python {described['python']}, commit {described['commit']}", flush=True)
    measured: list[Measured] = []
    memory: dict[str, dict[str, list[float]]] = {}
    for kind in [kind for kind in KINDS if not arguments.only or kind.name in arguments.only]:
        with _servers(python, kind, folder, cores) as servers:
            measured += _rounds(kind, servers, folder, arguments)
            memory[kind.name] = {name: pss_mb(process) for name, (process, _) in servers.items()}
    rows = [asdict(run) for run in measured]
    (folder / "serving.json").write_text(json.dumps({"machine": described, "runs": rows, "pss_mb": memory}, indent=1))
    _print(measured, memory, arguments.rounds)


def _rounds(
    kind: Kind, servers: dict[str, tuple[int, int]], folder: Path, arguments: argparse.Namespace
) -> Iterator[Measured]:
    bodies = folder / f"{kind.name}.jsonl"
    for _, port in servers.values():
        load(port, bodies, 10, 1)  # a first second, in which pages and caches are filled
    for number in range(arguments.rounds):
        for connections in arguments.connections:
            for name in servers if number % 2 == 0 else reversed(servers):
                loaded = load(servers[name][1], bodies, connections, arguments.seconds)
                print(f"{kind.name}, {connections} connections, {name}: {_told(loaded)}", flush=True)
                yield Measured(kind.name, name, connections, loaded)


@contextmanager
def _servers(python: Path, kind: Kind, folder: Path, cores: int) -> Iterator[dict[str, tuple[int, int]]]:
    """The three servers: process id and port by name."""
    base = folder / kind.model
    model = base / "model" / f"{kind.model}.bin"
    ports = {name: free_port() for name in SERVERS}
    environ = {**os.environ, "SAGEMAKER_BASE_DIR": str(base), "KINDLING_WORKERS": str(cores)}
    sample, log = folder / f"{kind.name}.answer", folder / "{}.log"
    commands = {
        "ours": [python, "-m", "blazingtext", "serve"],
        "peer": [python, "-m", "benchmarks.serving_peer", model, ports["peer"], cores],
        "constant": [python, "-m", "benchmarks.serving_constant", sample],
    }
    with ExitStack() as stack:
        found = {}
        for name, command in commands.items():
            port = ports[name]
            own = {**environ, "SAGEMAKER_BIND_TO_PORT": str(port)}
            process = stack.enter_context(
                running([str(part) for part in command], own, port, Path(str(log).format(name)))
            )
            found[name] = (process, port)
            if name == "ours":
                sample.write_bytes(_answer(port, folder / f"{kind.name}.jsonl"))
        yield found


def _answer(port: int, bodies: Path) -> bytes:
    with bodies.open("rb") as file:
        body = file.readline()
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(f"http://127.0.0.1:{port}/invocations", data=body, headers=headers)
    with urllib.request.urlopen(request, timeout=30) as answer:
        return bytes(answer.read())


def _print(measured: list[Measured], memory: dict[str, dict[str, list[float]]], rounds: int) -> None:
    medians: dict[tuple[str, str, int], Loaded] = {}
    for key in dict.fromkeys((run.kind, run.server, run.connections) for run in measured):
        of_key = [run.loaded for run in measured if (run.kind, run.server, run.connections) == key]
        medians[key] = Loaded(
            statistics.median(loaded.requests_per_second for loaded in of_key),
            statistics.median(loaded.p50_ms for loaded in of_key),
            statistics.median(loaded.p99_ms for loaded in of_key),
            sum(loaded.errors for loaded in of_key),
        )
    print(f"\nmedians of {rounds} rounds, the servers in turn")
    for (kind, server, connections), loaded in medians.items():
        print(f"{kind:14} {connections:4} connections  {server:9} {_told(loaded)}")
    for kind, servers in memory.items():
        for server, megabytes in servers.items():
            print(f"{kind:14} {server:9} PSS of the workers: {', '.join(f'{each:.0f}' for each in megabytes)} MB")
    print()
    for line in _bars(medians):
        print(line)


def _bars(medians: dict[tuple[str, str, int], Loaded]) -> Iterator[str]:
    """What is to be shown, on 10 connections, and what was found."""
    for kind in KINDS:
        ours, peer, constant = (medians.get((kind.name, server, 10)) for server in SERVERS)
        if ours is None or peer is None or constant is None:
            continue
        times = ours.requests_per_second / peer.requests_per_second
        quick = ours.p99_ms <= peer.p99_ms
        yield f"{kind.name}: {times:.2f} x the peer's requests/s (to show: {kind.times:g}), {_met(times >= kind.times)}"
        yield f"{kind.name}: p99 {ours.p99_ms:.2f} ms, the peer's {peer.p99_ms:.2f} ms, {_met(quick)}"
        share = ours.requests_per_second / constant.requests_per_second
        if kind.name != "hundred-texts":
            reached = _met(share >= _OF_CONSTANT)
            yield f"{kind.name}: {share:.2f} x a constant answer (to show: {_OF_CONSTANT}), {reached}"


def _told(loaded: Loaded) -> str:
    errors = f", {loaded.errors} errors" if loaded.errors else ""
    return (
        f"{loaded.requests_per_second:8.0f} requests/s, p50 {loaded.p50_ms:.2f} ms, p99 {loaded.p99_ms:.2f} ms{errors}"
    )


def _met(reached: bool) -> str:
    return "reached" if reached else "NOT reached"


def _run(command: list[object]) -> None:
    ran = subprocess.run([str(part) for part in command], cwd=ROOT, capture_output=True, text=True, check=False)
    if ran.returncode:
        raise UserError(f"{command[2]} failed:\n{ran.stdout[-1000:]}{ran.stderr[-2000:]}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=5, help="of each run of wrk")
    parser.add_argument("--connections", type=int, nargs="+", default=list(CONNECTIONS))
    parser.add_argument("--only", nargs="+", choices=[kind.name for kind in KINDS], help="kinds of requests")
    parser.add_argument("--tokens", type=int, help="only so many of the corpus, for a trial")
    parser.add_argument("--corpus", help="text8, botocore or a path (default: the text8-like corpus, else text8)")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the models and the results")
    return machine.exit_code(benchmark, parser.parse_args())


if __name__ == "__main__":
    sys.exit(main())
