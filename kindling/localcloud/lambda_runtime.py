"""What runs in a function's process: import the handler once, then answer one event after another.

Started by path with nothing of this repository in reach. Events come as JSON lines on standard input; answers go as
JSON lines to the file descriptor KINDLING_ANSWERS; what the function prints goes to its log.
"""

from __future__ import annotations

import importlib
import json
import logging
import os
import sys
import time
import traceback
from collections.abc import Callable
from typing import Any, TextIO

_current: dict[str, str] = {"request_id": ""}


class Context:
    """The second argument of a handler."""

    def __init__(self, request: dict[str, Any]) -> None:
        self.aws_request_id: str = request["request_id"]
        self.invoked_function_arn: str = request["function_arn"]
        self.function_name = os.environ["AWS_LAMBDA_FUNCTION_NAME"]
        self.function_version = os.environ["AWS_LAMBDA_FUNCTION_VERSION"]
        self.memory_limit_in_mb = os.environ["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"]
        self.log_group_name = os.environ["AWS_LAMBDA_LOG_GROUP_NAME"]
        self.log_stream_name = os.environ["AWS_LAMBDA_LOG_STREAM_NAME"]
        self.identity = None
        self.client_context = None
        self._deadline: float = request["deadline"]

    def get_remaining_time_in_millis(self) -> int:
        """Milliseconds until the function times out."""
        return max(0, int((self._deadline - time.time()) * 1000))


class _InvocationFilter(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        record.aws_request_id = _current["request_id"]
        return True


def find_handler(name: str) -> Callable[[Any, Context], Any]:
    """The function that `module.path.function` names."""
    module, _, function = name.rpartition(".")
    found: Callable[[Any, Context], Any] = getattr(importlib.import_module(module.replace("/", ".")), function)
    return found


def describe(error: BaseException, kind: str, message: str, *, request_id: str = "") -> dict[str, Any]:
    """An error as the Lambda service returns it."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if frame.filename != __file__ and "importlib" not in frame.filename]
    return {
        "errorMessage": message,
        "errorType": kind,
        "requestId": request_id,
        "stackTrace": traceback.format_list(own),
    }


def describe_import_error(error: BaseException, handler: str) -> dict[str, Any]:
    """Why the handler could not be found, in the service's words."""
    module, _, function = handler.rpartition(".")
    if isinstance(error, ImportError):
        return describe(error, "Runtime.ImportModuleError", f"Unable to import module '{module}': {error}")
    if isinstance(error, AttributeError) and f"no attribute '{function}'" in str(error):
        return describe(error, "Runtime.HandlerNotFound", f"Handler '{function}' missing on module '{module}'")
    if isinstance(error, SyntaxError):
        return describe(error, "Runtime.UserCodeSyntaxError", f"Syntax error in module '{module}': {error}")
    return describe(error, type(error).__name__, str(error))


def answer(handler: Callable[[Any, Context], Any], request: dict[str, Any]) -> dict[str, Any]:
    """Call the handler with one event; {"result"} or {"error"}."""
    request_id = _current["request_id"] = request["request_id"]
    os.environ["_X_AMZN_TRACE_ID"] = request["trace_id"]
    try:
        result = handler(request["event"], Context(request))
    except Exception as error:  # noqa: BLE001  every error of a function is an answer
        described = describe(error, type(error).__name__, str(error), request_id=request_id)
        print(f"[ERROR] {type(error).__name__}: {error}\nTraceback (most recent call last):")
        print("".join(described["stackTrace"]), end="")
        return {"error": described}
    try:
        return {"result": json.dumps(result)}
    except (TypeError, ValueError) as error:
        return {"error": describe(error, "Runtime.MarshalError", f"Unable to marshal response: {error}")}


def main(answers: TextIO) -> None:
    """Import the handler, say so, and answer events until standard input ends."""
    log = logging.StreamHandler(sys.stdout)
    log.setFormatter(logging.Formatter("[%(levelname)s]\t%(asctime)s\t%(aws_request_id)s\t%(message)s"))
    log.addFilter(_InvocationFilter())
    logging.getLogger().addHandler(log)

    def send(message: dict[str, Any]) -> None:
        sys.stdout.flush()
        sys.stderr.flush()
        answers.write(json.dumps(message) + "\n")
        answers.flush()

    name = os.environ["_HANDLER"]
    try:
        handler = find_handler(name)
    except Exception as error:  # noqa: BLE001  it is the function's own, and it is told to whoever invokes it
        traceback.print_exc()
        send({"error": describe_import_error(error, name)})
        return
    send({"ready": True})
    for line in sys.stdin:
        send(answer(handler, json.loads(line)))


if __name__ == "__main__":
    with os.fdopen(int(os.environ.pop("KINDLING_ANSWERS")), "w", encoding="utf-8") as channel:
        main(channel)
