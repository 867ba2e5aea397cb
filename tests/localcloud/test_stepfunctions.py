"""State machines on the embedded cloud."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable
from typing import Any

import pytest

from kindling.localcloud.executions import records
from kindling.localcloud.lifecycle import CloudInfo

ROLE = "arn:aws:iam::123456789012:role/tests"
Run = Callable[..., dict[str, Any]]


def wait_until(condition: Callable[[], Any], within_s: float = 30.0) -> Any:
    """The first truthy value of `condition`."""
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        if found := condition():
            return found
        time.sleep(0.05)
    pytest.fail(f"nothing came within {within_s} s")


@pytest.fixture
def start(aws: Any) -> Callable[..., str]:
    """Start an execution of a machine with these states; gives its ARN."""

    def begin(states: dict[str, Any], given: Any = None, **machine: Any) -> str:
        definition = json.dumps({"StartAt": next(iter(states)), "States": states, **machine})
        sfn = aws("stepfunctions")
        arn = sfn.create_state_machine(name=f"m-{uuid.uuid4().hex[:8]}", definition=definition, roleArn=ROLE)
        execution = sfn.start_execution(stateMachineArn=arn["stateMachineArn"], input=json.dumps(given or {}))
        return str(execution["executionArn"])

    return begin


@pytest.fixture
def run(aws: Any, start: Callable[..., str]) -> Run:
    """Run a machine with these states to its end; gives its description, the output parsed."""

    def execute(states: dict[str, Any], given: Any = None, **machine: Any) -> dict[str, Any]:
        arn = start(states, given, **machine)

        def ended() -> Any:
            described = aws("stepfunctions").describe_execution(executionArn=arn)
            return described if described["status"] != "RUNNING" else None

        described = dict(wait_until(ended))
        if "output" in described:
            described["output"] = json.loads(described["output"])
        return described

    return execute


def test_choice_wait_map_and_intrinsic_functions(run: Run) -> None:
    states = {
        "Prepare": {
            "Type": "Pass",
            "Parameters": {
                "name.$": "States.Format('{}-{}', $.name, $$.State.Name)",
                "parsed.$": "States.StringToJson($.text)",
                "items.$": "$.items",
                "none": None,
            },
            "Next": "Pause",
        },
        "Pause": {"Type": "Wait", "Seconds": 1, "Next": "Each"},
        "Each": {
            "Type": "Map",
            "ItemsPath": "$.items",
            "ItemProcessor": {
                "StartAt": "Add",
                "States": {
                    "Add": {"Type": "Pass", "Parameters": {"sum.$": "States.MathAdd($.n, 1)"}, "End": True},
                },
            },
            "ResultPath": "$.sums",
            "Next": "Which",
        },
        "Which": {
            "Type": "Choice",
            "Choices": [
                {
                    "And": [{"Variable": "$.none", "IsPresent": True}, {"Variable": "$.none", "IsNull": True}],
                    "Next": "Ok",
                }
            ],
            "Default": "Bad",
        },
        "Ok": {"Type": "Succeed"},
        "Bad": {"Type": "Fail"},
    }
    ended = run(states, {"name": "text8", "text": '{"a": [1]}', "items": [{"n": 1}, {"n": 2}]})
    assert ended["status"] == "SUCCEEDED"
    assert ended["output"]["name"] == "text8-Prepare"
    assert ended["output"]["parsed"] == {"a": [1]}
    assert [one["sum"] for one in ended["output"]["sums"]] == [2, 3]


def test_every_number_is_read_as_it_is_written_and_texts_are_left_alone(run: Run) -> None:
    given = {"small": 1e-05, "great": 2.5e20, "negative": -3e-07, "least": -1, "text": '1e-05 is not "2e-05"'}
    ended = run({"Only": {"Type": "Pass", "Result": given, "End": True}})
    assert ended["output"] == given
    assert isinstance(ended["output"]["least"], int)


def test_a_function_is_invoked_and_its_error_is_caught_with_its_cause(run: Run, make_function: Any) -> None:
    name = make_function(
        "class PlanError(Exception): pass\n"
        "def handler(event, context):\n"
        "    if event['bad']: raise PlanError('hyperparameter x is unknown')\n"
        "    return {'planned': event['value']}\n"
    )
    task = {
        "Type": "Task",
        "Resource": "arn:aws:states:::lambda:invoke",
        "Parameters": {"FunctionName": name, "Payload.$": "$"},
        "ResultSelector": {"plan.$": "$.Payload"},
        "ResultPath": "$.result",
        "Catch": [{"ErrorEquals": ["PlanError"], "ResultPath": "$.error", "Next": "Parse"}],
        "End": True,
    }
    states = {
        "Plan": task,
        "Parse": {
            "Type": "Pass",
            "Parameters": {"parsed.$": "States.StringToJson($.error.Cause)"},
            "ResultPath": "$.why",
            "Next": "Failed",
        },
        "Failed": {
            "Type": "Fail",
            "ErrorPath": "$.error.Error",
            "CausePath": "States.Format('Plan: {}', $.why.parsed.errorMessage)",
        },
    }
    good = run(states, {"bad": False, "value": 3})
    assert good["output"]["result"]["plan"] == {"planned": 3}
    bad = run(states, {"bad": True, "value": 3})
    assert (bad["status"], bad["error"]) == ("FAILED", "PlanError")
    assert bad["cause"] == "Plan: hyperparameter x is unknown"


def test_a_retry_backs_off_and_counts(run: Run, make_function: Any) -> None:
    name = make_function(
        "def handler(event, context):\n    if event < 2: raise RuntimeError('again')\n    return event\n"
    )
    states = {
        "Try": {
            "Type": "Task",
            "Resource": "arn:aws:states:::lambda:invoke",
            "Parameters": {"FunctionName": name, "Payload.$": "$$.State.RetryCount"},
            "OutputPath": "$.Payload",
            "Retry": [{"ErrorEquals": ["States.ALL"], "IntervalSeconds": 1, "MaxAttempts": 3, "BackoffRate": 1.1}],
            "End": True,
        }
    }
    assert run(states)["output"] == 2


def test_a_message_is_published_to_a_topic(run: Run, aws: Any) -> None:
    topic = aws("sns").create_topic(Name="ended")["TopicArn"]
    queue = aws("sqs").create_queue(QueueName="ended")["QueueUrl"]
    arn = aws("sqs").get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    aws("sns").subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)
    states = {
        "Notify": {
            "Type": "Task",
            "Resource": "arn:aws:states:::sns:publish",
            "Parameters": {"TopicArn": topic, "Subject": "Kindling", "Message": {"run.$": "$.run"}},
            "End": True,
        }
    }
    assert run(states, {"run": "text8-1"})["output"]["MessageId"]
    message = aws("sqs").receive_message(QueueUrl=queue)["Messages"][0]
    assert json.loads(json.loads(message["Body"])["Message"]) == {"run": "text8-1"}


def test_an_sdk_integration_gives_plain_json_and_the_service_s_error(run: Run) -> None:
    states = {
        "Find": {
            "Type": "Task",
            "Resource": "arn:aws:states:::aws-sdk:sagemaker:describeEndpoint",
            "Parameters": {"EndpointName": "no-such-endpoint"},
            "End": True,
        }
    }
    ended = run(states)
    assert ended["error"] == "SageMaker.SageMakerException"
    assert "no-such-endpoint" in ended["cause"]
    listed = run({"List": {"Type": "Task", "Resource": "arn:aws:states:::aws-sdk:s3:listBuckets", "End": True}})
    assert listed["status"] == "SUCCEEDED"
    assert all(isinstance(bucket["CreationDate"], str) for bucket in listed["output"]["Buckets"])


def test_a_request_that_sagemaker_refuses_has_the_name_of_its_exception(run: Run) -> None:
    states = {
        "Train": {
            "Type": "Task",
            "Resource": "arn:aws:states:::sagemaker:createTrainingJob.sync",
            "Parameters": {"TrainingJobName": "not_a_valid_name!"},
            "End": True,
        }
    }
    ended = run(states)
    assert (ended["status"], ended["error"]) == ("FAILED", "SageMaker.AmazonSageMakerException")


def test_a_task_times_out(run: Run, make_function: Any) -> None:
    name = make_function("import time\ndef handler(event, context): time.sleep(15)\n")
    states = {
        "Slow": {
            "Type": "Task",
            "Resource": "arn:aws:states:::lambda:invoke",
            "Parameters": {"FunctionName": name},
            "TimeoutSeconds": 1,
            "End": True,
        }
    }
    assert run(states)["error"] == "States.Timeout"


def test_a_running_execution_can_be_described_and_stopped(
    start: Callable[..., str], aws: Any, cloud: CloudInfo
) -> None:
    arn = start({"Begin": {"Type": "Pass", "Next": "Rest"}, "Rest": {"Type": "Wait", "Seconds": 600, "End": True}})
    sfn = aws("stepfunctions")

    def entered() -> list[str]:
        events = sfn.get_execution_history(executionArn=arn)["events"]
        return [event["stateEnteredEventDetails"]["name"] for event in events if event["type"].endswith("StateEntered")]

    assert wait_until(lambda: entered() == ["Begin", "Rest"])
    assert sfn.describe_execution(executionArn=arn)["status"] == "RUNNING"
    latest = sfn.get_execution_history(executionArn=arn, reverseOrder=True, maxResults=1)
    assert latest["events"][0]["type"] == "WaitStateEntered"
    assert latest["nextToken"]

    def kept() -> Any:
        return next(record for record in records(cloud.state) if record["arn"] == arn)

    assert kept()["state"] == "Rest"
    sfn.stop_execution(executionArn=arn, error="Cancelled", cause="by the user")
    stopped = sfn.describe_execution(executionArn=arn)
    assert (stopped["status"], stopped["error"], stopped["cause"]) == ("ABORTED", "Cancelled", "by the user")
    assert (kept()["status"], kept()["cause"]) == ("ABORTED", "by the user")


def test_the_store_tells_how_an_execution_ended(run: Run, cloud: CloudInfo) -> None:
    ended = run({"Failed": {"Type": "Fail", "Error": "TrainFailed", "Cause": "Train: out of range"}}, {"a": 1})
    record = wait_until(
        lambda: next(
            (one for one in records(cloud.state) if one["arn"] == ended["executionArn"] and one["status"] == "FAILED"),
            None,
        )
    )
    assert (record["error"], record["cause"]) == ("TrainFailed", "Train: out of range")
    assert record["input"] == {"a": 1}
    assert record["state"] == "Failed"
    assert record["stopped"]


def test_an_execution_past_its_machine_s_time_is_timed_out(run: Run) -> None:
    ended = run({"Rest": {"Type": "Wait", "Seconds": 600, "End": True}}, TimeoutSeconds=1)
    assert ended["status"] == "TIMED_OUT"
    assert ended["stopDate"]


def machine(aws: Any, states: dict[str, Any]) -> str:
    """The ARN of a machine with these states."""
    definition = json.dumps({"StartAt": next(iter(states)), "States": states})
    made = aws("stepfunctions").create_state_machine(
        name=f"m-{uuid.uuid4().hex[:8]}", definition=definition, roleArn=ROLE
    )
    return str(made["stateMachineArn"])


def test_an_execution_waits_for_another_and_gets_its_output(aws: Any, run: Run) -> None:
    child = machine(aws, {"Double": {"Type": "Pass", "Parameters": {"given.$": "$.x"}, "End": True}})
    name = f"child-{uuid.uuid4().hex[:8]}"
    task = {
        "Type": "Task",
        "Resource": "arn:aws:states:::states:startExecution.sync:2",
        "Parameters": {"StateMachineArn": child, "Name": name, "Input": {"x.$": "$.number"}},
        "End": True,
    }
    found = run({"Child": task}, {"number": 7})
    assert found["status"] == "SUCCEEDED", found
    output = found["output"]
    assert output["Output"] == {"given": 7}
    assert output["Input"] == {"x": 7}
    assert output["Status"] == "SUCCEEDED"
    assert output["Name"] == name
    assert output["StopDate"] >= output["StartDate"] > 1e12, "milliseconds"
    older = run({"Child": {**task, "Resource": task["Resource"][:-2], "Parameters": {"StateMachineArn": child}}})
    assert older["status"] == "FAILED", "the input lacks x"


def test_a_map_fails_with_the_error_of_its_item_and_can_be_caught(aws: Any, run: Run) -> None:
    child = machine(aws, {"Break": {"Type": "Fail", "Error": "Broken", "Cause": "it was to break."}})
    item = {
        "Type": "Task",
        "Resource": "arn:aws:states:::states:startExecution.sync:2",
        "Parameters": {"StateMachineArn": child},
        "End": True,
    }
    states = {
        "Each": {
            "Type": "Map",
            "MaxConcurrencyPath": "$.parallel",
            "ItemsPath": "$.items",
            "ItemProcessor": {"ProcessorConfig": {"Mode": "INLINE"}, "StartAt": "Child", "States": {"Child": item}},
            "Catch": [{"ErrorEquals": ["States.TaskFailed"], "ResultPath": "$.failed", "Next": "Caught"}],
            "End": True,
        },
        "Caught": {"Type": "Pass", "End": True},
    }
    found = run(states, {"items": [1, 2], "parallel": 1})
    assert found["status"] == "SUCCEEDED", found
    assert found["output"]["failed"]["Error"] == "States.TaskFailed"
    assert json.loads(found["output"]["failed"]["Cause"])["Cause"] == "it was to break."
