"""Triggers: what the setting may say, and the rules that it gives."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk.assertions import Template

from stacks.constructs.buckets import Buckets
from stacks.settings import InvalidSettingError, Settings
from stacks.trigger import WRITTEN_FOLDERS
from tests.localcloud.test_resource_types import template
from tests.stacks.policies import policies
from tests.stacks.synthesis import CONTEXT, Assembly, run_app
from tests.stacks.test_lint import cfn_lint

NIGHTLY: dict[str, Any] = {
    "name": "nightly",
    "algorithm": "blazingtext",
    "schedule": "rate(1 day)",
    "input": {"inputs": {"train": "s3://{data}/blazingtext/text8"}},
}
ARRIVAL = {"schedule": None, "arrival": "blazingtext/incoming/"}
TOML = """
[[triggers]]
name = "nightly"
algorithm = "blazingtext"
schedule = "rate(1 day)"
input = { name = "nightly", inputs = { train = "s3://{data}/blazingtext/text8" } }

[[triggers]]
name = "arrived"
algorithm = "blazingtext"
arrival = "blazingtext/incoming/"
input = '{"inputs": {"train": "s3://{data}/{prefix}"}, "endpoint": null}'
enabled = false
"""


TRIGGERS: list[dict[str, Any]] = [
    {
        "name": "nightly-vectors",
        "algorithm": "blazingtext",
        "schedule": "cron(0 3 * * ? *)",
        "input": {"name": "nightly", "inputs": {"train": "s3://{data}/blazingtext/text8"}, "endpoint": None},
    },
    {
        "name": "incoming",
        "algorithm": "linear_learner",
        "arrival": "linear_learner/incoming/",
        "input": {"inputs": {"train": "s3://{data}/{prefix}"}, "endpoint": {"name": "incoming"}},
    },
    {
        "name": "lists",
        "algorithm": "fairseq",
        "arrival": "fairseq/lists/",
        "marker": "*.manifest",
        "enabled": False,
        "input": {"inputs": {"train": {"s3_uri": "s3://{data}/{key}", "s3_data_type": "ManifestFile"}}},
    },
]


@pytest.fixture(scope="module")
def triggered(tmp_path_factory: pytest.TempPathFactory) -> Assembly:
    """The app with these triggers."""
    out = tmp_path_factory.mktemp("triggers") / "out"
    process = run_app(out, triggers=json.dumps(TRIGGERS))
    assert process.returncode == 0 or (out / "validation-report.json").exists(), process.stderr
    return Assembly(out)


def trigger(**changes: Any) -> dict[str, Any]:
    """A trigger with changes, of which None takes a field away."""
    return {name: value for name, value in {**NIGHTLY, **changes}.items() if value is not None}


def test_triggers_are_read_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "prod.toml").write_text(TOML)
    nightly, arrived = Settings.of_environment("prod", tmp_path).triggers
    assert (nightly.schedule, nightly.arrival, nightly.enabled) == ("rate(1 day)", None, True)
    assert (arrived.arrival, arrived.marker, arrived.enabled) == ("blazingtext/incoming/", "_SUCCESS", False)
    assert arrived.input["endpoint"] is None


def test_triggers_may_come_from_the_command_line_as_json() -> None:
    (found,) = Settings.from_context({"triggers": json.dumps([NIGHTLY])}).triggers
    assert found.name == "nightly"
    assert Settings.from_context({"triggers": ""}).triggers == ()


@pytest.mark.parametrize(
    "schedule",
    [
        *("rate(1 minute)", "rate(5 minutes)", "rate(12 hours)", "cron(0 3 * * ? *)", "cron(0/15 8-18 ? * MON-FRI *)"),
        *("cron(0 3 L * ? *)", "cron(0 3 15W * ? *)", "cron(0 3 ? * 6#2 *)", "cron(0 3 1 JAN,JUL ? 2026-2030)"),
    ],
)
def test_schedules_that_eventbridge_takes_are_taken(schedule: str) -> None:
    assert Settings.from_context({"triggers": [trigger(schedule=schedule)]}).triggers[0].schedule == schedule


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"arrival": "blazingtext/in/"}, "nightly has both of schedule and arrival; it must have one of the two."),
        ({"schedule": None}, "nightly has neither of schedule and arrival; it must have one of the two."),
        ({"schedule": "daily"}, 'nightly.schedule is "daily"; it must be such as rate(1 day), rate(6 hours) or cron('),
        ({"schedule": "rate(1 days)"}, 'nightly.schedule is "rate(1 days)"; it must be such as'),
        ({"schedule": "cron(0 3 * * * *)"}, 'nightly.schedule is "cron(0 3 * * * *)"; it must be such as'),
        ({"schedule": "cron(60 3 * * ? *)"}, 'nightly.schedule is "cron(60 3 * * ? *)"; it must be such as'),
        ({"schedule": "cron(0 3 32 * ? *)"}, 'nightly.schedule is "cron(0 3 32 * ? *)"; it must be such as'),
        ({"algorithm": "word2vec"}, 'nightly.algorithm is "word2vec"; it must be one of blazingtext, fairseq, '),
        ({"name": "Nightly"}, 'Nightly.name is "Nightly"; it must be 1 to 40 lower-case letters, digits and dashes'),
        ({"name": None}, "number 1 has no name; it must be 1 to 40 lower-case letters"),
        ({"input": None}, "nightly has no input; it must be the input of the pipeline's execution: an object, or"),
        ({"input": "{"}, 'nightly.input is "{"; it must be the input of the pipeline\'s execution: an object, or'),
        ({"input": {"name": "{run}"}}, "nightly.input has {run}; known are {data}, {key}, {prefix}."),
        ({"input": {"name": ["{key}"]}}, "nightly.input has {key}, which only an arrival gives."),
        ({"input": {"name": "x" * 7000}}, "nightly.input takes 7012 characters as JSON; it must be at most 7000."),
        ({"enabled": "si"}, 'nightly.enabled is "si"; it must be true or false.'),
        ({"shedule": "x"}, "nightly.shedule is unknown; known are name, algorithm, schedule, "),
        ({"marker": "_SUCCESS"}, "nightly has a marker, which only an arrival can have."),
        (
            {**ARRIVAL, "marker": "a/b"},
            'nightly.marker is "a/b"; it must be the name of the object that ends an upload',
        ),
        ({**ARRIVAL, "arrival": "/in/"}, 'nightly.arrival is "/in/"; it must be a folder of the data bucket, such as '),
        ({**ARRIVAL, "arrival": "blazingtext/in"}, 'nightly.arrival is "blazingtext/in"; it must be a folder of the'),
        (
            {**ARRIVAL, "arrival": "blazingtext/"},
            "it must be a folder below blazingtext/, the algorithm's part of the ",
        ),
        ({**ARRIVAL, "arrival": "fairseq/in/"}, "it must be a folder below blazingtext/, the algorithm's part of the "),
        (
            {**ARRIVAL, "arrival": "blazingtext/prepared/x/"},
            "nightly.arrival is 'blazingtext/prepared/x/', where the pipeline itself writes: it would start itself for "
            "ever; it must be a folder outside of blazingtext/prepared/.",
        ),
        ({**ARRIVAL, "input": {"x": "<{key}>"}}, "nightly.input has {key} and < or >, which EventBridge would replace"),
    ],
)
def test_a_trigger_that_cannot_be_meant_is_named_with_its_field(changes: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InvalidSettingError) as error:
        Settings.from_context({"triggers": [trigger(**changes)]})
    assert str(error.value).startswith("The context key triggers: ")
    assert sentence in str(error.value)
    assert "\n" not in str(error.value)


def test_two_triggers_of_one_name_are_refused_with_the_file(tmp_path: Path) -> None:
    (tmp_path / "dev.toml").write_text(TOML.replace('"arrived"', '"nightly"'))
    with pytest.raises(InvalidSettingError, match=r"^settings/dev\.toml: triggers: nightly is the name of two of them"):
        Settings.of_environment("dev", tmp_path)


@pytest.mark.parametrize("found", ["nightly", {"name": "nightly"}, ["nightly"], 7])
def test_what_is_no_list_of_triggers_is_refused(found: object) -> None:
    with pytest.raises(InvalidSettingError, match=r"The context key triggers is .*; it must be a list of objects such"):
        Settings.from_context({"triggers": found})


def test_whatever_a_pipeline_may_write_into_the_data_cannot_set_it_off(assembly: Assembly) -> None:
    written = set()
    for policy in policies(assembly):
        for statement in policy.document["Statement"]:
            resources = statement.get("Resource", ())
            for arn in [resources] if isinstance(resources, str) else resources:
                found = re.fullmatch(r"arn:[\w-]+:s3:::[^/]*data[^/]*/(\w+)/(\w+)/\*", arn, re.IGNORECASE)
                if found and any("s3:PutObject" in action for action in _listed(statement["Action"])):
                    written.add(found[2])
    assert written == set(WRITTEN_FOLDERS)


def _listed(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value


def test_without_triggers_there_is_no_rule_and_the_bucket_tells_nobody(assembly: Assembly) -> None:
    assert not [*assembly.resources("AWS::Events::Rule"), *assembly.resources("AWS::SQS::Queue")]
    assert not any("NotificationConfiguration" in one["Properties"] for one in assembly.resources("AWS::S3::Bucket"))


def test_only_the_data_bucket_tells_eventbridge_of_its_objects(triggered: Assembly) -> None:
    telling = [
        resource["Metadata"]["aws:cdk:path"]
        for resource in triggered.resources("AWS::S3::Bucket")
        if resource["Properties"].get("NotificationConfiguration")
        == {"EventBridgeConfiguration": {"EventBridgeEnabled": True}}
    ]
    assert telling == ["KindlingStorage/Buckets/Data/Resource"]


@pytest.mark.wide
def test_schedules_need_no_events_of_a_bucket() -> None:
    stack = cdk.Stack(cdk.App(context=CONTEXT), "Stack")
    Buckets(stack, "Buckets", Settings.from_context({"triggers": [NIGHTLY]}))
    assert "NotificationConfiguration" not in str(Template.from_stack(stack).to_json())


def _rules(triggered: Assembly) -> dict[str, dict[str, Any]]:
    return {rule["Properties"]["Name"]: rule["Properties"] for rule in triggered.resources("AWS::Events::Rule")}


def test_a_rule_fires_by_its_schedule_with_the_input_whole(triggered: Assembly) -> None:
    rule = _rules(triggered)["kindling-nightly-vectors"]
    assert (rule["ScheduleExpression"], rule["State"]) == ("cron(0 3 * * ? *)", "ENABLED")
    assert "EventPattern" not in rule
    (target,) = rule["Targets"]
    before, bucket, after = target["Input"]["Fn::Join"][1]
    assert "ImportValue" in str(bucket)
    inputs = {"train": "s3://data/blazingtext/text8"}
    assert json.loads(f"{before}data{after}") == {"name": "nightly", "inputs": inputs, "endpoint": None}
    assert target["Arn"] == {"Ref": "BlazingtextStateMachineC39317AE"}


def test_an_upload_starts_one_run_by_its_last_object(triggered: Assembly) -> None:
    rules = _rules(triggered)
    marked, listed = (rules[f"kindling-{name}"] for name in ("incoming", "lists"))
    for rule in (marked, listed):
        pattern = rule["EventPattern"]
        assert (pattern["source"], pattern["detail-type"]) == (["aws.s3"], ["Object Created"])
        assert "ImportValue" in str(pattern["detail"]["bucket"]["name"])
    assert marked["EventPattern"]["detail"]["object"] == {
        "key": ["linear_learner/incoming/_SUCCESS", {"wildcard": "linear_learner/incoming/*/_SUCCESS"}]
    }
    assert listed["EventPattern"]["detail"]["object"] == {"key": [{"wildcard": "fairseq/lists/*.manifest"}]}
    assert listed["State"] == "DISABLED"
    assert "Input" in marked["Targets"][0]
    transformer = listed["Targets"][0]["InputTransformer"]
    assert transformer["InputPathsMap"] == {"key": "$.detail.object.key"}
    assert "/<key>" in str(transformer["InputTemplate"])


def test_a_rule_s_role_starts_just_its_machine_and_only_for_the_rule(triggered: Assembly) -> None:
    roles = [
        role["Properties"]
        for role in triggered.resources("AWS::IAM::Role", "KindlingTraining")
        if "/Triggers/" in role["Metadata"]["aws:cdk:path"]
    ]
    targets = [rule["Targets"][0]["Arn"] for rule in _rules(triggered).values()]
    assert len(roles) == len(targets) == 3
    for role, name, machine in zip(roles, _rules(triggered), targets, strict=True):
        (policy,) = role["Policies"]
        (statement,) = policy["PolicyDocument"]["Statement"]
        assert (statement["Action"], statement["Resource"]) == ("states:StartExecution", machine)
        (trust,) = role["AssumeRolePolicyDocument"]["Statement"]
        assert trust["Principal"] == {"Service": "events.amazonaws.com"}
        assert str(trust["Condition"]["ArnEquals"]["aws:SourceArn"]).endswith(f":rule/{name}']]}}")


def test_what_could_not_be_started_is_kept_encrypted_and_raises_an_alarm(triggered: Assembly) -> None:
    (queue,) = triggered.resources("AWS::SQS::Queue")
    assert queue["Properties"]["SqsManagedSseEnabled"] is True
    (policy,) = triggered.resources("AWS::SQS::QueuePolicy")
    allowed = [one for one in policy["Properties"]["PolicyDocument"]["Statement"] if one["Effect"] == "Allow"]
    assert [one["Action"] for one in allowed] == ["sqs:SendMessage"]
    assert len(allowed[0]["Condition"]["ArnEquals"]["aws:SourceArn"]) == 3
    rules = _rules(triggered)
    letters = [rule["Targets"][0]["DeadLetterConfig"]["Arn"]["Fn::GetAtt"][0] for rule in rules.values()]
    assert len(set(letters)) == 1
    alarms = [alarm["Properties"] for alarm in triggered.resources("AWS::CloudWatch::Alarm", "KindlingTraining")]
    assert [alarm["Dimensions"] for alarm in alarms] == [[{"Name": "RuleName", "Value": name}] for name in rules]
    assert all("KindlingNotifications" in str(alarm["AlarmActions"]) for alarm in alarms)


def test_alarms_may_publish_to_the_encrypted_topic(assembly: Assembly) -> None:
    (topic,) = assembly.resources("AWS::SNS::TopicPolicy", "KindlingNotifications")
    (key,) = assembly.resources("AWS::KMS::Key", "KindlingStorage")
    documents = (topic["Properties"]["PolicyDocument"], key["Properties"]["KeyPolicy"])
    for document, actions in zip(documents, ("sns:Publish", ["kms:Decrypt", "kms:GenerateDataKey"]), strict=True):
        (statement,) = [one for one in document["Statement"] if "cloudwatch.amazonaws.com" in str(one["Principal"])]
        assert statement["Action"] == actions
        assert statement["Condition"]["StringEquals"] == {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}


def test_cdk_nag_and_cfn_lint_have_nothing_to_say(triggered: Assembly) -> None:
    assert not triggered.violations()
    templates = [triggered.path / f"Kindling{stack}.template.json" for stack in ("Storage", "Training")]
    assert not cfn_lint(*templates)


def test_parliament_has_nothing_to_say_of_what_triggers_may(triggered: Assembly) -> None:
    found = {policy.resource: policy.findings() for policy in policies(triggered) if "/Triggers/" in policy.resource}
    assert len(found) == 4
    assert not any(found.values()), found


def test_triggers_have_no_type_that_is_not_tried_on_the_embedded_cloud(triggered: Assembly) -> None:
    made = [one for resources in triggered.templates.values() for one in resources["Resources"].values()]
    tried = {resource["Type"] for resource in template("word", 1)["Resources"].values()}
    assert {"AWS::Events::Rule", "AWS::SQS::QueuePolicy"} <= {resource["Type"] for resource in made} <= tried
