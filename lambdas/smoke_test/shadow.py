"""Whether a shadow does well: nobody gets its answers, so it is told by its metrics."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from lambdas.smoke_test.answer import SmokeTestError

_NAME = "Shadow"
# CloudWatch tells of a request after a minute or two.
_LONGEST_S, _PAUSE_S = 300.0, 5.0
# So many copies are to be expected of each round of requests, so that none is a sign of something else.
_COPIES = 5


def check_shadow(
    cloudwatch: Any,
    endpoint: str,
    percent: int,
    ask: Callable[[], object],
    *,
    longest_s: float = _LONGEST_S,
    pause_s: float = _PAUSE_S,
) -> None:
    """Asks the endpoint until a copy of a request has come to its shadow, and looks that the shadow did not fail.

    Args:
        percent: of the requests that are copied.
        ask: sends one request.
    Raises:
        SmokeTestError: the shadow failed, or no request came to it within `longest_s` seconds.
    """
    begun, deadline = datetime.now(UTC), time.monotonic() + longest_s
    while time.monotonic() < deadline:
        for _ in range(-(-100 * _COPIES // percent)):
            ask()
        time.sleep(pause_s)
        if failed := _sum(cloudwatch, endpoint, "Invocation5XXErrors", begun):
            raise SmokeTestError(f"the shadow of endpoint {endpoint} failed to answer {failed:.0f} of the requests.")
        if _sum(cloudwatch, endpoint, "Invocations", begun):
            return
    raise SmokeTestError(f"no request has come to the shadow of endpoint {endpoint} within {longest_s:.0f} s.")


def _sum(cloudwatch: Any, endpoint: str, metric: str, since: datetime) -> float:
    found = cloudwatch.get_metric_statistics(
        Namespace="AWS/SageMaker",
        MetricName=metric,
        Dimensions=[{"Name": "EndpointName", "Value": endpoint}, {"Name": "VariantName", "Value": _NAME}],
        # A minute's figures bear the minute's beginning.
        StartTime=since - timedelta(minutes=1),
        EndTime=datetime.now(UTC) + timedelta(minutes=1),
        Period=60,
        Statistics=["Sum"],
    )
    return float(sum(point["Sum"] for point in found["Datapoints"]))
