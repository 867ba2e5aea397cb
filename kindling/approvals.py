"""Deciding about a run that waits for approval."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from kindling import runs
from kindling.errors import UserError
from kindling.runs import Run
from kindling.targets import Target

# What a person's words may have: the cause of an execution has room for more, the registry's field for 1024.
_LONGEST = 512

Send = Callable[[Any, str], object]  # answers the task of a token


def approve(target: Target, run: Run, comment: str) -> None:
    """Lets a run go on to the deployment of its model.

    Raises:
        UserError: it does not wait for approval, or the answer came too late.
    """
    answer = {"by": _who(target), "comment": _words("comment", comment)}
    _answer(target, run, lambda steps, token: steps.send_task_success(taskToken=token, output=json.dumps(answer)))


def reject(target: Target, run: Run, reason: str) -> None:
    """Ends a run; its model is marked as rejected in the registry.

    Raises:
        UserError: it does not wait for approval, or the answer came too late.
    """
    cause = f"rejected by {_who(target)}: {_words('reason', reason)}"
    _answer(target, run, lambda steps, token: steps.send_task_failure(taskToken=token, error="Rejected", cause=cause))


def _answer(target: Target, run: Run, send: Send) -> None:
    from botocore.exceptions import ClientError

    token = runs.history(target, run).token
    if token is None or run.is_over:
        raise UserError(f"run {run.name} does not wait for approval; it is {run.status}.")
    try:
        send(target.client("stepfunctions"), token)
    except ClientError as error:
        if error.response["Error"]["Code"] not in ("TaskTimedOut", "TaskDoesNotExist", "InvalidToken"):
            raise
        raise UserError(f"run {run.name} does not wait any more; `kindling show {run.name}` says why.") from None


def _who(target: Target) -> str:
    return str(target.client("sts").get_caller_identity()["Arn"])


def _words(what: str, said: str) -> str:
    if not said.strip() or len(said) > _LONGEST:
        raise UserError(f"the {what} must have 1 to {_LONGEST} characters.")
    return said.strip()
