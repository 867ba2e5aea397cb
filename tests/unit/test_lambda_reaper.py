"""Endpoints that nobody asks are told of or deleted; all others stay. SageMaker's logs expire."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError
from pydantic import ValidationError

from lambdas.reaper import handler as reaper
from lambdas.reaper.log_groups import limit_retention

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
TOPIC = "arn:aws:sns:us-east-1:123456789012:alarms"
PRICES = {"ml.m5.large": 0.115, "ml.c5.xlarge": 0.204}
CONTEXT: Any = SimpleNamespace(
    function_name="f",
    memory_limit_in_mb=256,
    invoked_function_arn="arn:aws:lambda:us-east-1:123456789012:function:f",
    aws_request_id="r",
)


def refusal(code: str, message: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": message}}, "Operation")


class Aws:
    """As much of AWS as the reaper sees: every client in one, with pages of two."""

    def __init__(self) -> None:
        self.endpoints: dict[str, dict[str, Any]] = {}
        self.configs: dict[str, dict[str, Any]] = {}
        self.models: set[str] = set()
        self.invocations: dict[tuple[str, str], list[tuple[datetime, float]]] = {}
        self.groups: dict[str, dict[str, Any]] = {}
        self.alarms: dict[str, str] = {}  # the endpoint by the alarm's name
        self.published: list[dict[str, str]] = []
        self.refused: dict[str, str] = {}

    def add_endpoint(self, name: str, *, hours_old: float = 100, **changes: Any) -> None:
        """An endpoint of a pipeline on one instance, with its configuration and its model, that nobody asks."""
        config = changes.pop("config", f"kindling-blazingtext-{name}")
        variants = changes.pop("variants", {"AllTraffic": ("ml.m5.large", 1)})
        tags = {"kindling:algorithm": "blazingtext", "kindling:run": f"run-{name}", **changes.pop("tags", {})}
        self.endpoints[name] = {
            "EndpointName": name,
            "EndpointArn": f"arn:aws:sagemaker:us-east-1:123456789012:endpoint/{name}",
            "EndpointConfigName": config,
            "EndpointStatus": "InService",
            "CreationTime": NOW - timedelta(hours=1000),
            "LastModifiedTime": NOW - timedelta(hours=hours_old),
            "ProductionVariants": [
                {"VariantName": variant, "CurrentInstanceCount": count} for variant, (_, count) in variants.items()
            ],
            "tags": {key: value for key, value in tags.items() if value is not None},
            **{name: value for name, value in changes.items() if name[0].isupper()},
        }
        self.configs[config] = {
            "ProductionVariants": [
                {
                    "VariantName": variant,
                    "ModelName": config,
                    **({"InstanceType": kind} if kind else {"ServerlessConfig": {}}),
                }
                for variant, (kind, _) in variants.items()
            ],
            **changes.get("config_options", {}),
        }
        self.models.add(config)

    def get_paginator(self, operation: str) -> Any:
        return SimpleNamespace(paginate=getattr(self, f"_{operation}"))

    def _list_endpoints(self) -> Iterator[dict[str, Any]]:
        named = list(self.endpoints.values())
        for first in range(0, len(named), 2):
            yield {"Endpoints": named[first : first + 2]}

    def _list_tags(self, ResourceArn: str) -> Iterator[dict[str, Any]]:  # noqa: N803
        tags = self.endpoints[ResourceArn.rpartition("/")[2]]["tags"]
        for key, value in tags.items():
            yield {"Tags": [{"Key": key, "Value": value}]}

    def _describe_log_groups(self, logGroupNamePrefix: str) -> Iterator[dict[str, Any]]:  # noqa: N803
        for name, group in self.groups.items():
            if name.startswith(logGroupNamePrefix):
                yield {"logGroups": [{"logGroupName": name, "arn": f"arn:logs:{name}:*", **group}]}

    def _describe_alarms(self, AlarmNamePrefix: str, AlarmTypes: list[str]) -> Iterator[dict[str, Any]]:  # noqa: N803
        assert AlarmTypes == ["MetricAlarm"]
        for name, endpoint in self.alarms.items():
            if name.startswith(AlarmNamePrefix):
                dimensions = [{"Name": "EndpointName", "Value": endpoint}, {"Name": "VariantName", "Value": "x"}]
                yield {"MetricAlarms": [{"AlarmName": name, "Dimensions": dimensions}]}

    def delete_alarms(self, AlarmNames: list[str]) -> None:  # noqa: N803
        for name in AlarmNames:
            del self.alarms[name]

    def describe_endpoint(self, EndpointName: str) -> dict[str, Any]:  # noqa: N803
        return self._found(self.endpoints, EndpointName)

    def describe_endpoint_config(self, EndpointConfigName: str) -> dict[str, Any]:  # noqa: N803
        return self._found(self.configs, EndpointConfigName)

    def delete_endpoint(self, EndpointName: str) -> None:  # noqa: N803
        self._allowed("delete_endpoint")
        del self.endpoints[EndpointName]

    def delete_endpoint_config(self, EndpointConfigName: str) -> None:  # noqa: N803
        self._allowed("delete_endpoint_config")
        del self.configs[EndpointConfigName]

    def delete_model(self, ModelName: str) -> None:  # noqa: N803
        self.models.remove(ModelName)

    def get_metric_statistics(self, **asked: Any) -> dict[str, Any]:
        assert (asked["Namespace"], asked["MetricName"]) == ("AWS/SageMaker", "Invocations")
        endpoint, variant = (one["Value"] for one in asked["Dimensions"])
        data = self.invocations.get((endpoint, variant), [])
        return {"Datapoints": [{"Sum": n} for at, n in data if asked["StartTime"] <= at < asked["EndTime"]]}

    def publish(self, **message: str) -> None:
        self.published.append(message)

    def list_tags_for_resource(self, resourceArn: str) -> dict[str, Any]:  # noqa: N803
        name = resourceArn.removeprefix("arn:logs:")
        assert not name.endswith(":*")
        if "gone" in self.groups[name]:
            raise refusal("ResourceNotFoundException", "The specified log group does not exist.")
        return {"tags": self.groups[name].get("tags", {})}

    def put_retention_policy(self, logGroupName: str, retentionInDays: int) -> None:  # noqa: N803
        self._allowed("put_retention_policy")
        self.groups[logGroupName]["retentionInDays"] = retentionInDays

    def _found(self, things: dict[str, dict[str, Any]], name: str) -> dict[str, Any]:
        if name not in things:
            raise refusal("ValidationException", f'Could not find "{name}".')
        return things[name]

    def _allowed(self, operation: str) -> None:
        if operation in self.refused:
            raise refusal("AccessDeniedException", self.refused[operation])


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Aws:
    found = Aws()
    monkeypatch.setattr(reaper, "_client", lambda _service: found)
    return found


def look(**changes: Any) -> dict[str, Any]:
    asked = {
        "at": "2026-06-01T12:00:00Z",
        "ours": "kindling-",
        "action": "report",
        "idle_hours": 24,
        "topic_arn": TOPIC,
        "log_retention_days": 90,
        "prices_usd_per_hour": PRICES,
    }
    answer: dict[str, Any] = reaper.handler(asked | changes, CONTEXT)
    return answer


def test_an_idle_endpoint_is_told_with_its_price_and_what_can_be_done(aws: Aws) -> None:
    aws.add_endpoint("text8")
    assert look()["idle"] == {"text8": None}
    [message] = aws.published
    assert message["TopicArn"] == TOPIC
    assert message["Subject"] == "Kindling: 1 idle endpoint"
    assert message["Message"] == (
        "Nobody asked this endpoint anything for 24 hours:\n\n"
        "- text8 (blazingtext, run run-text8): 1 x ml.m5.large, 83.95 USD a month. "
        "Delete it with `aws sagemaker delete-endpoint --endpoint-name text8`, or keep it with "
        "`aws sagemaker add-tags --resource-arn arn:aws:sagemaker:us-east-1:123456789012:endpoint/text8 "
        "--tags Key=kindling:keep,Value=true`."
    )
    assert "text8" in aws.endpoints


def test_several_are_told_in_one_message_with_the_sum_of_the_known_prices(aws: Aws) -> None:
    aws.add_endpoint("a", variants={"one": ("ml.m5.large", 2), "two": ("ml.c5.xlarge", 1)})
    aws.add_endpoint("b", tags={"kindling:run": None})
    aws.add_endpoint("c", variants={"one": ("ml.p9.large", 1)})
    look()
    [message] = aws.published
    assert message["Subject"] == "Kindling: 3 idle endpoints"
    lines = message["Message"].splitlines()
    assert lines[0] == "Nobody asked these endpoints anything for 24 hours:"
    assert lines[2].startswith(
        "- a (blazingtext, run run-a): 2 x ml.m5.large and 1 x ml.c5.xlarge, 316.82 USD a month."
    )
    assert lines[3].startswith("- b (blazingtext): 1 x ml.m5.large, 83.95 USD a month.")
    assert lines[4].startswith("- c (blazingtext, run run-c): 1 x ml.p9.large, whose price is not in the settings.")
    assert lines[-1] == "Together they cost 400.77 USD a month, and 1 more whose price is not known."


@pytest.mark.parametrize("action", ["report", "delete"])
@pytest.mark.parametrize(
    ("why", "endpoint"),
    [
        ("it has just been made", {"CreationTime": NOW - timedelta(hours=2)}),
        ("it has just been changed", {"hours_old": 23}),
        ("it is in motion", {"EndpointStatus": "Updating"}),
        ("it is being deleted", {"EndpointStatus": "Deleting"}),
        ("it has failed and has no instances", {"EndpointStatus": "Failed"}),
        ("it is kept", {"tags": {"kindling:keep": "true"}}),
        ("it is kept, in capitals", {"tags": {"kindling:keep": "True"}}),
        ("no pipeline made it", {"tags": {"kindling:algorithm": None}}),
        ("another deployment made what it serves", {"config": "other-blazingtext-run"}),
        ("it is serverless", {"variants": {"AllTraffic": (None, 0)}}),
        ("it is scaled to nothing", {"variants": {"AllTraffic": ("ml.m5.large", 0)}}),
        ("its requests are asynchronous", {"config_options": {"AsyncInferenceConfig": {}}}),
    ],
)
def test_an_endpoint_is_left_alone_when(aws: Aws, action: str, why: str, endpoint: dict[str, Any]) -> None:
    aws.add_endpoint("stays", **endpoint)
    aws.add_endpoint("goes")
    assert list(look(action=action)["idle"]) == ["goes"], why
    assert "stays" in aws.endpoints
    assert aws.endpoints["stays"]["EndpointConfigName"] in aws.configs


def test_an_endpoint_with_traffic_on_any_of_its_variants_is_not_idle(aws: Aws) -> None:
    aws.add_endpoint("asked", variants={"one": ("ml.m5.large", 1), "two": ("ml.m5.large", 1)})
    aws.invocations["asked", "two"] = [(NOW - timedelta(hours=23), 1.0)]
    assert look() == {"idle": {}, "log_groups": []}
    assert not aws.published


def test_traffic_counts_for_as_long_as_the_setting_says(aws: Aws) -> None:
    aws.add_endpoint("asked")
    aws.invocations["asked", "AllTraffic"] = [(NOW - timedelta(hours=30), 5.0), (NOW - timedelta(hours=25), 0.0)]
    assert list(look(idle_hours=24)["idle"]) == ["asked"]
    assert list(look(idle_hours=48)["idle"]) == []


def test_tags_and_endpoints_on_later_pages_are_seen(aws: Aws) -> None:
    for number in range(5):
        aws.add_endpoint(f"e{number}")
    aws.add_endpoint("kept", tags={**{f"t{n}": "x" for n in range(9)}, "kindling:keep": "true"})
    assert list(look()["idle"]) == [f"e{number}" for number in range(5)]


def test_an_endpoint_that_is_gone_by_the_time_it_is_looked_at_is_no_error(
    aws: Aws, monkeypatch: pytest.MonkeyPatch
) -> None:
    aws.add_endpoint("gone")
    pages = list(aws._list_endpoints())
    tags = list(aws._list_tags("endpoint/gone"))
    monkeypatch.setattr(aws, "_list_endpoints", lambda: pages)
    monkeypatch.setattr(aws, "_list_tags", lambda **_: tags)
    del aws.endpoints["gone"]
    assert look()["idle"] == {}


def test_an_idle_endpoint_is_deleted_with_what_stands_behind_it(aws: Aws) -> None:
    aws.add_endpoint("text8")
    aws.add_endpoint("kept", tags={"kindling:keep": "true"})
    assert look(action="delete")["idle"] == {"text8": "It was deleted with its configuration and its models."}
    assert set(aws.endpoints) == {"kept"}
    assert set(aws.configs) == aws.models == {"kindling-blazingtext-kept"}
    assert "83.95 USD a month. It was deleted with its configuration" in aws.published[0]["Message"]


def test_its_own_alarms_go_with_it_and_no_other(aws: Aws) -> None:
    aws.add_endpoint("text8")
    aws.alarms = {
        "kindling-blazingtext-text8-5xx": "text8",
        "kindling-blazingtext-text8-idle": "text8",
        "kindling-blazingtext-text8-2-idle": "text8-2",
        "by-hand": "text8",
    }
    look()
    assert len(aws.alarms) == 4
    look(action="delete")
    assert set(aws.alarms) == {"kindling-blazingtext-text8-2-idle", "by-hand"}


def test_a_model_made_by_hand_is_left_alone_and_named(aws: Aws) -> None:
    aws.add_endpoint("text8")
    aws.configs["kindling-blazingtext-text8"]["ProductionVariants"][0]["ModelName"] = "by-hand"
    aws.models.add("by-hand")
    [outcome] = look(action="delete")["idle"].values()
    assert outcome == "It was deleted. Not made by a pipeline and left alone: by-hand."
    assert "by-hand" in aws.models


def test_one_that_cannot_be_deleted_is_told_and_keeps_no_other_from_being_deleted(aws: Aws) -> None:
    aws.add_endpoint("a")
    aws.refused["delete_endpoint"] = "not authorised."
    assert look(action="delete")["idle"] == {"a": "It could not be deleted: not authorised."}
    assert "kindling-blazingtext-a" in aws.configs

    del aws.refused["delete_endpoint"]
    aws.add_endpoint("b")
    aws.refused["delete_endpoint_config"] = "try later"
    words = "It was deleted; what belonged to it was not: try later."
    assert look(action="delete")["idle"] == {"a": words, "b": words}


def test_nothing_is_looked_at_and_told_where_the_settings_want_nothing(aws: Aws) -> None:
    aws.add_endpoint("text8")
    assert look(action="none")["idle"] == {}
    assert not aws.published


def test_only_sagemakers_own_log_groups_that_never_expire_are_changed(aws: Aws) -> None:
    aws.groups = {
        "/aws/sagemaker/TrainingJobs": {},
        "/aws/sagemaker/Endpoints/text8": {},
        "/aws/sagemaker/Endpoints/mine": {"retentionInDays": 1},
        "/aws/sagemaker/Endpoints/kept": {"tags": {"kindling:keep": "true"}},
        "/aws/sagemaker/Endpoints/gone": {"gone": True},
        "/aws/sagemaker/TrainingJobsOfOthers": {},
        "/aws/sagemaker/NotebookInstances": {},
        "/aws/lambda/mine": {},
    }
    assert look()["log_groups"] == ["/aws/sagemaker/TrainingJobs", "/aws/sagemaker/Endpoints/text8"]
    kept = {name: group.get("retentionInDays") for name, group in aws.groups.items()}
    assert {name for name, days in kept.items() if days == 90} == {
        "/aws/sagemaker/TrainingJobs",
        "/aws/sagemaker/Endpoints/text8",
    }
    assert kept["/aws/sagemaker/Endpoints/mine"] == 1
    assert limit_retention(aws, 90) == []


def test_a_log_group_that_may_not_be_changed_is_an_error_that_the_alarm_tells(aws: Aws) -> None:
    aws.groups = {"/aws/sagemaker/TrainingJobs": {}}
    aws.refused["put_retention_policy"] = "not authorised"
    with pytest.raises(ClientError, match="not authorised"):
        look()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *(("at", "noon"), ("at", "2026-06-01T12:00:00"), ("ours", ""), ("action", "destroy"), ("idle_hours", 0)),
        *(("log_retention_days", 0), ("colour", "red")),
    ],
)
def test_what_cannot_be_meant_is_refused_with_its_field(aws: Aws, field: str, value: object) -> None:
    aws.add_endpoint("text8")
    with pytest.raises(ValidationError, match=field):
        look(**{"action": "delete", field: value})
    assert "text8" in aws.endpoints
