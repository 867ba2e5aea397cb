"""A `.sync` task whose execution is stopped before the task first looks at the job that it has created."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from moto.stepfunctions.parser.asl.component.state.exec.state_task.service import state_task_service_callback
from moto.stepfunctions.parser.asl.component.state.exec.state_task.service.resource import ResourceCondition

from kindling.localcloud.stepfunctions_sagemaker import SageMakerTask


class SageMaker:
    """A client with one job."""

    def __init__(self) -> None:
        self.status, self.stopped = "InProgress", list[str]()

    def create_training_job(self, **_: Any) -> dict[str, Any]:
        return {"TrainingJobArn": "arn"}

    def describe_training_job(self, TrainingJobName: str) -> dict[str, Any]:  # noqa: N803  as the client has it
        return {"TrainingJobName": TrainingJobName, "TrainingJobStatus": self.status}

    def stop_training_job(self, TrainingJobName: str) -> None:  # noqa: N803
        self.stopped.append(TrainingJobName)


@pytest.mark.parametrize(
    ("condition", "running", "status", "stopped"),
    [
        (ResourceCondition.Sync, False, "InProgress", ["a-job"]),
        (ResourceCondition.Sync, False, "Completed", []),
        (ResourceCondition.Sync, True, "InProgress", []),
        (None, False, "InProgress", []),
    ],
)
def test_its_job_is_stopped_if_the_task_waits_for_it(
    monkeypatch: pytest.MonkeyPatch, condition: Any, running: bool, status: str, stopped: list[str]
) -> None:
    sagemaker = SageMaker()
    sagemaker.status = status

    def begin(self: Any, env: Any) -> None:
        self._eval_service_task(env, None, {"TrainingJobName": "a-job"}, None)

    monkeypatch.setattr(state_task_service_callback.StateTaskServiceCallback, "_eval_execution", begin)
    monkeypatch.setattr(SageMakerTask, "_client", staticmethod(lambda *_: sagemaker))
    monkeypatch.setattr(SageMakerTask, "_get_boto_service_action", lambda _self: "create_training_job")
    task = SageMakerTask()
    task.resource = SimpleNamespace(condition=condition)
    task._eval_execution(SimpleNamespace(stack=[], is_running=lambda: running))
    assert sagemaker.stopped == stopped
