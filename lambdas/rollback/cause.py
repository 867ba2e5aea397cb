"""Why an execution failed, in words: what AWS wraps into JSON and into its own phrases, unwrapped."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

# States that are one step to a person: putting the model behind the endpoint.
_DEPLOYING = frozenset(
    {
        *("CreateModel", "CreateEndpointConfig", "FindEndpoint", "CreateEndpoint", "UpdateEndpoint"),
        *("CheckEndpoint", "RetireOld", "PutAlarms", "Scale"),
    }
)
_JOBS = {"Training": "training", "Processing": "processing", "Transform": "transform"} | {
    "HyperParameterTuning": "tuning"
}
# "... (Service: SageMaker, Status Code: 400, Request ID: ...)", as the SDK integrations end their messages.
_SERVICE = re.compile(r"\s*\(Service: .*\)$", re.DOTALL)
# "An error occurred (ValidationException) when calling the CreateModel operation: ...", as botocore begins its own.
_OPERATION = re.compile(r"^An error occurred \(\S+\) when calling the \w+ operation(?: \(.*?\))?: ")
# "AlgorithmError: ..., exit code: 1", as SageMaker wraps what the container itself wrote into its failure file.
_WRAPPED = re.compile(r"^AlgorithmError: ((?:ClientError|AlgorithmError): .*?)(?:, exit code: \d+)?$", re.DOTALL)


def failed_state(failed: Mapping[str, Any]) -> str:
    """The state that failed: the only key of what the states' Catch noted."""
    (state,) = failed
    return str(state)


def error_name(state: str) -> str:
    """The execution's error, named after the step: TrainFailed, DeployFailed."""
    return f"{'Deploy' if state in _DEPLOYING else state}Failed"


def in_words(failure: Mapping[str, Any]) -> str:
    """The reason that a failure's Error and Cause hold, in words."""
    error, cause = failure.get("Error") or "", failure.get("Cause") or ""
    if not cause.strip():
        return "it took longer than it may." if error == "States.Timeout" else f"{error or 'no reason was given'}."
    try:
        described = json.loads(cause)
    except ValueError:
        described = cause
    if isinstance(described, dict):
        return _of_description(described) or cause
    return _SERVICE.sub("", _OPERATION.sub("", str(described)))


def _of_description(described: Mapping[str, Any]) -> str | None:
    """The reason in a job's or an execution's description, or in what a Lambda raised."""
    if described.get("ExecutionArn") and described.get("Cause"):
        return str(described["Cause"])
    # A processing container's own words; its FailureReason holds no more than its last line.
    if described.get("ExitMessage"):
        return str(described["ExitMessage"])
    if described.get("FailureReason"):
        return _WRAPPED.sub(r"\1", str(described["FailureReason"]))
    if described.get("errorMessage"):
        return _SERVICE.sub("", _OPERATION.sub("", str(described["errorMessage"])))
    if described.get("SecondaryStatus") == "MaxRuntimeExceeded":
        return "the training job reached max_runtime_s before it was done."
    for kind in ("Training", "Processing", "Transform", "HyperParameterTuning"):
        if described.get(f"{kind}JobStatus") == "Stopped":
            return f"the {_JOBS[kind]} job was stopped."
    return str(described["errorType"]) if described.get("errorType") else None
