"""Loads a server with requests by wrk, and reads what its processes take."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from kindling.errors import UserError

# wrk's threads each begin elsewhere in the file of bodies; what it found goes to its output as one line of JSON.
_SCRIPT = """
local bodies, at, number = {}, 0, 0
for line in io.lines("%(bodies)s") do bodies[#bodies + 1] = line end
setup = function(thread) number = number + 1; thread:set("begin", number * 997) end
init = function() at = begin end
request = function()
  at = at %% #bodies + 1
  return wrk.format("POST", "/invocations", {["Content-Type"] = "application/json"}, bodies[at])
end
done = function(summary, latency)
  local e = summary.errors
  print(string.format('{"requests": %%d, "seconds": %%f, "p50_ms": %%f, "p99_ms": %%f, "errors": %%d}',
    summary.requests, summary.duration / 1e6, latency:percentile(50) / 1e3, latency:percentile(99) / 1e3,
    e.connect + e.read + e.write + e.status + e.timeout))
end
"""


@dataclass(frozen=True)
class Loaded:
    """What a server did under load; latencies are in milliseconds."""

    requests_per_second: float
    p50_ms: float
    p99_ms: float
    errors: int


def load(port: int, bodies: Path, connections: int, seconds: float) -> Loaded:
    """Send the bodies of a file, one a line, over so many connections for some seconds.

    Raises:
        UserError: wrk is not installed, or failed.
    """
    program = shutil.which("wrk")
    if program is None:
        raise UserError("wrk is not installed; `apt-get install wrk` does it.")
    script = bodies.with_suffix(".lua")
    script.write_text(_SCRIPT % {"bodies": bodies})
    threads = min(2, connections)
    command = [program, f"-t{threads}", f"-c{connections}", f"-d{seconds:g}s", "--timeout", "30s", "-s", str(script)]
    ran = subprocess.run([*command, f"http://127.0.0.1:{port}"], capture_output=True, text=True, check=False)
    try:
        found = json.loads(ran.stdout.splitlines()[-1])
    except (IndexError, ValueError):
        raise UserError(f"wrk ended with {ran.returncode}:\n{ran.stdout}{ran.stderr}") from None
    return Loaded(found["requests"] / found["seconds"], found["p50_ms"], found["p99_ms"], found["errors"])


@contextmanager
def running(command: Sequence[str], environ: Mapping[str, str], port: int, log: Path) -> Iterator[int]:
    """A server while the block runs: its process id, once it answers /ping.

    Raises:
        UserError: it ended, or did not answer within a minute; with the end of its log.
    """
    with log.open("wb") as output:
        process = subprocess.Popen(command, env=dict(environ), stdout=output, stderr=subprocess.STDOUT)
    try:
        _await_ping(process, port, log)
        yield process.pid
    finally:
        process.terminate()
        process.wait(30)


def pss_mb(process: int) -> list[float]:
    """The proportional set size of each worker below a server's first process, in MB: shared pages are divided."""
    children = Path(f"/proc/{process}/task/{process}/children").read_text().split()
    found = []
    for child in children:
        text = Path(f"/proc/{child}/smaps_rollup").read_text()
        kilobytes = next(int(line.split()[1]) for line in text.splitlines() if line.startswith("Pss:"))
        found.append(kilobytes * 1024 / 1e6)
    return found


def _await_ping(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + 60
    while process.poll() is None and time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/ping", timeout=2):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    raise UserError(f"a server did not answer; its log ends:\n{log.read_text(errors='replace')[-2000:]}")
