"""Runs the tests, each folder in the environment it needs: an algorithm's or a client's own, or the house's.

`python -m tests.run [FOLDER ...] [--slow | --fast]`; without a folder, $TESTS or all of them. Three run at a time, but
for the slow ones, which load the machine; --fast leaves out the wide ones. The last line adds the parts up.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from containers.catalogue import algorithms
from kindling.environments import ROOT, clients, python_of

HOUSE = ["tests/unit", "tests/stacks", "tests/localcloud", "tests/e2e", "tests/clients/aws", "containers/contract"]
CLIENTS = ["tests/clients/sagemaker_v2"]
SLOW_CLIENTS = ["tests/clients/sagemaker_v3"]  # with no test but slow ones; the others need no environment for them
LONGEST = ("tests/e2e", "tests/localcloud")
AT_A_TIME = 3  # most tests of the embedded cloud wait for processes, so that others have the cores
_NO_TESTS_COLLECTED = 5
_COUNT = re.compile(r"(\d+) (passed|failed|skipped|errors?)\b")


def environment_of(folder: str) -> Path:
    """The interpreter that runs a folder's tests."""
    parts = Path(folder).parts
    if len(parts) > 1 and parts[0] == "containers" and parts[1] in algorithms():
        return python_of(parts[1])
    if parts[:2] == ("tests", "clients") and len(parts) > 2:
        client = f"client-{parts[2].replace('_', '-')}"
        return python_of(client) if client in clients() else Path(sys.executable)
    if parts[:2] == ("containers", "contract"):
        # The meeting of hosts needs torch, which the house does without.
        with_torch = [name for name, algorithm in algorithms().items() if algorithm.environment.torch]
        return python_of(with_torch[0]) if with_torch else Path(sys.executable)
    return Path(sys.executable)


def groups(folders: list[str], *, slow: bool = False) -> dict[Path, list[str]]:
    """Folders by the interpreter they need; `containers` stands for all of its folders."""
    everything = [*HOUSE, *CLIENTS, *(SLOW_CLIENTS if slow else []), *(f"containers/{name}" for name in algorithms())]
    wanted = [
        inner
        for folder in (folders or everything)
        for inner in (
            [f for f in everything if f.startswith("containers/")] if folder.rstrip("/") == "containers" else [folder]
        )
    ]
    by_interpreter: dict[Path, list[str]] = {}
    for folder in wanted:
        by_interpreter.setdefault(environment_of(folder), []).append(folder)
    return by_interpreter


def jobs(by_interpreter: dict[Path, list[str]]) -> list[tuple[Path, list[str]]]:
    """What runs at a time in one process: the folders of an interpreter, those that take long on their own."""
    found = []
    for interpreter, inner in by_interpreter.items():
        rest = [folder for folder in inner if not _is_long(folder)]
        found += [(interpreter, [folder]) for folder in inner if _is_long(folder)]
        found += [(interpreter, rest)] if rest else []
    # What takes longest begins first.
    return sorted(found, key=lambda job: (job[1][0].rstrip("/") not in LONGEST, not _is_long(job[1][0])))


def _is_long(folder: str) -> bool:
    return folder.rstrip("/") in LONGEST or Path(folder).parts[1:2] in [(name,) for name in algorithms()]


def run(interpreter: Path, folders: list[str], *, which: str, live: bool) -> tuple[int, Counter[str]]:
    """The exit status and the counts of one pytest run over folders that share an interpreter.

    Args:
        which: a marker expression.
        live: print each line as it comes; otherwise all of them at the end, for another run prints, too.
    """
    command = [str(interpreter), "-m", "pytest", "-q", "--durations=12", "--durations-min=5", "-m", which, *folders]
    heading = " ".join(["$ pytest", *folders])
    print(heading, flush=True)
    lines = []
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, bufsize=1) as process:
        assert process.stdout is not None
        for line in process.stdout:
            lines.append(line)
            if live:
                print(line, end="", flush=True)
    if not live:
        print(f"{heading} has ended:", "".join(lines), sep="\n", end="", flush=True)
    counts: Counter[str] = Counter()
    for number, kind in _COUNT.findall(lines[-1] if lines else ""):
        counts[kind.rstrip("s") + "s" if kind.startswith("error") else kind] += int(number)
    return process.returncode, counts


def main() -> int:
    arguments = sys.argv[1:]
    slow = "--slow" in arguments
    which = "slow" if slow else "not slow and not wide" if "--fast" in arguments else "not slow"
    folders = [argument for argument in arguments if not argument.startswith("--")] or os.environ.get(
        "TESTS", ""
    ).split()
    worst, total = 0, Counter[str]()
    wanted = jobs(groups(folders, slow=slow))
    with ThreadPoolExecutor(1 if slow else AT_A_TIME) as pool:
        results = pool.map(lambda job: run(*job, which=which, live=slow or len(wanted) == 1), wanted)
        for status, counts in results:
            total += counts
            if status not in (0, _NO_TESTS_COLLECTED):
                worst = worst or status
    failed = total["failed"] + total["errors"]
    if not sum(total.values()):
        print("no test was found", file=sys.stderr)
        worst = worst or _NO_TESTS_COLLECTED
    print(f"{total['passed']} passed, {failed} failed, {total['skipped']} skipped")
    return worst


if __name__ == "__main__":
    sys.exit(main())
