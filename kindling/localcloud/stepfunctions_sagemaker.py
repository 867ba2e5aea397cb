"""Step Functions' integrations with SageMaker: arn:aws:states:::sagemaker:createTrainingJob.sync and its like."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any, cast

import botocore.session
from botocore.exceptions import ClientError
from moto.stepfunctions.parser.api import HistoryEventType, TaskFailedEventDetails
from moto.stepfunctions.parser.asl.component.common.error_name.custom_error_name import CustomErrorName
from moto.stepfunctions.parser.asl.component.common.error_name.failure_event import FailureEvent, FailureEventException
from moto.stepfunctions.parser.asl.component.common.error_name.states_error_name import StatesErrorName
from moto.stepfunctions.parser.asl.component.common.error_name.states_error_name_type import StatesErrorNameType
from moto.stepfunctions.parser.asl.component.state.exec.state_task import state_task_factory
from moto.stepfunctions.parser.asl.component.state.exec.state_task.service.resource import ResourceCondition
from moto.stepfunctions.parser.asl.component.state.exec.state_task.service.state_task_service_callback import (
    StateTaskServiceCallback,
)
from moto.stepfunctions.parser.asl.utils import boto_client

from kindling.localcloud.cloud import Cloud
from kindling.localcloud.plain_json import with_millisecond_dates
from kindling.localcloud.seams import replace

_POLL_S = 0.3


@dataclass(frozen=True)
class _Job:
    """A kind of job that `.sync` waits for: its operations, and where its description has the name and status."""

    describe: str
    stop: str
    name: str
    status: str


_JOBS = {
    "create_training_job": _Job("describe_training_job", "stop_training_job", "TrainingJobName", "TrainingJobStatus"),
    "create_processing_job": _Job(
        "describe_processing_job", "stop_processing_job", "ProcessingJobName", "ProcessingJobStatus"
    ),
    "create_transform_job": _Job(
        "describe_transform_job", "stop_transform_job", "TransformJobName", "TransformJobStatus"
    ),
    "create_hyper_parameter_tuning_job": _Job(
        "describe_hyper_parameter_tuning_job",
        "stop_hyper_parameter_tuning_job",
        "HyperParameterTuningJobName",
        "HyperParameterTuningJobStatus",
    ),
}
_OPERATIONS = {
    "createTrainingJob",
    "createTransformJob",
    "createProcessingJob",
    "createHyperParameterTuningJob",
    "createModel",
    "createEndpointConfig",
    "createEndpoint",
    "updateEndpoint",
}


class SageMakerTask(StateTaskServiceCallback):
    """A task state whose resource is arn:aws:states:::sagemaker:<operation>, with or without `.sync`."""

    def __init__(self) -> None:
        # The interpreter only makes the endpoint that it waits on when a task token is supported as well.
        super().__init__({ResourceCondition("sync"), ResourceCondition("waitForTaskToken")})

    def _get_supported_parameters(self) -> set[str] | None:
        action = self.resource.api_action
        return _parameters(action[0].upper() + action[1:]) if action in _OPERATIONS else None

    def _eval_service_task(
        self, env: Any, resource_runtime_part: Any, normalised_parameters: dict[str, Any], state_credentials: Any
    ) -> None:
        client, action = self._client(resource_runtime_part, state_credentials), self._get_boto_service_action()
        response = getattr(client, action)(**normalised_parameters)
        if self.resource.condition == ResourceCondition.Sync and action in _JOBS:
            job = _JOBS[action]
            env.begun_job = (client, job, {job.name: normalised_parameters[job.name]})
        env.stack.append(with_millisecond_dates(response))

    def _eval_execution(self, env: Any) -> None:
        """Run the task; a job that it began is stopped when the execution is, or the state's time is over.

        However early: the interpreter may end between the job's creation and the first look at it.
        """
        try:
            super()._eval_execution(env)
        finally:
            begun = getattr(env, "begun_job", None)
            if begun and not env.is_running():
                client, job, named = begun
                if getattr(client, job.describe)(**named)[job.status] == "InProgress":
                    getattr(client, job.stop)(**named)

    def _build_sync_resolver(
        self, env: Any, resource_runtime_part: Any, normalised_parameters: dict[str, Any], state_credentials: Any
    ) -> Callable[[], Any]:
        job = _JOBS.get(self._get_boto_service_action())
        if job is None:
            raise RuntimeError(f"{self.resource.resource_arn} cannot be waited for; leave out .sync")
        env.stack.pop()
        client = self._client(resource_runtime_part, state_credentials)
        named = {job.name: normalised_parameters[job.name]}

        def resolve() -> Any:
            try:
                description = with_millisecond_dates(getattr(client, job.describe)(**named))
                while description[job.status] not in ("Completed", "Failed", "Stopped"):
                    if not env.is_running():
                        return None
                    time.sleep(_POLL_S)
                    description = with_millisecond_dates(getattr(client, job.describe)(**named))
            except ClientError as error:
                raise FailureEventException(self._from_error(env, error)) from error
            if description[job.status] != "Completed":
                raise FailureEventException(self._failed(env, description))
            return description

        return resolve

    def _failed(self, env: Any, description: dict[str, Any]) -> FailureEvent:
        return FailureEvent(
            env=env,
            error_name=StatesErrorName(typ=StatesErrorNameType.StatesTaskFailed),
            event_type=HistoryEventType.TaskFailed,
            event_details=self._details(StatesErrorNameType.StatesTaskFailed.to_name(), json.dumps(description)),
        )

    def _from_error(self, env: Any, ex: Exception) -> FailureEvent:
        if not isinstance(ex, ClientError):
            return super()._from_error(env=env, ex=ex)
        code, message = ex.response["Error"]["Code"], ex.response["Error"]["Message"]
        name = f"SageMaker.{code}Exception" if code.startswith("Resource") else "SageMaker.AmazonSageMakerException"
        sent = ex.response["ResponseMetadata"]
        cause = (
            f"{message} (Service: AmazonSageMaker; Status Code: {sent['HTTPStatusCode']}; Error Code: {code}; "
            f"Request ID: {sent.get('RequestId', '')}; Proxy: null)"
        )
        return FailureEvent(
            env=env,
            error_name=CustomErrorName(name),
            event_type=HistoryEventType.TaskFailed,
            event_details=self._details(name, cause),
        )

    def _details(self, error: str, cause: str) -> Any:
        details = TaskFailedEventDetails(
            error=error, cause=cause, resource=self._get_sfn_resource(), resourceType=self._get_sfn_resource_type()
        )
        return {"taskFailedEventDetails": details}

    @staticmethod
    def _client(resource_runtime_part: Any, state_credentials: Any) -> Any:
        return boto_client.boto_client_for(
            region=resource_runtime_part.region, service="sagemaker", state_credentials=state_credentials
        )


def install(_cloud: Cloud) -> None:
    """Have task states on `sagemaker` resources run; moto lists them as unsupported."""

    def state_task_service_for(service_name: str) -> Any:
        return SageMakerTask() if service_name == "sagemaker" else other(service_name)

    other = replace(state_task_factory, "state_task_service_for", state_task_service_for)


@cache
def _parameters(operation: str) -> set[str]:
    model = botocore.session.get_session().get_service_model("sagemaker")
    return set(cast(Any, model.operation_model(operation).input_shape).members)
