"""The kinds of states that pipelines are made of, and how each is tried again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from contract.specification import Algorithm

State = dict[str, Any]

# Between two looks at an endpoint, or at a rollback that waits for one.
POLL_S = 3
# Above every function's own limit, which ends it first and says so.
_LAMBDA_S = 660
_CALL_S = 60

_CAPACITY_ATTEMPTS, _THROTTLED_ATTEMPTS = 4, 4
# A job's name ends with the number of the attempt: the first one, and every retry of either kind.
TRAINING_ATTEMPTS = 1 + _CAPACITY_ATTEMPTS + _THROTTLED_ATTEMPTS


def retry(errors: list[str], interval: int, attempts: int, longest: int) -> dict[str, Any]:
    """Try again after pauses that double and are drawn at random; `interval` and `longest` in seconds."""
    return {
        "ErrorEquals": errors,
        "IntervalSeconds": interval,
        "MaxAttempts": attempts,
        "BackoffRate": 2,
        "MaxDelaySeconds": longest,
        "JitterStrategy": "FULL",
    }


LAMBDA_RETRY = [
    retry(
        [
            *("Lambda.ServiceException", "Lambda.AWSLambdaException", "Lambda.SdkClientException"),
            *("Lambda.TooManyRequestsException", "Lambda.ClientExecutionTimeoutException"),
        ],
        *(1, 5, 30),
    )
]
_CALL_RETRY = [retry(["SageMaker.ThrottlingException", "SageMaker.SdkClientException"], 2, 5, 30)]
SNS_RETRY = [retry(["SNS.ThrottledException", "SNS.InternalErrorException", "SNS.SdkClientException"], 2, 4, 30)]
TRAINING_RETRY = [
    # The account's quota of instances; another job may give some back.
    retry(["SageMaker.ResourceLimitExceededException"], 60, _CAPACITY_ATTEMPTS, 900),
    # SageMaker's name for throttling here, and for little else that Plan has not already refused.
    retry(
        ["SageMaker.AmazonSageMakerException", "SageMaker.ThrottlingException", "SageMaker.SdkClientException"],
        *(2, _THROTTLED_ATTEMPTS, 60),
    ),
]


def catch(state: str, to: str = "Rollback") -> list[dict[str, Any]]:
    """Note any failure under the state's name and go to the state that sees to it."""
    return [{"ErrorEquals": ["States.ALL"], "ResultPath": f"$.failed.{state}", "Next": to}]


def receive(then: str, **more: Mapping[str, Any]) -> State:
    """The first state: whatever the input is, the document is an object, so that a failure can be noted in it.

    Args:
        more: parts that the document has from its beginning.
    """
    return {
        "Type": "Pass",
        "Parameters": {"execution": {"name.$": "$$.Execution.Name", "input.$": "$"}, **more},
        "Next": then,
    }


def who(algorithm: Algorithm) -> dict[str, str]:
    """Whose run it is, which every function logs."""
    return {"run.$": "$.execution.name", "algorithm": algorithm.name}


def choice(condition: Mapping[str, Any], then: str, otherwise: str) -> State:
    """One of two ways to go on."""
    return {"Type": "Choice", "Choices": [{**condition, "Next": then}], "Default": otherwise}


def function(
    state: str,
    arn: str,
    payload: Mapping[str, Any],
    result_path: str,
    then: str,
    *,
    to: str | None = "Rollback",
    of: str | None = None,
) -> State:
    """A function of the pipeline, whose answer becomes a part of the document.

    Args:
        to: the state that sees to failures; None leaves them to the Map or Parallel that the state is in.
        of: the state that a failure is one of; its own where none is given.
    """
    return {
        "Type": "Task",
        "Resource": arn,
        "Parameters": dict(payload),
        "TimeoutSeconds": _LAMBDA_S,
        "ResultPath": result_path,
        "Retry": LAMBDA_RETRY,
        **({"Catch": catch(of or state, to)} if to else {}),
        "Next": then,
    }


def job(
    state: str, operation: str, parameters: Mapping[str, Any], timeout_path: str, result_path: str, then: str
) -> State:
    """A SageMaker job, waited for; the document gets its description.

    Args:
        operation: such as createTrainingJob.
        timeout_path: where the document has the longest time, in seconds.
    """
    return {
        "Type": "Task",
        "Resource": f"arn:aws:states:::sagemaker:{operation}.sync",
        "Parameters": dict(parameters),
        "TimeoutSecondsPath": timeout_path,
        "ResultPath": result_path,
        "Retry": TRAINING_RETRY,
        "Catch": catch(state),
        "Next": then,
    }


def call(
    state: str,
    parameters: Mapping[str, Any],
    result_path: str,
    then: str,
    *,
    operation: str | None = None,
    to: str | None = "Rollback",
    of: str | None = None,
) -> State:
    """A SageMaker operation that answers at once.

    Args:
        operation: it is the state's name where none is given.
        to: the state that sees to failures; None leaves them to the Map that the state is in.
        of: the state that a failure is one of; its own where none is given.
    """
    named = operation or state
    return {
        "Type": "Task",
        "Resource": f"arn:aws:states:::aws-sdk:sagemaker:{named[0].lower()}{named[1:]}",
        "Parameters": dict(parameters),
        "TimeoutSeconds": _CALL_S,
        "ResultPath": result_path,
        "Retry": _CALL_RETRY,
        **({"Catch": catch(of or state, to)} if to else {}),
        "Next": then,
    }


def publish(subject: str, message: str, then: str, catchers: list[dict[str, Any]]) -> State:
    """A message to the topic; subject and message are intrinsic functions."""
    return {
        "Type": "Task",
        "Resource": "arn:aws:states:::sns:publish",
        "Parameters": {"TopicArn": "${Topic}", "Subject.$": subject, "Message.$": message},
        "TimeoutSeconds": _CALL_S,
        "ResultPath": None,
        "Retry": SNS_RETRY,
        "Catch": catchers,
        "Next": then,
    }
