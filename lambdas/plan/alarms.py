"""An endpoint's alarms, in PutMetricAlarm's own terms; docs/runbook.md says what to do about each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from lambdas.plan.request import Alarms, Endpoint
from lambdas.plan.site import Site

VARIANT = "AllTraffic"
_SERVICE, _HOSTS = "AWS/SageMaker", "/aws/sagemaker/Endpoints"
# One bad minute is enough: traffic that has been shifted is put back at once, not after three.
_MINUTE = {"Period": 60, "EvaluationPeriods": 1, "TreatMissingData": "notBreaching"}


def endpoint_alarms(endpoint: Endpoint, site: Site) -> list[dict[str, Any]]:
    """The requests but for what an alarm does when it goes off; none where no alarms are wanted."""
    wanted = endpoint.alarms
    if wanted is None and site.endpoint_alarms and "alarms" not in endpoint.model_fields_set:
        wanted = Alarms()
    if wanted is None:
        return []
    dimensions = [{"Name": "EndpointName", "Value": endpoint.name}, {"Name": "VariantName", "Value": VARIANT}]
    return [
        {
            "ComparisonOperator": "GreaterThanOrEqualToThreshold",
            **alarm,
            "AlarmName": f"{site.name_prefix}-{endpoint.name}-{name}",
            "AlarmDescription": f"Endpoint {endpoint.name}: {words} See docs/runbook.md.",
            "Dimensions": dimensions,
        }
        for name, words, alarm in _wanted(wanted, serverless=endpoint.serverless is not None)
    ]


def _wanted(wanted: Alarms, *, serverless: bool) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    if wanted.errors_5xx is not None:
        metric = {"Namespace": _SERVICE, "MetricName": "Invocation5XXErrors", "Statistic": "Sum"}
        yield "5xx", "the model failed to answer.", {**_MINUTE, **metric, "Threshold": wanted.errors_5xx}
    if wanted.latency_p99_ms is not None:
        metric = {"Namespace": _SERVICE, "MetricName": "ModelLatency", "ExtendedStatistic": "p99"}
        # In microseconds, as the service counts.
        threshold = wanted.latency_p99_ms * 1000
        yield "latency", "one answer in a hundred takes too long.", {**_MINUTE, **metric, "Threshold": threshold}
    if wanted.cpu_percent is not None and not serverless:
        metric = {"Namespace": _HOSTS, "MetricName": "CPUUtilizationNormalized", "Statistic": "Average"}
        yield (
            "cpu",
            "its instances are busy; with more of them answers come sooner.",
            {**_MINUTE, "EvaluationPeriods": 3, **metric, "Threshold": wanted.cpu_percent},
        )
    if wanted.idle_hours is not None:
        yield (
            "idle",
            "nobody asks, and its instances are paid for.",
            {
                "Namespace": _SERVICE,
                "MetricName": "Invocations",
                "Statistic": "Sum",
                "Period": 3600,
                "EvaluationPeriods": wanted.idle_hours,
                "TreatMissingData": "breaching",
                "Threshold": 1,
                "ComparisonOperator": "LessThanThreshold",
            },
        )
