"""How long the embedded SageMaker waits, in seconds, and how much it takes. The defaults are the service's."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Times between a request to end and SIGKILL, and times in which an endpoint must answer."""

    stop_grace_s: float = 120  # a training job that is stopped or interrupted, or whose time is over
    peers_grace_s: float = 10  # the other hosts of a job of which one failed
    checkpoints_s: float = 5  # between two looks at a training job's checkpoint folders
    ping_s: float = 240  # from the start of a serving container to its first healthy /ping
    serving_grace_s: float = 30  # a serving container
    invocation_s: float = 60  # an answer to an invocation
    restart_pause_s: float = 1  # before a container that ended is started again; twice as long each time
    serverless_idle_s: float = 300  # a serverless container that nobody asks; the service does not tell its own
    time_scale: float = 1  # how long a second lasts that a request speaks of: less than 1 to see a long rollout end
    stream_s: float = 480  # the whole of a streamed answer
    loading_s: float = 360  # a model of a multi-model endpoint
    payload_bytes: int = 25 * 2**20  # the body of an invocation
    settle_s: float = 5  # at most, before DescribeEndpoint tells that a change is under way; ours, not the service's

    def seconds(self, asked: float) -> float:
        """How long to wait for what a request gives in seconds, such as WaitIntervalInSeconds."""
        return asked * self.time_scale
