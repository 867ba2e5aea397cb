"""A host's training processes, watched together with the other hosts': the first that fails ends the job everywhere."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from contract.errors import AlgorithmError, ClientError
from contract.rendezvous import Hosts
from translator.compatibility import TRUST_CHECKPOINTS
from translator.fairseq_process import ProcessFailure, ProcessJob

_PERIOD_S = 0.5
_ECHO_S = 40.0  # from the echo of a failure to the failure's own host being named; a silent host is lost after 20 s
_FAREWELL_S = 100.0  # of the 120 that the service leaves a job to save what it has


class Processes:
    """A host's processes, to be used in a `with` statement that none of them outlives.

    Args:
        jobs: one for each process.
        folder: for their descriptions.
        stop: the file that asks them to stop.
    """

    def __init__(self, jobs: Sequence[ProcessJob], folder: Path, stop: Path) -> None:
        self._jobs, self._folder, self._stop = jobs, folder, stop
        self._running: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Self:
        for number, job in enumerate(self._jobs):
            path = self._folder / f"process-{number}.json"
            path.write_text(job.dumps(), encoding="utf-8")
            command = [sys.executable, "-m", "translator.fairseq_process", str(path)]
            environment = {**os.environ, **TRUST_CHECKPOINTS, "OMP_NUM_THREADS": str(job.threads)}
            self._running.append(subprocess.Popen(command, env=environment))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for process in self._running:
            if process.poll() is None:
                process.kill()
        for process in self._running:
            process.wait()

    def ask_to_stop(self) -> None:
        """Have them save a checkpoint and end, all at the same update."""
        self._stop.touch()

    @property
    def done(self) -> bool:
        """Whether all have ended well."""
        return all(process.poll() == 0 for process in self._running)

    @property
    def failure(self) -> ProcessFailure | None:
        """Why one of them ended; the first that is not an echo of another's end, if there is one."""
        failures = [
            self._failure_of(number, job, process.returncode)
            for number, (job, process) in enumerate(zip(self._jobs, self._running, strict=True))
            if process.poll() not in (None, 0)
        ]
        return next((failure for failure in failures if not failure.secondary), failures[0] if failures else None)

    def _failure_of(self, number: int, job: ProcessJob, code: int) -> ProcessFailure:
        told = Path(job.failure)
        if told.exists():
            return ProcessFailure(**json.loads(told.read_text(encoding="utf-8")))
        how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
        # torch ends a process by SIGABRT where a lost peer surfaces in a thread of its own.
        return ProcessFailure(f"training process {number} {how}.", secondary=code == -signal.SIGABRT)


def watch(processes: Processes, hosts: Hosts, stopping: threading.Event) -> None:
    """Wait until the processes of all hosts have ended; ask them to stop once `stopping` is set.

    Raises:
        ClientError, AlgorithmError: a process or a host failed.
    """
    asked_at = echo_at = None
    while True:
        failure = processes.failure
        if failure and not failure.secondary:
            raise _error(failure)
        now = time.monotonic()
        # Hosts keep step here, so that a lost one is named while the echoes of its end arrive.
        reports = hosts.exchange([processes.done, failure is not None, stopping.is_set()])
        if all(done for done, _, _ in reports):
            return
        if failure:
            echo_at = echo_at or now
            if hosts.size == 1 or now - echo_at > _ECHO_S:
                raise _error(failure)
        if any(stop for _, _, stop in reports):
            if asked_at is None:
                processes.ask_to_stop()
                asked_at = now
            elif now - asked_at > _FAREWELL_S:
                raise AlgorithmError(f"the training processes did not stop within {_FAREWELL_S:g} s.")
        time.sleep(_PERIOD_S)


def _error(failure: ProcessFailure) -> Exception:
    return ClientError(failure.sentence) if failure.users_mistake else AlgorithmError(failure.sentence)
