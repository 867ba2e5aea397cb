"""Dashboards of the deployment, held against the structure and syntax that CloudWatch documents.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/CloudWatch-Dashboard-Body-Structure.html
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final, cast

import aws_cdk as cdk
import pytest
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_stepfunctions as sfn

from containers import catalogue
from kindling.policy_documents import Documents
from stacks.constructs.dashboards import Dashboards, DashboardsProps
from stacks.constructs.training_pipeline import TrainingPipeline
from stacks.settings import Settings
from tests.stacks.synthesis import Assembly
from tests.stacks.test_lint import cfn_lint

# The limits of CloudWatch: columns of the grid, metrics of a widget, bytes of a body.
_COLUMNS, _METRICS, _BYTES = 24, 500, 1_000_000
_STATISTIC: Final = r"Sum|Average|Maximum|p50|p99"
_SEARCH: Final = re.compile(
    r"""SEARCH\('\{("/aws/[\w/]+"|AWS/\w+)(,\w+)+\} MetricName="[\w:]+"( \w+=(\w+|"[\w-]+"))*', """
    rf"""'({_STATISTIC})', 300\)"""
)
_OPTIONS: Final = {"label", "stat", "period", "region", "expression", "id", "yAxis", "color"}
_METRIC_WIDGET: Final = {"view", "title", "region", "metrics", "yAxis", "period", "stacked", "annotations", "legend"}

Body = dict[str, Any]


@pytest.fixture(scope="module")
def shown(widest_assembly: Assembly) -> Assembly:
    """The app with dashboards, and with a trigger, which has an alarm."""
    return widest_assembly


@pytest.fixture(scope="module")
def bodies(shown: Assembly) -> dict[str, Body]:
    """The dashboards by name, with what is known only at deployment in well-formed values."""
    resolver = Documents(shown.templates).resolver("KindlingDashboards")
    return {
        dashboard["Properties"]["DashboardName"]: json.loads(resolver.resolve(dashboard["Properties"]["DashboardBody"]))
        for dashboard in shown.resources("AWS::CloudWatch::Dashboard")
    }


def metrics(body: Body) -> Iterator[list[Any]]:
    for widget in body["widgets"]:
        yield from widget["properties"].get("metrics", [])


def searches(body: Body) -> list[str]:
    return [metric[0]["expression"] for metric in metrics(body) if isinstance(metric[0], dict)]


def test_there_are_none_unless_the_settings_want_them(assembly: Assembly) -> None:
    assert not list(assembly.resources("AWS::CloudWatch::Dashboard"))
    assert [Settings.of_environment(name).dashboards for name in ("dev", "staging", "prod")] == [False, False, True]


def test_there_is_one_for_each_algorithm_and_one_for_all(bodies: dict[str, Body]) -> None:
    algorithms = {f"kindling-{name.replace('_', '-')}" for name in catalogue.algorithms()}
    assert set(bodies) == {*algorithms, "kindling"}


def test_cdk_nag_has_nothing_to_say_of_them(shown: Assembly) -> None:
    assert not shown.violations()


def test_cfn_lint_has_nothing_to_say_of_them(shown: Assembly) -> None:
    assert not cfn_lint(shown.path / "KindlingDashboards.template.json")


def test_every_widget_is_what_cloudwatch_documents(bodies: dict[str, Body]) -> None:
    for name, body in bodies.items():
        assert set(body) <= {"widgets", "variables", "start"}
        assert len(json.dumps(body)) < _BYTES
        taken: set[tuple[int, int]] = set()
        for widget in body["widgets"]:
            assert set(widget) == {"type", "x", "y", "width", "height", "properties"}
            assert widget["x"] + widget["width"] <= _COLUMNS
            cells = {
                (widget["x"] + column, widget["y"] + row)
                for column in range(widget["width"])
                for row in range(widget["height"])
            }
            assert not cells & taken, f"two widgets of {name} lie on one another"
            taken |= cells
            check = {"metric": _check_metrics, "text": _check_text, "alarm": _check_alarms}[widget["type"]]
            check(widget["properties"])


def _check_text(properties: Body) -> None:
    assert set(properties) == {"markdown"}
    assert properties["markdown"].startswith("# ")


def _check_alarms(properties: Body) -> None:
    assert set(properties) == {"title", "alarms"}
    assert 1 <= len(properties["alarms"]) <= 100
    assert all(re.fullmatch(r"arn:aws:cloudwatch:[\w-]+:\d{12}:alarm:\S+", arn) for arn in properties["alarms"])


def _check_metrics(properties: Body) -> None:
    assert {"view", "title", "region", "metrics", "period"} <= set(properties) <= _METRIC_WIDGET
    assert properties["view"] == "timeSeries"
    assert 1 <= len(properties["metrics"]) <= _METRICS
    assert re.fullmatch(r"[a-z]{2}(-[a-z]+)+-\d", properties["region"])
    for metric in properties["metrics"]:
        options = metric[-1] if isinstance(metric[-1], dict) else {}
        assert set(options) <= _OPTIONS
        if "expression" in options:
            assert len(metric) == 1
            assert _SEARCH.fullmatch(options["expression"]), options["expression"]
        else:
            # Namespace, name, and pairs of dimensions.
            words = metric[:-1] if options else metric
            assert len(words) >= 4
            assert len(words) % 2 == 0
            assert all(isinstance(word, str) and word for word in words)
            assert re.fullmatch(_STATISTIC, options["stat"])


def test_an_algorithms_dashboard_has_its_executions_metrics_endpoints_and_functions(bodies: dict[str, Body]) -> None:
    for name, algorithm in catalogue.algorithms().items():
        body = bodies[f"kindling-{name.replace('_', '-')}"]
        found = searches(body)
        for metric in algorithm.metrics:
            assert any(f'TrainingJobName}} MetricName="{metric.name}" TrainingJobName=' in one for one in found)
        for metric_name in ("Invocations", "Invocation4XXErrors", "Invocation5XXErrors", "CPUUtilizationNormalized"):
            assert any(f'MetricName="{metric_name}" EndpointName=' in one for one in found), metric_name
        for latency in ("ModelLatency", "OverheadLatency"):
            statistics = {one.split("'")[3] for one in found if latency in one}
            assert statistics == {"p50", "p99"}
        named = [metric for metric in metrics(body) if isinstance(metric[0], str)]
        states = {metric[1] for metric in named if metric[0] == "AWS/States"}
        assert states == {
            *(f"Executions{how}" for how in ("Started", "Succeeded", "Failed", "TimedOut", "Aborted")),
            "ExecutionTime",
        }
        assert {metric[1] for metric in named if metric[0] == "AWS/Lambda"} == {"Errors", "Duration"}


def test_the_jobs_of_an_algorithm_are_found_by_words_of_their_names(bodies: dict[str, Body]) -> None:
    for one in searches(bodies["kindling-linear-learner"]):
        if "TrainingJobName=" in one:
            assert re.findall(r"TrainingJobName=(\w+)", one) == ["kindling", "linear", "learner"]


def test_a_reader_chooses_the_endpoint_of_an_algorithms_dashboard(bodies: dict[str, Body]) -> None:
    (variable,) = bodies["kindling-gluon-fasttext"]["variables"]
    assert variable["type"] == "pattern"
    assert variable["defaultValue"] == "gluon-fasttext"
    assert variable["populateFrom"] == "EndpointName"
    chosen = [one for one in searches(bodies["kindling-gluon-fasttext"]) if "EndpointName=" in one]
    assert len(chosen) == 10
    assert all(f'EndpointName="{variable["pattern"]}"' in one for one in chosen)


def test_the_dashboard_of_all_has_every_pipeline_endpoint_alarm_and_cost(bodies: dict[str, Body]) -> None:
    body = bodies["kindling"]
    named = [metric for metric in metrics(body) if isinstance(metric[0], str)]
    machines = {metric[-1]["label"] for metric in named if metric[0] == "AWS/States"}
    assert machines == {*catalogue.algorithms(), "experiments"}
    assert not any("EndpointName=" in one for one in searches(body))
    charges = [metric for metric in named if metric[0] == "AWS/Billing"]
    assert [metric[-1]["region"] for metric in charges] == ["us-east-1", "us-east-1"]
    (alarms,) = [widget for widget in body["widgets"] if widget["type"] == "alarm"]
    assert len(alarms["properties"]["alarms"]) == 1


def test_pages_that_a_dashboard_names_are_there(bodies: dict[str, Body]) -> None:
    for body in bodies.values():
        pages = re.findall(r"docs/\w+\.md", body["widgets"][0]["properties"]["markdown"])
        assert pages == ["docs/runbook.md", "docs/dashboards.md"]
        assert all((Path(__file__).parents[2] / page).is_file() for page in pages)


def test_an_algorithm_more_has_a_dashboard_more() -> None:
    fifth = catalogue.algorithms()["blazingtext"].model_copy(update={"name": "fifth_one", "title": "A fifth"})
    algorithms = {**catalogue.algorithms(), "fifth_one": fifth}
    stack = cdk.Stack(cdk.App(), "Stack")
    passing = json.dumps({"StartAt": "Pass", "States": {"Pass": {"Type": "Pass", "End": True}}})
    machines = {
        name: sfn.StateMachine(stack, name, definition_body=sfn.DefinitionBody.from_string(passing))
        for name in (*algorithms, "experiments")
    }
    made = Dashboards(
        stack,
        "Dashboards",
        DashboardsProps(
            settings=Settings(),
            algorithms=algorithms,
            pipelines={
                name: cast("TrainingPipeline", SimpleNamespace(state_machine=machines[name])) for name in algorithms
            },
            experiments=machines["experiments"],
            functions=[],
            alarms=[],
        ),
    )
    assert "kindling-fifth-one" in made.names
    names = [one.dashboard_name for one in made.node.find_all() if isinstance(one, cloudwatch.CfnDashboard)]
    assert sorted(map(str, names)) == sorted(made.names)
