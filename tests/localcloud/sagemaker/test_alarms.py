"""CloudWatch alarms go off by their metrics, and tell SNS."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from kindling.localcloud.alarms import state_of
from tests.localcloud.sagemaker.conftest import Account, new_name, until

NOW = datetime(2026, 1, 1, tzinfo=UTC)
OK, ALARM, NO_DATA = "OK", "ALARM", "INSUFFICIENT_DATA"


def alarm(**changes: Any) -> Any:
    """An alarm as moto keeps it: more than 5 in three minutes of three."""
    settings = {
        "namespace": "N",
        "metric_name": "M",
        "dimensions": [],
        "unit": None,
        "statistic": "Sum",
        "extended_statistic": None,
        "period": 60,
        "evaluation_periods": 3,
        "datapoints_to_alarm": None,
        "threshold": 5.0,
        "comparison_operator": "GreaterThanThreshold",
        "treat_missing_data": None,
    }
    return SimpleNamespace(**settings | changes)


def datum(minutes_ago: float, value: float = 0.0, **changes: Any) -> Any:
    settings = {"namespace": "N", "name": "M", "dimensions": [], "unit": None, "value": value}
    return SimpleNamespace(timestamp=NOW - timedelta(minutes=minutes_ago), **settings | changes)


def minutes(text: str) -> list[Any]:
    """Data as CloudWatch's user guide draws it: the latest minute last, X breaching, 0 not, - missing."""
    return [
        datum(age + 0.5, 9.0 if drawn == "X" else 1.0)
        for age, drawn in enumerate(reversed(text.replace(" ", "")))
        if drawn != "-"
    ]


# The tables of "Configuring how CloudWatch alarms treat missing data": missing, ignore, breaching, notBreaching.
@pytest.mark.parametrize(
    ("needed", "drawn", "states"),
    [
        (3, "0 - X - X", (OK, OK, OK, OK)),
        (3, "- - - - 0", (OK, OK, OK, OK)),
        (3, "- - - - -", (NO_DATA, None, ALARM, OK)),
        (3, "0 X X - X", (ALARM, ALARM, ALARM, ALARM)),
        (3, "- - X - -", (ALARM, None, ALARM, OK)),
        (2, "0 - X - X", (ALARM, ALARM, ALARM, ALARM)),
        (2, "0 0 X 0 X", (ALARM, ALARM, ALARM, ALARM)),
        (2, "0 - X - -", (OK, OK, ALARM, OK)),
        (2, "- - - - 0", (OK, OK, ALARM, OK)),
        (2, "- - - X -", (ALARM, None, ALARM, OK)),
    ],
)
def test_missing_data_is_treated_as_the_user_guide_has_it(
    needed: int, drawn: str, states: tuple[str | None, ...]
) -> None:
    for treatment, state in zip(("missing", "ignore", "breaching", "notBreaching"), states, strict=True):
        found = state_of(alarm(datapoints_to_alarm=needed, treat_missing_data=treatment), minutes(drawn), NOW)
        assert found == state, treatment


@pytest.mark.parametrize(
    ("statistic", "value"),
    [("Sum", 19), ("Average", 3.8), ("Minimum", 1), ("Maximum", 7), ("SampleCount", 5), ("p50", 11 / 3), ("p99", 7)],
)
def test_single_values_and_statistic_sets_count_together(statistic: str, value: float) -> None:
    data = [datum(0.1, 7.0), datum(0.2, 1.0), datum(0.3)]
    del data[2].value
    data[2] = SimpleNamespace(**vars(data[2]), min=1.0, max=6.0, sum=11.0, sample_count=3.0)
    named = {"extended_statistic": statistic} if statistic[0] == "p" else {"statistic": statistic}
    for comparison, threshold in (("GreaterThanOrEqualToThreshold", value), ("LessThanOrEqualToThreshold", value)):
        one = alarm(**named, evaluation_periods=1, threshold=threshold, comparison_operator=comparison)
        assert state_of(one, data, NOW) == ALARM


def test_other_metrics_do_not_count() -> None:
    here = [SimpleNamespace(name="E", value="e")]
    one = alarm(evaluation_periods=1, dimensions=here, unit="Count")
    for wrong in ({"namespace": "O"}, {"name": "O"}, {"dimensions": []}, {"unit": "Bytes"}):
        data = [datum(0.5, 9.0, **{"dimensions": here, "unit": "Count"} | wrong)]
        assert state_of(one, data, NOW) == NO_DATA
    assert state_of(one, [datum(0.5, 9.0, dimensions=here, unit="Count")], NOW) == ALARM


def test_an_alarm_tells_its_topic_when_its_state_changes(account: Account) -> None:
    cloudwatch, sns, sqs = account.client("cloudwatch"), account.client("sns"), account.client("sqs")
    name = new_name("alarm")
    topic = sns.create_topic(Name=name)["TopicArn"]
    queue = sqs.create_queue(QueueName=name)["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)
    request = {
        "AlarmName": name,
        "Namespace": "Tests",
        "MetricName": name,
        "Statistic": "Maximum",
        "Period": 60,
        "EvaluationPeriods": 1,
        "Threshold": 1,
        "ComparisonOperator": "GreaterThanThreshold",
        "AlarmActions": [topic],
        "OKActions": [topic],
    }
    cloudwatch.put_metric_alarm(**request)

    def state() -> str:
        return str(cloudwatch.describe_alarms(AlarmNames=[name])["MetricAlarms"][0]["StateValue"])

    def heard() -> dict[str, Any]:
        found = until(lambda: sqs.receive_message(QueueUrl=queue).get("Messages"))
        sqs.delete_message(QueueUrl=queue, ReceiptHandle=found[0]["ReceiptHandle"])
        notification = json.loads(found[0]["Body"])
        return {**json.loads(notification["Message"]), "Subject": notification["Subject"]}

    until(lambda: state() == NO_DATA)
    cloudwatch.put_metric_data(Namespace="Tests", MetricData=[{"MetricName": name, "Value": 2}])
    until(lambda: state() == ALARM)
    told = heard()
    assert (told["AlarmName"], told["OldStateValue"], told["NewStateValue"]) == (name, NO_DATA, ALARM)
    assert told["Subject"].startswith(f'ALARM: "{name}"')
    assert told["Trigger"]["MetricName"] == name
    cloudwatch.set_alarm_state(AlarmName=name, StateValue="OK", StateReason="by hand")
    assert heard()["NewStateValue"] == OK
    assert state() == OK, "what was set by hand holds for a while"
    cloudwatch.delete_alarms(AlarmNames=[name])


def test_metric_math_is_not_evaluated_and_says_so(account: Account) -> None:
    cloudwatch, name = account.client("cloudwatch"), new_name("alarm")
    cloudwatch.put_metric_alarm(
        AlarmName=name,
        EvaluationPeriods=1,
        Threshold=1,
        ComparisonOperator="GreaterThanThreshold",
        Metrics=[{"Id": "m", "Expression": "1 + 1", "Label": "l", "ReturnData": True}],
    )

    def reason() -> str:
        return str(cloudwatch.describe_alarms(AlarmNames=[name])["MetricAlarms"][0]["StateReason"])

    until(lambda: "metric math are not implemented by the embedded cloud" in reason())
    cloudwatch.delete_alarms(AlarmNames=[name])
