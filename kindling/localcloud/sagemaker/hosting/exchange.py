"""One request to a container and what came of it, told as the service tells it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import urllib3

from kindling.localcloud.sagemaker.errors import ModelFailedError
from kindling.localcloud.sagemaker.hosting.fleet import LOG_GROUP
from kindling.localcloud.sagemaker.logs import LogStream

NO_ANSWER = 0  # the status that the service gives when there was none
TIMED_OUT = (
    "Your invocation timed out while waiting for a response from container primary. Review the latency metrics for "
    "each container in Amazon CloudWatch, resolve the issue, and try again."
)
BROKEN = (
    "Amazon SageMaker could not get a response from the primary endpoint. This can occur when CPU or memory "
    "utilization is high. To check your utilization, see Amazon CloudWatch. To fix this problem, use an instance type "
    "with more CPU capacity or memory."
)


@dataclass(frozen=True)
class Outcome:
    """What came of a request to a container.

    Args:
        answer: a 2xx answer; None when it was another, or none came.
        status: of the answer, or NO_ANSWER.
        words: what a failure said.
        seconds: what the container took.
    """

    answer: urllib3.BaseHTTPResponse | None
    status: int
    words: str
    seconds: float


def exchange(send: Callable[[], urllib3.BaseHTTPResponse]) -> Outcome:
    """Send a request, and tell what came of it."""
    began = time.perf_counter()
    try:
        answer = send()
    except urllib3.exceptions.TimeoutError:
        return Outcome(None, NO_ANSWER, TIMED_OUT, time.perf_counter() - began)
    except urllib3.exceptions.HTTPError:
        return Outcome(None, NO_ANSWER, BROKEN, time.perf_counter() - began)
    if 200 <= answer.status < 300:
        return Outcome(answer, answer.status, "", time.perf_counter() - began)
    words = answer.data.decode("utf-8", errors="replace")
    answer.close()
    return Outcome(None, answer.status, words, time.perf_counter() - began)


def model_failed(outcome: Outcome, endpoint: str, account: str, stream: LogStream) -> ModelFailedError:
    """The ModelError that a failed outcome is to the caller."""
    side = "client" if 300 <= outcome.status < 500 else "server"
    message = (
        f'Received {side} error ({outcome.status}) from primary with message "{outcome.words}". '
        f"See the log group {LOG_GROUP}/{endpoint} in account {account} for more information."
    )
    return ModelFailedError(message, status=outcome.status, answer=outcome.words, log_stream_arn=stream.arn)
