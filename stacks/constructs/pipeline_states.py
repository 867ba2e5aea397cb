"""The training pipeline's states, in Amazon States Language with JSONPath.

The document that runs through them: `execution` (name, input), then one part per state that succeeded: `plan`, `job`,
`evaluation`, `model`, `former`, `begun`, `check`, `smoke_test`, `deployment`; after a failure `failed` and `rollback`.
Names in ${...} are the state machine's definition substitutions.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from contract.specification import Algorithm
from stacks.constructs.state_kinds import (
    LAMBDA_RETRY,
    POLL_S,
    TRAINING_ATTEMPTS,
    TRAINING_RETRY,
    State,
    call,
    catch,
    function,
    publish,
    receive,
    retry,
)


def definition(algorithm: Algorithm, site: Mapping[str, Any]) -> dict[str, Any]:
    """The state machine of one algorithm.

    Args:
        site: what the Plan function needs to know of the deployment (lambdas/plan/site.py).
    """
    return {
        "Comment": f"Train, evaluate and deploy {algorithm.name}",
        "StartAt": "Receive",
        "States": {
            **_preparation(algorithm, site),
            **_training(algorithm),
            **_deployment(algorithm, str(site["name_prefix"])),
            **_success(),
            **_failure(algorithm),
        },
    }


def _preparation(algorithm: Algorithm, site: Mapping[str, Any]) -> dict[str, State]:
    described = algorithm.model_dump(mode="json", exclude_defaults=True)
    return {
        "Receive": receive("Plan"),
        "Plan": function(
            "Plan",
            "${PlanFunction}",
            {"algorithm": described, "site": dict(site), "execution.$": "$.execution"},
            "$.plan",
            "OnSpot",
        ),
    }


def _train(*more: str) -> State:
    """The training job, with `more` fields of the request than every job has."""
    fields = (
        *("AlgorithmSpecification", "HyperParameters", "InputDataConfig", "OutputDataConfig", "ResourceConfig"),
        *("StoppingCondition", "EnableNetworkIsolation", "EnableManagedSpotTraining"),
        *("EnableInterContainerTrafficEncryption", *more),
    )
    return {
        "Type": "Task",
        "Resource": "arn:aws:states:::sagemaker:createTrainingJob.sync",
        "Parameters": {
            "TrainingJobName.$": "States.Format('{}-{}', $.plan.base_name, $$.State.RetryCount)",
            "RoleArn": "${TrainingRole}",
            "Tags.$": "$.plan.tags",
            **{f"{field}.$": f"$.plan.training.{field}" for field in fields},
        },
        "TimeoutSecondsPath": "$.plan.training.TimeoutSeconds",
        "ResultPath": "$.job",
        "Retry": TRAINING_RETRY,
        "Catch": catch("Train"),
        "Next": "Evaluate",
    }


def _training(algorithm: Algorithm) -> dict[str, State]:
    return {
        "OnSpot": {
            "Type": "Choice",
            "Choices": [
                {"Variable": "$.plan.training.EnableManagedSpotTraining", "BooleanEquals": True, "Next": "TrainOnSpot"}
            ],
            "Default": "Train",
        },
        "Train": _train(),
        # Hosts that may be taken away at any time: the job keeps its checkpoints where the next ones find them.
        "TrainOnSpot": _train("CheckpointConfig"),
        "Evaluate": function(
            "Evaluate",
            "${EvaluateFunction}",
            {
                **_who(algorithm),
                "job.$": "$.job",
                "gate.$": "$.plan.gate",
                "endpoint_name.$": "$.plan.deployment.endpoint_name",
                "evaluation": algorithm.evaluation,
                "goals": {metric.name: metric.goal for metric in algorithm.metrics},
            },
            "$.evaluation",
            "Gate",
        ),
        "Gate": {
            "Type": "Choice",
            "Choices": [
                {"Variable": "$.evaluation.passed", "BooleanEquals": False, "Next": "RefuseModel"},
                {"Variable": "$.plan.deployment.wanted", "BooleanEquals": True, "Next": "CreateModel"},
            ],
            "Default": "SkipDeployment",
        },
        "RefuseModel": {
            "Type": "Pass",
            "Parameters": {"Error": "GateFailed", "Cause.$": "$.evaluation.verdict"},
            "ResultPath": "$.failed.Gate",
            "Next": "Rollback",
        },
        "SkipDeployment": {
            "Type": "Pass",
            "Result": {"endpoint": None, "smoke_test": None, "words": "no endpoint was asked for."},
            "ResultPath": "$.deployment",
            "Next": "Notify",
        },
    }


def _deployment(algorithm: Algorithm, ours: str) -> dict[str, State]:
    """From a model that may be deployed to one that answered; `ours` begins the names of what the pipeline made."""
    target = {
        "EndpointName.$": "$.plan.deployment.endpoint_name",
        "EndpointConfigName.$": "$.plan.deployment.config_name",
    }
    tags = {"Tags.$": "$.plan.tags"}
    update = {"DeploymentConfig.$": "$.plan.deployment.update"}
    return {
        "CreateModel": call(
            "CreateModel",
            {
                "ModelName.$": "$.plan.deployment.model_name",
                "ExecutionRoleArn": "${HostingRole}",
                "PrimaryContainer": {
                    "Image.$": "$.plan.training.AlgorithmSpecification.TrainingImage",
                    "ModelDataUrl.$": "$.job.ModelArtifacts.S3ModelArtifacts",
                },
                "EnableNetworkIsolation.$": "$.plan.training.EnableNetworkIsolation",
                **tags,
            },
            "$.model",
            "CreateEndpointConfig",
        ),
        "CreateEndpointConfig": call(
            "CreateEndpointConfig",
            {
                "EndpointConfigName.$": "$.plan.deployment.config_name",
                "ProductionVariants.$": "$.plan.deployment.variants",
                **tags,
            },
            "$.config",
            "FindEndpoint",
        ),
        "FindEndpoint": function(
            "FindEndpoint",
            "${EndpointFunction}",
            {**_who(algorithm), "question": "former", "deployment.$": "$.plan.deployment"},
            "$.former",
            "CreateOrUpdate",
        ),
        "CreateOrUpdate": {
            "Type": "Choice",
            "Choices": [{"Variable": "$.former.action", "StringEquals": "updated", "Next": "UpdateEndpoint"}],
            "Default": "CreateEndpoint",
        },
        "CreateEndpoint": call("CreateEndpoint", {**target, **tags}, "$.begun", "BeginChecks"),
        "UpdateEndpoint": call("UpdateEndpoint", {**target, **update}, "$.begun", "BeginChecks"),
        "BeginChecks": {
            "Type": "Pass",
            "Result": {"count": 0},
            "ResultPath": "$.check",
            "Next": "WaitForEndpoint",
        },
        "WaitForEndpoint": {"Type": "Wait", "Seconds": POLL_S, "Next": "CheckEndpoint"},
        "CheckEndpoint": function(
            "CheckEndpoint",
            "${EndpointFunction}",
            {**_who(algorithm), "question": "ready", "deployment.$": "$.plan.deployment", "check.$": "$.check"},
            "$.check",
            "IsReady",
        ),
        "IsReady": {
            "Type": "Choice",
            "Choices": [{"Variable": "$.check.ready", "BooleanEquals": True, "Next": "SmokeTest"}],
            "Default": "WaitForEndpoint",
        },
        "SmokeTest": function(
            "SmokeTest",
            "${SmokeTestFunction}",
            {
                **_who(algorithm),
                "endpoint_name.$": "$.plan.deployment.endpoint_name",
                "smoke_test": algorithm.serving.smoke_test.model_dump(mode="json"),
            },
            "$.smoke_test",
            "RetireOld",
        ),
        "RetireOld": function(
            "RetireOld",
            "${RetireFunction}",
            {
                **_who(algorithm),
                "former.$": "$.former",
                "ours": f"{ours}-",
                "endpoint": {
                    "name.$": "$.plan.deployment.endpoint_name",
                    "arn.$": "$.check.arn",
                    "status.$": "$.check.status",
                },
                "smoke_test.$": "$.smoke_test",
            },
            "$.deployment",
            "Notify",
        ),
    }


def _success() -> dict[str, State]:
    return {
        "Notify": publish(
            "States.Format('{} succeeded', $.execution.name)",
            "States.Format('Run {} succeeded. Model: {} Gate: {} Endpoint: {}', $.execution.name, "
            "$.evaluation.training.model_s3_uri, $.evaluation.verdict, $.deployment.words)",
            "Succeeded",
            catch("Notify"),
        ),
        "Succeeded": {
            "Type": "Pass",
            "Parameters": {
                "run.$": "$.execution.name",
                "algorithm.$": "$.plan.algorithm",
                "training.$": "$.evaluation.training",
                "evaluation.$": "$.evaluation.evaluation",
                "endpoint.$": "$.deployment.endpoint",
                "smoke_test.$": "$.deployment.smoke_test",
            },
            "End": True,
        },
    }


def _failure(algorithm: Algorithm) -> dict[str, State]:
    """Every failure leads here, with its Error and Cause under $.failed.<state>."""
    unannounced = [{"ErrorEquals": ["States.ALL"], "ResultPath": "$.unannounced", "Next": "FailureNotAnnounced"}]
    return {
        "Rollback": {
            **function(
                "Rollback",
                "${RollbackFunction}",
                {"algorithm": algorithm.name, "attempts": TRAINING_ATTEMPTS, "document.$": "$"},
                "$.rollback",
                "IsRolledBack",
            ),
            "Retry": [*LAMBDA_RETRY, retry(["States.ALL"], 2, 3, 30)],
            "Catch": [{"ErrorEquals": ["States.ALL"], "ResultPath": "$.hindrance", "Next": "RollbackFailed"}],
        },
        "IsRolledBack": {
            "Type": "Choice",
            "Choices": [{"Variable": "$.rollback.done", "BooleanEquals": True, "Next": "NotifyFailure"}],
            "Default": "WaitForRollback",
        },
        "WaitForRollback": {"Type": "Wait", "Seconds": POLL_S, "Next": "Rollback"},
        # The function that would put it into words is the one that failed.
        "RollbackFailed": {
            "Type": "Pass",
            "Parameters": {
                "error": "RollbackFailed",
                "cause.$": "States.Format('{} What was begun could not be undone: {}', "
                "States.JsonToString($.failed), $.hindrance.Cause)",
            },
            "ResultPath": "$.rollback",
            "Next": "NotifyFailure",
        },
        "NotifyFailure": publish(
            "States.Format('{} failed', $.execution.name)",
            "States.Format('Run {} failed. {}', $.execution.name, $.rollback.cause)",
            "Failed",
            unannounced,
        ),
        "FailureNotAnnounced": {
            "Type": "Pass",
            "Parameters": {
                "error.$": "$.rollback.error",
                "cause.$": "States.Format('{} The failure could not be announced: {}', "
                "$.rollback.cause, $.unannounced.Cause)",
            },
            "ResultPath": "$.rollback",
            "Next": "Failed",
        },
        "Failed": {"Type": "Fail", "ErrorPath": "$.rollback.error", "CausePath": "$.rollback.cause"},
    }


def _who(algorithm: Algorithm) -> dict[str, str]:
    return {"run.$": "$.execution.name", "algorithm": algorithm.name}
