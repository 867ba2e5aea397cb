"""How a container fails: a user's mistake in one sentence, ours with the traceback in the log."""

from __future__ import annotations

FAILURE_LENGTH = 1024  # characters of output/failure that become FailureReason


class InvalidJobError(ValueError):
    """The user asked for something the algorithm does not do. The message is one sentence, fit to be shown as it is."""


class ClientError(Exception):
    """A user's mistake. The message is one sentence: the field, what was found, what was expected, what to do."""


class AlgorithmError(Exception):
    """A failure that is not the user's and that we can name in one sentence, such as a lost host."""


def is_users_mistake(error: BaseException) -> bool:
    """Whether the message of `error` is meant for the user as it stands, without a traceback."""
    return isinstance(error, ClientError | InvalidJobError)


def failure_reason(error: BaseException) -> str:
    """The text of output/failure, at most 1024 characters: "ClientError: ..." or "AlgorithmError: ..."."""
    if is_users_mistake(error):
        reason = f"ClientError: {error}"
    elif isinstance(error, AlgorithmError):
        reason = f"AlgorithmError: {error}"
    else:
        reason = f"AlgorithmError: {type(error).__name__}: {error}"
    if len(reason) > FAILURE_LENGTH:
        reason = reason[: FAILURE_LENGTH - 3] + "..."
    return reason
