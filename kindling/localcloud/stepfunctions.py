"""Step Functions: executions really run, and can be stopped.

moto has an interpreter of state machines, off by default and with a backend of its own. Mended here: what
CloudFormation makes is visible to it, its tasks call this cloud, SageMaker's integrations exist
(stepfunctions_sagemaker.py), every number of JSON is read, results are plain JSON, StopExecution keeps its error and
cause, and the history can be read backwards and in pages.
"""

from __future__ import annotations

import json
import re
import sys
import uuid
from datetime import UTC, datetime
from functools import cache
from typing import Any

import boto3
from botocore.config import Config

from kindling.localcloud.cloud import Cloud
from kindling.localcloud.plain_json import with_iso_dates
from kindling.localcloud.seams import replace

_TASK_TIMEOUT_S = 24 * 3600
_SERVICE_NAMES_IN_ERRORS = {
    "sagemaker": "SageMaker",
    "sagemakerruntime": "SageMakerRuntime",
    "s3": "S3",
    "sns": "Sns",
    "ssm": "Ssm",
    "lambda": "Lambda",
    "cloudwatch": "CloudWatch",
    "ecr": "Ecr",
}

_STRING_OR_ZEROS = re.compile(r'("(?:[^"\\]|\\.)*")|(\d[eE][+-]?)0+(?=\d)')


def install(cloud: Cloud) -> None:
    """Apply every change; tasks call `cloud.endpoint_url`."""
    from moto.core.config import default_user_config
    from moto.stepfunctions import models
    from moto.stepfunctions.parser.models import stepfunctions_parser_backends

    default_user_config["stepfunctions"]["execute_state_machine"] = True
    replace(models, "stepfunctions_backends", stepfunctions_parser_backends)
    from kindling.localcloud import stepfunctions_nested, stepfunctions_sagemaker

    _read_every_number()
    _pass_on_states_errors()
    _call_this_cloud(cloud)
    stepfunctions_sagemaker.install(cloud)
    stepfunctions_nested.install()
    _answer_in_plain_json()
    _name_executions()
    _stop_at_once()
    _answer_tasks()
    _page_history()
    _date_time_outs()


def _read_every_number() -> None:
    """Read 1e-05 as Python writes it, and -1 as an integer: to the interpreter's grammar both are strange."""
    from moto.stepfunctions.parser.asl.parse.asl_parser import AmazonStateLanguageParser
    from moto.stepfunctions.parser.asl.parse.preprocessor import Preprocessor

    def parse(definition: str) -> Any:
        return original(_STRING_OR_ZEROS.sub(lambda found: found[1] or found[2], definition))

    def number(self: Any, context: Any) -> Any:
        value = visit(self, context)
        value.val = json.loads(context.NUMBER().getText())
        return value

    original = replace(AmazonStateLanguageParser, "parse", staticmethod(parse))
    visit = replace(Preprocessor, "visitPayload_value_float", number)


def _pass_on_states_errors() -> None:
    """A Map or Parallel fails with the error of what failed in it, also where that is one of States' own."""
    from moto.stepfunctions.parser.asl.component.common.error_name.custom_error_name import CustomErrorName
    from moto.stepfunctions.parser.asl.component.common.error_name.states_error_name import StatesErrorName
    from moto.stepfunctions.parser.asl.component.state.exec.state_map.iteration import iteration_worker
    from moto.stepfunctions.parser.asl.component.state.exec.state_parallel import branches_decl

    def named(error_name: str | None) -> Any:
        if error_name is not None and error_name.startswith("States."):
            return StatesErrorName.from_name(error_name)
        return CustomErrorName(error_name)

    for module in (iteration_worker, branches_decl):
        replace(module, "CustomErrorName", named)


def _call_this_cloud(cloud: Cloud) -> None:
    """Give the interpreter's tasks clients of this cloud; moto's own go through `localhost` and are not thread-safe."""
    from moto.stepfunctions.parser.asl.component.state.exec.state_task.service import state_task_service_factory
    from moto.stepfunctions.parser.asl.utils import boto_client

    session = boto3.Session(aws_access_key_id="test", aws_secret_access_key="test", region_name=cloud.region)

    def identify(parsed: dict[str, Any], **_more: Any) -> None:
        parsed.setdefault("ResponseMetadata", {}).setdefault("RequestId", str(uuid.uuid4()))

    # The interpreter puts the request's id into an error's cause, and not every answer of moto has one.
    session.events.register("after-call", identify)

    @cache
    def client(region: str, service: str) -> Any:
        return session.client(
            service,
            region_name=region,
            endpoint_url=cloud.endpoint_url,
            config=Config(
                parameter_validation=False,
                retries={"total_max_attempts": 1},
                read_timeout=_TASK_TIMEOUT_S,
                max_pool_connections=32,
            ),
        )

    def boto_client_for(region: str, service: str, state_credentials: Any = None) -> Any:  # noqa: ARG001
        return client(region, service)

    assert state_task_service_factory  # importing it imports every module that has taken the name
    moto_s_own = boto_client.boto_client_for
    for name, module in list(sys.modules.items()):
        if name.startswith("moto.stepfunctions") and getattr(module, "boto_client_for", None) is moto_s_own:
            replace(module, "boto_client_for", boto_client_for)


def _answer_in_plain_json() -> None:
    from moto.stepfunctions.parser.asl.component.state.exec.state_task.service import state_task_service_aws_sdk as sdk
    from moto.stepfunctions.parser.asl.component.state.exec.state_task.service.state_task_service import (
        StateTaskService,
    )

    sdk._SERVICE_ERROR_NAMES.update(_SERVICE_NAMES_IN_ERRORS)
    StateTaskService._SERVICE_NAME_SFN_TO_BOTO_OVERRIDES["sagemakerruntime"] = "sagemaker-runtime"

    def evaluate(self: Any, env: Any, *rest: Any, **named: Any) -> None:
        original(self, env, *rest, **named)
        env.stack.append(with_iso_dates(env.stack.pop()))

    original = replace(sdk.StateTaskServiceAwsSdk, "_eval_service_task", evaluate)


def _name_executions() -> None:
    """Give an execution that was started without a name one, as the service does, and check one that has."""
    from moto.stepfunctions.parser.models import StepFunctionsParserBackend

    def start(self: Any, state_machine_arn: str, name: str | None = None, execution_input: Any = None) -> Any:
        if name:
            self._validate_name(name)
        return begin(self, state_machine_arn, name or str(uuid.uuid4()), execution_input)

    begin = replace(StepFunctionsParserBackend, "start_execution", start)


def _stop_at_once() -> None:
    """StopExecution answers ABORTED at once, with the caller's error and cause; the task in hand is told to end."""
    from moto.core.responses import ActionResult
    from moto.stepfunctions.responses import StepFunctionResponse

    def stop_execution(self: Any) -> Any:
        execution = self.stepfunction_backend.describe_execution(self._get_param("executionArn"))
        if execution.status != "RUNNING":
            return ActionResult({"stopDate": execution.stop_date})
        error, cause = self._get_param("error"), self._get_param("cause")
        stopped = datetime.now(UTC)
        if execution.exec_worker.env is not None:
            execution.stop(stop_date=stopped, error=error, cause=cause)
        execution.stop_date, execution.error, execution.cause = stopped, error, cause
        execution.exec_status = type(execution.exec_status).ABORTED
        execution._get_start_execution_worker_comm().terminated()
        return ActionResult({"stopDate": stopped})

    replace(StepFunctionResponse, "stop_execution", stop_execution)


def _answer_tasks() -> None:
    """SendTaskFailure with its cause, which moto drops; and only what runs now is asked for the task."""
    from moto.core.responses import ActionResult
    from moto.stepfunctions.parser.models import StepFunctionsParserBackend
    from moto.stepfunctions.responses import StepFunctionResponse

    def send_task_failure(self: Any) -> Any:
        error, cause = self._get_param("error"), self._get_param("cause")
        self.stepfunction_backend.send_task_failure(self._get_param("taskToken"), error=error, cause=cause)
        return ActionResult({})

    def executions(self: Any, status: Any = None) -> Any:
        # One that has just begun has no environment yet, one of an earlier process none with tasks.
        found = get_executions(self, status)
        return [one for one in found if hasattr(getattr(one.exec_worker, "env", None), "callback_pool_manager")]

    replace(StepFunctionResponse, "send_task_failure", send_task_failure)
    get_executions = replace(StepFunctionsParserBackend, "_get_executions", executions)


def _page_history() -> None:
    """GetExecutionHistory with reverseOrder, maxResults and nextToken, which moto leaves out."""
    from moto.core.responses import ActionResult
    from moto.stepfunctions.responses import StepFunctionResponse

    def get_execution_history(self: Any) -> Any:
        history = self.stepfunction_backend.get_execution_history(self._get_param("executionArn"))
        events = list(reversed(history["events"])) if self._get_param("reverseOrder") else history["events"]
        begin = int(self._get_param("nextToken") or 0)
        end = begin + int(self._get_param("maxResults") or 1000)
        page = {"events": events[begin:end]}
        return ActionResult(page | ({"nextToken": str(end)} if end < len(events) else {}))

    replace(StepFunctionResponse, "get_execution_history", get_execution_history)


def _date_time_outs() -> None:
    """Say when an execution timed out; moto gives the date of every other end."""
    from moto.stepfunctions.responses import StepFunctionResponse

    def describe_execution(self: Any) -> Any:
        execution = self.stepfunction_backend.describe_execution(self._get_param("executionArn"))
        answer = describe(self)
        if execution.stop_date is not None:
            answer.result["stopDate"] = execution.stop_date
        return answer

    describe = replace(StepFunctionResponse, "describe_execution", describe_execution)
