"""Undoing what an execution began, one change a call. Every step asks SageMaker what there is, so each may be repeated.

A step returns whether there is something to wait for, and raises when it cannot be done.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from lambdas.hosting.endpoints import IN_MOTION, Endpoint, find_endpoint, models_of, unless_missing
from lambdas.rollback.cause import in_words

# How many calls an endpoint may take to show that a change of it has begun.
_SETTLING = 20


@dataclass(frozen=True, kw_only=True)
class Kind:
    """A kind of job: SageMaker's operations on it, and where its description has the status."""

    words: str
    operation: str
    name: str
    status: str

    def describe(self, sagemaker: Any, name: str) -> Any | None:
        """The status of the job of that name, or None where there is none."""
        ask = getattr(sagemaker, f"describe_{self.operation}")
        found = unless_missing(lambda: ask(**{self.name: name}))
        return None if found is None else found[self.status]

    def stop(self, sagemaker: Any, name: str) -> None:
        """Ask the job of that name to stop."""
        getattr(sagemaker, f"stop_{self.operation}")(**{self.name: name})


TRAINING = Kind(words="training job", operation="training_job", name="TrainingJobName", status="TrainingJobStatus")
PREPARATION = Kind(
    words="processing job", operation="processing_job", name="ProcessingJobName", status="ProcessingJobStatus"
)
TUNING = Kind(
    words="tuning job",
    operation="hyper_parameter_tuning_job",
    name="HyperParameterTuningJobName",
    status="HyperParameterTuningJobStatus",
)
BATCH = Kind(words="transform job", operation="transform_job", name="TransformJobName", status="TransformJobStatus")


@dataclass(frozen=True, kw_only=True)
class Job:
    """A job that an execution may have begun."""

    kind: Kind
    name: str


class CannotUndoError(RuntimeError):
    """Something has to stay as it is. The message is a sentence's words."""


@dataclass(frozen=True, kw_only=True)
class Begun:
    """The names of everything that an execution may have made.

    `action` is None until it was known whether the endpoint had to be created or updated: nothing touched it then.
    """

    jobs: tuple[Job, ...]
    model: str
    config: str
    endpoint: str
    action: str | None
    former_config: str | None


@dataclass(frozen=True, kw_only=True)
class Progress:
    """How far the rollback is: calls made, the call that changed the endpoint, and what cannot be undone."""

    calls: int = 0
    endpoint_changed_at: int | None = None
    undone: tuple[str, ...] = field(default=())
    done: bool = False


def undo(sagemaker: Any, begun: Begun, progress: Progress, longest: int) -> Progress:
    """One call: the first step that has something to do does it; without any, the rollback is done.

    Jobs come first because they cost the most; then the endpoint, the configuration and the model, each of which the
    one before it uses. Where the endpoint must stay, what stands behind it stays too.

    Args:
        longest: how many calls there may be; what is still in motion after them is named as not undone.
    """
    progress = replace(progress, calls=progress.calls + 1)
    for what, step in (("a job", _stop_jobs), (f"endpoint {begun.endpoint}", _undo_endpoint)):
        try:
            progress, waiting = step(sagemaker, begun, progress)
        except CannotUndoError as error:
            return replace(progress, undone=(str(error),), done=True)
        except (ClientError, BotoCoreError) as error:
            return replace(progress, undone=(f"{what}: {in_words({'Cause': str(error)})}",), done=True)
        if waiting:
            return _out_of_time(progress, waiting) if progress.calls >= longest else progress
    left = [words for words in (_delete_config(sagemaker, begun), _delete_model(sagemaker, begun)) if words]
    return replace(progress, undone=tuple(left), done=True)


def _out_of_time(progress: Progress, waiting: str) -> Progress:
    return replace(progress, undone=(f"{waiting} after {progress.calls} looks",), done=True)


def _stop_jobs(sagemaker: Any, begun: Begun, progress: Progress) -> tuple[Progress, str]:
    for job in begun.jobs:
        status = job.kind.describe(sagemaker, job.name)
        if status == "InProgress":
            job.kind.stop(sagemaker, job.name)
        if status in ("InProgress", "Stopping"):
            return progress, f"{job.kind.words} {job.name} is still {status}"
    return progress, ""


def _undo_endpoint(sagemaker: Any, begun: Begun, progress: Progress) -> tuple[Progress, str]:
    """Delete an endpoint that was created, put one that was updated back on its former configuration."""
    if begun.action is None:
        return progress, ""
    endpoint = find_endpoint(sagemaker, begun.endpoint)
    if endpoint is None:
        return progress, ""
    if endpoint.status in IN_MOTION and (begun.action == "updated" or endpoint.config_name == begun.config):
        return progress, f"endpoint {endpoint.name} is still {endpoint.status}"
    if endpoint.config_name != begun.config:
        return progress, ""
    if progress.endpoint_changed_at is None:
        _change_endpoint(sagemaker, begun, endpoint)
        return replace(progress, endpoint_changed_at=progress.calls), f"endpoint {endpoint.name} is still being undone"
    if progress.calls - progress.endpoint_changed_at > _SETTLING:
        raise CannotUndoError(f"endpoint {endpoint.name} is {endpoint.status} and still serves the new model")
    return progress, f"endpoint {endpoint.name} is still {endpoint.status}"


def _change_endpoint(sagemaker: Any, begun: Begun, endpoint: Endpoint) -> None:
    if begun.action == "created":
        sagemaker.delete_endpoint(EndpointName=endpoint.name)
        return
    if begun.former_config is None or models_of(sagemaker, begun.former_config) is None:
        raise CannotUndoError(
            f"endpoint {endpoint.name} keeps the new model, which passed its smoke test, "
            "because the former configuration is deleted already"
        )
    sagemaker.update_endpoint(EndpointName=endpoint.name, EndpointConfigName=begun.former_config)


def _delete_config(sagemaker: Any, begun: Begun) -> str | None:
    return _attempt(
        f"endpoint configuration {begun.config}",
        lambda: sagemaker.delete_endpoint_config(EndpointConfigName=begun.config),
    )


def _delete_model(sagemaker: Any, begun: Begun) -> str | None:
    return _attempt(f"model {begun.model}", lambda: sagemaker.delete_model(ModelName=begun.model))


def _attempt(what: str, delete: Callable[[], Any]) -> str | None:
    """Deletes what may be gone already; what hinders it, in words."""
    try:
        unless_missing(delete)
    except (ClientError, BotoCoreError) as error:
        return f"{what}: {in_words({'Cause': str(error)})}"
    return None
