"""How long the embedded SageMaker waits, in seconds. The defaults are the service's."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Times between a request to end and SIGKILL, and times in which an endpoint must answer."""

    stop_grace_s: float = 120  # a training job that is stopped, or whose time is over
    peers_grace_s: float = 10  # the other hosts of a job of which one failed
    ping_s: float = 240  # from the start of a serving container to its first healthy /ping
    serving_grace_s: float = 30  # a serving container
    invocation_s: float = 60  # an answer to an invocation
    settle_s: float = 5  # at most, before DescribeEndpoint tells that a change is under way; ours, not the service's
