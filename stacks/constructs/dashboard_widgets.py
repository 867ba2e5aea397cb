"""What dashboards show, by search where what is shown is made later."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import aws_cdk as cdk
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_stepfunctions as sfn

PERIOD: Final = cdk.Duration.minutes(5)
# A dashboard has 24 columns.
_WHOLE, _HALF, _THIRD, _HEIGHT = 24, 12, 8, 6
_ENDPOINTS, _HOSTS = "AWS/SageMaker,EndpointName,VariantName", "/aws/sagemaker/Endpoints,EndpointName,VariantName"


def search(schema: str, metric: str, statistic: str, terms: str = "", label: str = "") -> cloudwatch.SearchExpression:
    """Every metric of a name, one line for each, those that are begun later among them.

    Args:
        schema: namespace and dimensions, with commas between them.
        terms: what its dimensions must match, in CloudWatch's own words.
    """
    wanted = " ".join(filter(None, ("{" + _quoted(schema) + "}", f'MetricName="{metric}"', terms)))
    seconds = int(PERIOD.to_seconds())
    return cloudwatch.SearchExpression(
        expression=f"SEARCH('{wanted}', '{statistic}', {seconds})", label=label, period=PERIOD
    )


def _quoted(schema: str) -> str:
    """A namespace is quoted where it begins with a slash."""
    namespace, _, dimensions = schema.partition(",")
    return f'"{namespace}",{dimensions}' if namespace.startswith("/") else schema


def graph(
    title: str,
    metrics: Sequence[cloudwatch.IMetric],
    *,
    unit: str = "",
    width: int = _THIRD,
) -> cloudwatch.GraphWidget:
    """A graph of metrics; `unit` is what its left axis says."""
    return cloudwatch.GraphWidget(
        title=title,
        left=list(metrics),
        left_y_axis=cloudwatch.YAxisProps(label=unit, show_units=not unit, min=0),
        width=width,
        height=_HEIGHT,
        period=PERIOD,
    )


def text(markdown: str) -> cloudwatch.TextWidget:
    """A row of words."""
    return cloudwatch.TextWidget(markdown=markdown, width=_WHOLE, height=2)


def executions(machine: sfn.IStateMachine) -> list[cloudwatch.IWidget]:
    """How many executions of a state machine began and how they ended, and how long they took."""
    counts = [
        machine.metric_started(label="started", period=PERIOD),
        machine.metric_succeeded(label="succeeded", period=PERIOD),
        machine.metric_failed(label="failed", period=PERIOD),
        machine.metric_timed_out(label="timed out", period=PERIOD),
        machine.metric_aborted(label="aborted", period=PERIOD),
    ]
    durations = [
        machine.metric_time(label=statistic, statistic=statistic, period=PERIOD) for statistic in ("p50", "p99")
    ]
    return [
        graph("Executions", counts, unit="executions", width=_HALF),
        graph("Time of an execution", durations, unit="ms", width=_HALF),
    ]


def endpoints(terms: str = "") -> list[list[cloudwatch.IWidget]]:
    """Two rows on the endpoints whose dimensions match `terms`: what they are asked and how they answer."""

    def found(metric: str, statistic: str, schema: str = _ENDPOINTS, label: str = "") -> cloudwatch.SearchExpression:
        return search(schema, metric, statistic, terms, label)

    latencies = [
        graph(
            f"{words} latency",
            [found(metric, statistic, label=statistic) for statistic in ("p50", "p99")],
            unit="µs",
        )
        for words, metric in (("Model", "ModelLatency"), ("Overhead", "OverheadLatency"))
    ]
    hosts = [
        *(found(f"{what}UtilizationNormalized", "Average", _HOSTS, what) for what in ("CPU", "Memory")),
        found("DiskUtilization", "Average", _HOSTS, "disk"),
    ]
    return [
        [
            graph("Invocations", [found("Invocations", "Sum")], unit="requests"),
            graph("Answers 4xx: the request", [found("Invocation4XXErrors", "Sum")], unit="requests"),
            graph("Answers 5xx: the model", [found("Invocation5XXErrors", "Sum")], unit="requests"),
        ],
        [*latencies, graph("Instances", hosts, unit="%")],
    ]


def functions(made: Sequence[lambda_.IFunction], names: Sequence[str]) -> list[cloudwatch.IWidget]:
    """Errors and durations of functions, under their names in the stack."""
    named = list(zip(made, names, strict=True))
    errors = [function.metric_errors(label=name, period=PERIOD) for function, name in named]
    durations = [function.metric_duration(label=name, statistic="Maximum", period=PERIOD) for function, name in named]
    return [
        graph("Errors of functions", errors, unit="errors", width=_HALF),
        graph("Longest call of functions", durations, unit="ms", width=_HALF),
    ]
