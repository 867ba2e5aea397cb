"""The states of an experiment, in Amazon States Language with JSONPath.

Each arm is an execution of the algorithm's own training pipeline, so that it trains, evaluates and deploys exactly as a
run does. The document that runs through the states: `execution` (name, input), then `plan`, `arms`, `clean_up`,
`result`; after a failure `failed`. In an arm: `arm`, `output`, `pipeline`, `measured`, `transform`, `endpoint`. Names
in ${...} are the state machine's definition substitutions.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from stacks.constructs.state_kinds import LAMBDA_RETRY, POLL_S, State, call, catch, function, publish, receive, retry

_CLEAN_UP = "CleanUp"
_LONGEST_ARM_S = 7 * 24 * 3600
_LONGEST_TRANSFORM_S = 24 * 3600
_TRANSFORM_INSTANCE = "ml.m5.large"
_ARM = {"arm.$": "$.arm"}
_WITH_OUTPUT = {**_ARM, "output.$": "$.output"}


def definition(site: Mapping[str, Any], vpc: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The state machine of experiments.

    Args:
        site: what the plan needs to know of the deployment (lambdas/experiment_plan/plan.py).
        vpc: the VpcConfig of models, if they have one.
    """
    return {
        "Comment": "Train, time and compare an algorithm under several distributions of its data",
        "StartAt": "Receive",
        "States": {**_planning(site, vpc), **_cleaning_up(), **_ending()},
    }


def _planning(site: Mapping[str, Any], vpc: Mapping[str, Any] | None) -> dict[str, State]:
    return {
        "Receive": receive("Plan"),
        "Plan": function(
            "Plan",
            "${ExperimentPlanFunction}",
            {"site": dict(site), "execution.$": "$.execution"},
            "$.plan",
            "Arms",
            to=_CLEAN_UP,
        ),
        "Arms": {
            "Type": "Map",
            "ItemsPath": "$.plan.arms",
            # One after the other unless asked otherwise: arms that share a machine would time each other.
            "MaxConcurrencyPath": "$.plan.parallel",
            "ItemSelector": {
                "arm.$": "$$.Map.Item.Value",
                "output.$": "$.plan.output",
                "test.$": "$.plan.test",
                "execution.$": "$$.Execution.Id",
            },
            "ItemProcessor": {"ProcessorConfig": {"Mode": "INLINE"}, "StartAt": "Run", "States": _arm(vpc)},
            "ResultPath": "$.arms",
            "Catch": catch("Arms", _CLEAN_UP),
            "Next": _CLEAN_UP,
        },
    }


def _arm(vpc: Mapping[str, Any] | None) -> dict[str, State]:
    """What is done for each arm; what fails there fails the map."""
    return {
        "Run": {
            "Type": "Task",
            "Resource": "arn:aws:states:::states:startExecution.sync:2",
            "Parameters": {
                "StateMachineArn.$": "$.arm.state_machine",
                "Name.$": "$.arm.run",
                "Input.$": "$.arm.input",
            },
            "TimeoutSeconds": _LONGEST_ARM_S,
            "ResultSelector": {"training.$": "$.Output.training"},
            "ResultPath": "$.pipeline",
            "Retry": [retry(["StepFunctions.SdkClientException", "StepFunctions.ThrottlingException"], 2, 4, 60)],
            "Next": "Measure",
        },
        "Measure": function(
            "Measure",
            "${ExperimentArmFunction}",
            {**_ARM, "question": "measure", "job_name.$": "$.pipeline.training.job_name"},
            "$.measured",
            "HasTest",
            to=None,
        ),
        "HasTest": {
            "Type": "Choice",
            "Choices": [{"Variable": "$.test", "BooleanEquals": True, "Next": "CreateModel"}],
            "Default": "ArmDone",
        },
        # Its own, because its role reads test data and writes answers, which an endpoint's may not.
        "CreateModel": call(
            "CreateModel",
            {
                "ModelName.$": "$.arm.transform_name",
                "ExecutionRoleArn": "${EvaluationRole}",
                "PrimaryContainer": {"Image.$": "$.measured.image", "ModelDataUrl.$": "$.measured.model_s3_uri"},
                "EnableNetworkIsolation.$": "$.measured.isolated",
                **({} if vpc is None else {"VpcConfig": dict(vpc)}),
            },
            "$.model",
            "Transform",
            to=None,
        ),
        "Transform": {
            "Type": "Task",
            "Resource": "arn:aws:states:::sagemaker:createTransformJob.sync",
            "Parameters": {
                "TransformJobName.$": "$.arm.transform_name",
                "ModelName.$": "$.arm.transform_name",
                "BatchStrategy": "MultiRecord",
                "MaxPayloadInMB": 5,
                "TransformInput": {
                    "ContentType": "text/csv",
                    "SplitType": "Line",
                    "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri.$": "$.arm.test_s3_uri"}},
                },
                "TransformOutput": {
                    "Accept": "application/jsonlines",
                    "AssembleWith": "Line",
                    "KmsKeyId": "${Key}",
                    "S3OutputPath.$": "States.Format('{}/transform', $.arm.output_s3_uri)",
                },
                # All but the label, which comes first.
                "DataProcessing": {"InputFilter": "$[1:]"},
                "TransformResources": {
                    "InstanceType": _TRANSFORM_INSTANCE,
                    "InstanceCount": 1,
                    "VolumeKmsKeyId": "${Key}",
                },
            },
            "TimeoutSeconds": _LONGEST_TRANSFORM_S,
            "ResultPath": None,
            "Retry": [retry(["SageMaker.ResourceLimitExceededException", "SageMaker.ThrottlingException"], 60, 4, 900)],
            "Next": "ScoreTransform",
        },
        "ScoreTransform": function(
            "ScoreTransform",
            "${ExperimentArmFunction}",
            {**_WITH_OUTPUT, "question": "transform"},
            "$.transform",
            "AskEndpoint",
            to=None,
        ),
        "AskEndpoint": function(
            "AskEndpoint",
            "${ExperimentArmFunction}",
            {**_WITH_OUTPUT, "question": "endpoint"},
            "$.endpoint",
            "ArmScored",
            to=None,
        ),
        "ArmScored": {
            "Type": "Pass",
            "Parameters": {
                **_ARM,
                "measured.$": "$.measured",
                "transform.$": "$.transform",
                "endpoint.$": "$.endpoint",
            },
            "End": True,
        },
        "ArmDone": {"Type": "Pass", "Parameters": {**_ARM, "measured.$": "$.measured"}, "End": True},
    }


def _cleaning_up() -> dict[str, State]:
    """Every way leads here, so that no endpoint stays."""
    return {
        _CLEAN_UP: {
            **function(
                _CLEAN_UP, "${ExperimentCleanUpFunction}", {"document.$": "$"}, "$.clean_up", "IsCleanedUp", to=None
            ),
            "Retry": [*LAMBDA_RETRY, retry(["States.ALL"], 2, 3, 30)],
            "Catch": [{"ErrorEquals": ["States.ALL"], "ResultPath": "$.hindrance", "Next": "CleanUpFailed"}],
        },
        "IsCleanedUp": {
            "Type": "Choice",
            "Choices": [
                {"Variable": "$.clean_up.done", "BooleanEquals": False, "Next": "WaitForCleanUp"},
                {"Variable": "$.failed", "IsPresent": True, "Next": "NotifyFailure"},
            ],
            "Default": "Compare",
        },
        "WaitForCleanUp": {"Type": "Wait", "Seconds": POLL_S, "Next": _CLEAN_UP},
        "CleanUpFailed": {
            "Type": "Pass",
            "Parameters": {
                "error": "CleanUpFailed",
                "cause.$": "States.Format('What the arms made could not be deleted: {}', $.hindrance.Cause)",
            },
            "ResultPath": "$.clean_up",
            "Next": "NotifyFailure",
        },
    }


def _ending() -> dict[str, State]:
    unannounced = [{"ErrorEquals": ["States.ALL"], "ResultPath": "$.unannounced", "Next": "Failed"}]
    return {
        "Compare": function(
            "Compare",
            "${ExperimentCompareFunction}",
            {"plan.$": "$.plan", "arms.$": "$.arms"},
            "$.result",
            "Notify",
            to=_CLEAN_UP,
        ),
        "Notify": publish(
            "States.Format('{} succeeded', $.execution.name)",
            "States.Format('Experiment {} succeeded. {}', $.execution.name, $.result.words)",
            "Succeeded",
            catch("Notify", _CLEAN_UP),
        ),
        "Succeeded": {"Type": "Pass", "OutputPath": "$.result", "End": True},
        "NotifyFailure": publish(
            "States.Format('{} failed', $.execution.name)",
            "States.Format('Experiment {} failed. {}', $.execution.name, $.clean_up.cause)",
            "Failed",
            unannounced,
        ),
        "Failed": {"Type": "Fail", "ErrorPath": "$.clean_up.error", "CausePath": "$.clean_up.cause"},
    }
