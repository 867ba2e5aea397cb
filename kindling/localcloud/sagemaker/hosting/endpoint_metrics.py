"""What an endpoint tells CloudWatch. Names, units and dimensions are the service's; latencies are in microseconds."""

from __future__ import annotations

from kindling.localcloud.metric_minutes import CloudWatch, Dimensions
from kindling.localcloud.sagemaker.hosting.exchange import Outcome

NAMESPACE = "AWS/SageMaker"
INSTANCE_NAMESPACE = "/aws/sagemaker/Endpoints"

_NONE, _COUNT, _MICROSECONDS, _SECONDS, _MILLISECONDS = "None", "Count", "Microseconds", "Seconds", "Milliseconds"


class EndpointMetrics:
    """The metrics of all endpoints of a cloud."""

    def __init__(self, cloudwatch: CloudWatch) -> None:
        self._cloudwatch = cloudwatch

    def invoked(self, endpoint: str, variant: str, instances: int, outcome: Outcome, overhead_s: float) -> None:
        """One invocation in real time.

        Args:
            instances: that the variant had at the time.
            overhead_s: what the cloud added to the container's time.
        """
        dimensions = _of(endpoint, variant)
        self._cloudwatch.add(
            NAMESPACE,
            dimensions,
            _NONE,
            Invocations=1,
            InvocationsPerInstance=1 / max(1, instances),
            InvocationModelErrors=outcome.answer is None,
        )
        self._cloudwatch.add(NAMESPACE, dimensions, _MICROSECONDS, OverheadLatency=overhead_s * 1e6)
        self._answered(dimensions, outcome)

    def processed(self, endpoint: str, variant: str, outcome: Outcome, waited_s: float, total_s: float) -> None:
        """One asynchronous invocation: how long it waited in the queue, and how long it took in all."""
        dimensions = _of(endpoint, variant)
        ended = "InvocationsProcessed" if outcome.answer is not None else "InvocationFailures"
        self._cloudwatch.add(NAMESPACE, dimensions, _COUNT, **{ended: 1})
        times = {"TimeInBacklog": waited_s * 1e3, "TotalProcessingTime": total_s * 1e3}
        self._cloudwatch.add(NAMESPACE, dimensions, _MILLISECONDS, **times)
        self._answered(dimensions, outcome)

    def expired(self, endpoint: str, variant: str) -> None:
        """One asynchronous request that waited longer than it may."""
        self._cloudwatch.add(NAMESPACE, _of(endpoint, variant), _COUNT, ExpiredRequests=1, InvocationFailures=1)

    def backlog(self, endpoint: str, waiting: int, instances: int, oldest_s: float) -> None:
        """What waits in an asynchronous endpoint's queue or is under way."""
        dimensions = (("EndpointName", endpoint),)
        self._cloudwatch.add(
            NAMESPACE,
            dimensions,
            _COUNT,
            ApproximateBacklogSize=waiting,
            ApproximateBacklogSizePerInstance=waiting / max(1, instances),
            HasBacklogWithoutCapacity=bool(waiting and not instances),
        )
        self._cloudwatch.add(NAMESPACE, dimensions, _SECONDS, ApproximateAgeOfOldestRequest=oldest_s)

    def model_hit(self, endpoint: str, variant: str, *, loaded: bool) -> None:
        """Whether an invocation found its model loaded."""
        self._cloudwatch.add(NAMESPACE, _of(endpoint, variant), _NONE, ModelCacheHit=loaded)

    def model_times(self, endpoint: str, variant: str, **seconds: float) -> None:
        """ModelLoadingWaitTime, ModelDownloadingTime, ModelLoadingTime or ModelUnloadingTime, given in seconds."""
        times = {name: value * 1e6 for name, value in seconds.items()}
        self._cloudwatch.add(NAMESPACE, _of(endpoint, variant), _MICROSECONDS, **times)

    def models_loaded(self, endpoint: str, variant: str, count: int) -> None:
        """How many models an instance of a multi-model endpoint has loaded."""
        self._cloudwatch.add(INSTANCE_NAMESPACE, _of(endpoint, variant), _NONE, LoadedModelCount=count)

    def _answered(self, dimensions: Dimensions, outcome: Outcome) -> None:
        kind = outcome.status // 100
        errors = {"Invocation4XXErrors": kind == 4, "Invocation5XXErrors": kind == 5}
        self._cloudwatch.add(NAMESPACE, dimensions, _NONE, **errors)
        self._cloudwatch.add(NAMESPACE, dimensions, _MICROSECONDS, ModelLatency=outcome.seconds * 1e6)


def _of(endpoint: str, variant: str) -> Dimensions:
    return (("EndpointName", endpoint), ("VariantName", variant))
