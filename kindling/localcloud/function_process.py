"""One warm process of a Lambda function."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from kindling.localcloud.processes import Processes, end

_RUNTIME = Path(__file__).with_name("lambda_runtime.py")
_INIT_WITHIN_S = 60.0  # the service gives 10 s; a laptop that is training at the same time needs more


@dataclass(frozen=True, kw_only=True)
class Deployment:
    """Everything that a function's process depends on; a change of any of it needs a new process."""

    name: str
    arn: str
    version: str
    handler: str
    code: Path
    layers: tuple[Path, ...]
    variables: tuple[tuple[str, str], ...]
    timeout_s: float
    memory_mb: int
    log_group: str


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What an invocation came to: the payload as JSON text, whether it is an error, and the lines that it logged."""

    payload: str
    failed: bool
    lines: list[str]


@dataclass
class FunctionProcess:
    """A process that has imported its handler, or is about to; it answers one invocation at a time."""

    deployment: Deployment
    process: subprocess.Popen[bytes]
    answers: int
    log: Path
    log_stream: str
    _log_read: int = 0
    _buffer: bytes = b""
    _ready: bool = False
    _born: float = field(default_factory=time.monotonic)

    @classmethod
    def start(
        cls, deployment: Deployment, processes: Processes, folder: Path, environment: Mapping[str, str]
    ) -> FunctionProcess:
        """Start a process for a deployment; `folder` takes its log, `environment` is how it reaches the cloud."""
        stream = f"{datetime.now(UTC):%Y/%m/%d}/[{deployment.version}]{uuid.uuid4().hex}"
        folder.mkdir(parents=True, exist_ok=True)
        log = folder / f"{deployment.name}-{uuid.uuid4().hex}.log"
        reading, writing = os.pipe()
        try:
            with log.open("wb") as output:
                process = processes.start(
                    [sys.executable, "-P", "-u", str(_RUNTIME)],
                    name=f"function {deployment.name}",
                    env={**_variables(deployment, stream), **environment, "KINDLING_ANSWERS": str(writing)},
                    cwd=deployment.code,
                    stdin=subprocess.PIPE,
                    stdout=output,
                    pass_fds=(writing,),
                )
        finally:
            os.close(writing)
        return cls(deployment, process, reading, log, stream)

    def invoke(self, event: Any, request_id: str) -> Outcome:
        """Have the function answer one event. A process that is not `alive` afterwards answers no more."""
        self._log(f"START RequestId: {request_id} Version: {self.deployment.version}")
        begun = time.monotonic()
        answer: dict[str, Any] = {"ready": True}
        if not self._ready:
            answer = self._receive(_INIT_WITHIN_S, request_id, f"init did not end within {_INIT_WITHIN_S:.0f} s")
            begun = time.monotonic()
        if "ready" in answer:
            self._ready = True
            limit = self.deployment.timeout_s
            self._send(event, request_id, limit)
            answer = self._receive(limit, request_id, f"Task timed out after {limit:.2f} seconds")
        self._log(f"END RequestId: {request_id}")
        spent = (time.monotonic() - begun) * 1000
        self._log(
            f"REPORT RequestId: {request_id}\tDuration: {spent:.2f} ms\tMemory Size: {self.deployment.memory_mb} MB"
        )
        lines = self._lines()
        if "error" in answer:
            return Outcome(payload=json.dumps(answer["error"]), failed=True, lines=lines)
        return Outcome(payload=answer["result"], failed=False, lines=lines)

    @property
    def alive(self) -> bool:
        """Whether it can take another invocation."""
        return self._ready and self.process.poll() is None

    def end(self) -> None:
        """End the process and remove its log, which CloudWatch has by now."""
        end(self.process, grace_s=0)
        if self.process.stdin is not None:
            self.process.stdin.close()
        os.close(self.answers)
        self.log.unlink(missing_ok=True)

    def _send(self, event: Any, request_id: str, limit: float) -> None:
        request = {
            "event": event,
            "request_id": request_id,
            "function_arn": self.deployment.arn,
            "deadline": time.time() + limit,
            "trace_id": f"Root=1-{int(time.time()):08x}-{uuid.uuid4().hex[:24]};Sampled=0",
        }
        assert self.process.stdin is not None
        try:
            self.process.stdin.write(json.dumps(request).encode() + b"\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            return  # it ended by itself, which receiving its answer will tell

    def _receive(self, within_s: float, request_id: str, too_late: str) -> dict[str, Any]:
        deadline = time.monotonic() + within_s
        while b"\n" not in self._buffer:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self.answers], [], [], left)[0]:
                end(self.process, grace_s=0)
                return _broken("Sandbox.Timedout", f"RequestId: {request_id} Error: {too_late}")
            read = os.read(self.answers, 1 << 16)
            if not read:
                status = end(self.process, grace_s=0.5)
                words = f"exit status {status}" if status >= 0 else f"signal: {-status}"
                return _broken(
                    "Runtime.ExitError", f"RequestId: {request_id} Error: Runtime exited with error: {words}"
                )
            self._buffer += read
        line, _, self._buffer = self._buffer.partition(b"\n")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def _log(self, line: str) -> None:
        with self.log.open("ab") as log:
            log.write(line.encode() + b"\n")

    def _lines(self) -> list[str]:
        with self.log.open("rb") as log:
            log.seek(self._log_read)
            read = log.read()
        self._log_read += len(read)
        return read.decode(errors="replace").splitlines()


def _broken(kind: str, message: str) -> dict[str, Any]:
    return {"error": {"errorType": kind, "errorMessage": message}}


def _variables(deployment: Deployment, stream: str) -> dict[str, str]:
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "LANG": "C.UTF-8",
        "TZ": ":UTC",
        "PYTHONDONTWRITEBYTECODE": "1",
        # Nothing takes the traces; without this a tracer would try to send them.
        "POWERTOOLS_TRACE_DISABLED": "1",
        "AWS_XRAY_SDK_ENABLED": "false",
        "AWS_XRAY_CONTEXT_MISSING": "IGNORE_ERROR",
        **dict(deployment.variables),
        "PYTHONPATH": os.pathsep.join(map(str, [deployment.code, *deployment.layers])),
        "_HANDLER": deployment.handler,
        "LAMBDA_TASK_ROOT": str(deployment.code),
        "AWS_EXECUTION_ENV": f"AWS_Lambda_python{sys.version_info.major}.{sys.version_info.minor}",
        "AWS_LAMBDA_FUNCTION_NAME": deployment.name,
        "AWS_LAMBDA_FUNCTION_VERSION": deployment.version,
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(deployment.memory_mb),
        "AWS_LAMBDA_LOG_GROUP_NAME": deployment.log_group,
        "AWS_LAMBDA_LOG_STREAM_NAME": stream,
    }
