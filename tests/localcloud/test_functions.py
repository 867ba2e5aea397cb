"""Lambda functions on the embedded cloud."""

from __future__ import annotations

import base64
import time
from collections.abc import Callable
from typing import Any

from tests.localcloud.conftest import ROLE, zipped

POWERTOOLS = "arn:aws:lambda:us-east-1:017000801446:layer:AWSLambdaPowertoolsPythonV3-python311-x86_64:7"


def test_a_function_sees_its_event_and_its_context(make_function: Any, invoke: Any) -> None:
    name = make_function(
        "def handler(event, context):\n"
        "    left = context.get_remaining_time_in_millis()\n"
        "    return [event['x'] + 1, context.function_name, context.invoked_function_arn,\n"
        "            context.memory_limit_in_mb, len(context.aws_request_id), 0 < left <= 9000]\n",
        MemorySize=256,
        Timeout=9,
    )
    result, answer = invoke(name, {"x": 41})
    arn = f"arn:aws:lambda:us-east-1:123456789012:function:{name}"
    assert result == [42, name, arn, "256", 36, True]
    assert "FunctionError" not in answer


def test_a_function_runs_with_its_configured_environment_and_reaches_the_cloud(
    make_function: Any, invoke: Any, aws: Any
) -> None:
    aws("s3").create_bucket(Bucket="seen-by-a-function")
    name = make_function(
        "import os, boto3\n"
        "def handler(event, context):\n"
        "    names = [b['Name'] for b in boto3.client('s3').list_buckets()['Buckets']]\n"
        "    return [os.environ['COLOUR'], os.environ['AWS_REGION'], 'seen-by-a-function' in names]\n",
        Environment={"Variables": {"COLOUR": "red"}},
    )
    assert invoke(name)[0] == ["red", "us-east-1", True]


def test_a_process_stays_warm_until_code_or_configuration_changes(make_function: Any, invoke: Any, aws: Any) -> None:
    source = (
        "import os\nstarted = os.getpid()\ndef handler(event, context):\n    return [started, os.environ.get('V')]\n"
    )
    name = make_function(source)
    first, again = invoke(name)[0], invoke(name)[0]
    assert first == again
    aws("lambda").update_function_configuration(FunctionName=name, Environment={"Variables": {"V": "2"}})
    configured = invoke(name)[0]
    assert configured[0] != first[0]
    assert configured[1] == "2"
    aws("lambda").update_function_code(FunctionName=name, ZipFile=zipped({"index.py": source + "# changed\n"}))
    assert invoke(name)[0][0] != configured[0]


def test_an_error_of_a_function_comes_back_as_the_service_gives_it(make_function: Any, invoke: Any) -> None:
    name = make_function("def handler(event, context):\n    raise ValueError('mode=cbow runs on one host')\n")
    result, answer = invoke(name)
    assert answer["FunctionError"] == "Unhandled"
    assert result["errorType"] == "ValueError"
    assert result["errorMessage"] == "mode=cbow runs on one host"
    assert any("raise ValueError" in line for line in result["stackTrace"])


def test_a_function_that_cannot_be_imported_says_what_is_missing(make_function: Any, invoke: Any) -> None:
    result, answer = invoke(make_function("import no_such_package\ndef handler(event, context): ...\n"))
    assert answer["FunctionError"] == "Unhandled"
    assert result["errorType"] == "Runtime.ImportModuleError"
    assert result["errorMessage"] == "Unable to import module 'index': No module named 'no_such_package'"


def test_a_function_that_takes_too_long_is_ended_and_answers_again(make_function: Any, invoke: Any) -> None:
    name = make_function(
        "import time\ndef handler(event, context):\n    time.sleep(event)\n    return 'ok'\n", Timeout=1
    )
    result, answer = invoke(name, 60)
    assert answer["FunctionError"] == "Unhandled"
    assert result["errorMessage"].endswith("Task timed out after 1.00 seconds")
    assert invoke(name, 0)[0] == "ok"


def test_a_function_that_exits_is_an_error(make_function: Any, invoke: Any) -> None:
    result, _ = invoke(make_function("import os\ndef handler(event, context):\n    os._exit(3)\n"))
    assert result["errorType"] == "Runtime.ExitError"
    assert "exit status 3" in result["errorMessage"]


def test_what_a_function_prints_is_in_its_log_group(make_function: Any, invoke: Any, aws: Any) -> None:
    name = make_function("def handler(event, context):\n    print('read', event, 'tokens')\n")
    _, answer = invoke(name, 412, LogType="Tail")
    assert "read 412 tokens" in base64.b64decode(answer["LogResult"]).decode()
    events = aws("logs").filter_log_events(logGroupName=f"/aws/lambda/{name}")["events"]
    assert "read 412 tokens" in [event["message"] for event in events]


def test_a_function_logs_where_its_configuration_says(make_function: Any, invoke: Any, aws: Any) -> None:
    aws("logs").create_log_group(logGroupName="/own/group")
    name = make_function("def handler(event, context): print('here')\n", LoggingConfig={"LogGroup": "/own/group"})
    invoke(name)
    events = aws("logs").filter_log_events(logGroupName="/own/group")["events"]
    assert "here" in [event["message"] for event in events]


def test_an_asynchronous_invocation_answers_at_once_and_runs(make_function: Any, invoke: Any, aws: Any) -> None:
    aws("s3").create_bucket(Bucket="async-result")
    name = make_function(
        "import boto3\ndef handler(event, context):\n"
        "    boto3.client('s3').put_object(Bucket='async-result', Key=event, Body=b'done')\n"
    )
    _, answer = invoke(name, "key", InvocationType="Event")
    assert answer["StatusCode"] == 202
    aws("s3").get_waiter("object_exists").wait(
        Bucket="async-result", Key="key", WaiterConfig={"Delay": 1, "MaxAttempts": 20}
    )


def test_a_layer_of_ones_own_and_the_public_powertools_layer(make_function: Any, invoke: Any, aws: Any) -> None:
    layer = aws("lambda").publish_layer_version(
        LayerName="shared", Content={"ZipFile": zipped({"python/shared_words.py": "GREETING = 'from the layer'\n"})}
    )
    name = make_function(
        "from shared_words import GREETING\n"
        "from aws_lambda_powertools import Logger, Tracer\n"
        "logger, tracer = Logger(service='t'), Tracer(service='t')\n"
        "@logger.inject_lambda_context\n@tracer.capture_lambda_handler\n"
        "def handler(event, context):\n    logger.info('greeting')\n    return GREETING\n",
        Layers=[layer["LayerVersionArn"], POWERTOOLS],
        TracingConfig={"Mode": "Active"},
    )
    assert invoke(name)[0] == "from the layer"


def test_a_handler_in_a_package_and_code_from_a_bucket(invoke: Any, aws: Callable[[str], Any]) -> None:
    aws("s3").create_bucket(Bucket="code")
    package = {"plan/__init__.py": "", "plan/app.py": "def handler(event, context):\n    return 'planned'\n"}
    aws("s3").put_object(Bucket="code", Key="plan.zip", Body=zipped(package))
    aws("lambda").create_function(
        FunctionName="plan",
        Code={"S3Bucket": "code", "S3Key": "plan.zip"},
        Runtime="python3.11",
        Role=ROLE,
        Handler="plan.app.handler",
    )
    assert invoke("plan")[0] == "planned"


def test_two_invocations_at_once_run_in_two_processes(make_function: Any, invoke: Any, aws: Any) -> None:
    aws("s3").create_bucket(Bucket="meeting")
    name = make_function(  # each waits until it sees the other, which one process could not
        "import time, boto3\n"
        "def handler(event, context):\n"
        "    s3 = boto3.client('s3')\n"
        "    s3.put_object(Bucket='meeting', Key=event, Body=b'')\n"
        "    while s3.list_objects_v2(Bucket='meeting')['KeyCount'] < 2: time.sleep(0.05)\n"
        "    return 'met'\n"
    )
    invoke(name, "first", InvocationType="Event")
    assert invoke(name, "second")[0] == "met"


def test_a_published_version_keeps_its_code(make_function: Any, invoke: Any, aws: Any) -> None:
    name = make_function("def handler(event, context): return 1\n")
    version = aws("lambda").publish_version(FunctionName=name)["Version"]
    aws("lambda").create_alias(FunctionName=name, Name="live", FunctionVersion=version)
    newer = zipped({"index.py": "def handler(event, context): return 2\n"})
    aws("lambda").update_function_code(FunctionName=name, ZipFile=newer)
    assert invoke(name)[0] == 2
    assert invoke(name, Qualifier="live")[0] == 1


def test_a_deleted_function_leaves_no_process(make_function: Any, invoke: Any, aws: Any) -> None:
    import psutil

    name = make_function("import os\ndef handler(event, context): return os.getpid()\n")
    pid, _ = invoke(name)
    aws("lambda").delete_function(FunctionName=name)
    deadline = time.monotonic() + 10
    while psutil.pid_exists(pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not psutil.pid_exists(pid)
