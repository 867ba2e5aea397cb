"""From a model that is good enough to one that may be deployed."""

from __future__ import annotations

from contract.specification import Algorithm
from stacks.constructs.state_kinds import SNS_RETRY, State, call, catch, choice, function, who

_CONSOLE = "https://${Region}.console.aws.amazon.com/states/home?region=${Region}#/v2/executions/details/{}"


def release_states(algorithm: Algorithm) -> dict[str, State]:
    """Compare, Register and Approve, each if it is wanted."""
    return {
        "IsToBeCompared": choice({"Variable": "$.plan.comparison", "IsNull": False}, "Compare", "IsToBeRegistered"),
        "Compare": function(
            "Compare",
            "${CompareFunction}",
            {
                **who(algorithm),
                "endpoint_name.$": "$.plan.deployment.endpoint_name",
                "metrics.$": "$.plan.comparison.metrics",
                "evaluation.$": "$.evaluation",
                "evaluation_file": algorithm.evaluation,
            },
            "$.made.comparison",
            "IsToBeRegistered",
        ),
        "IsToBeRegistered": choice({"Variable": "$.plan.registration", "IsNull": False}, "Register", "GoesWhere"),
        "Register": function(
            "Register",
            "${RegisterFunction}",
            {
                **who(algorithm),
                "group": "${ModelGroup}",
                "base_name.$": "$.plan.base_name",
                "registration.$": "$.plan.registration",
                "approval.$": "$.plan.approval",
                "image.$": "$.plan.training.AlgorithmSpecification.TrainingImage",
                "inputs.$": "$.plan.training.InputDataConfig",
                "job_arn.$": "$.job.TrainingJobArn",
                "evaluation.$": "$.evaluation",
                "content_types": list(algorithm.serving.content_types),
            },
            "$.registered",
            "NotePackage",
        ),
        "NotePackage": {
            "Type": "Pass",
            "InputPath": "$.registered.model_package_arn",
            "ResultPath": "$.made.package",
            "Next": "NeedsApproval",
        },
        "NeedsApproval": choice({"Variable": "$.plan.approval", "IsNull": False}, "Approve", "GoesWhere"),
        "Approve": {
            "Type": "Task",
            "Resource": "arn:aws:states:::sns:publish.waitForTaskToken",
            "Parameters": {
                "TopicArn": "${Topic}",
                "Subject.$": "States.Format('{} waits for approval', $.execution.name)",
                "Message.$": "States.Format('Run {} has trained a model: {} Gate: {}\n\nkindling approve {}\n"
                f"kindling reject {{}} --reason ...\n\n{_CONSOLE}', $.execution.name, "
                "$.evaluation.training.model_s3_uri, $.evaluation.verdict, $.made.comparison.words, "
                "$.execution.name, $.execution.name, "
                "$$.Execution.Id)",
                # Where `kindling approve` finds it, in the execution's history; it is of use only to who may answer.
                "MessageAttributes": {"TaskToken": {"DataType": "String", "StringValue.$": "$$.Task.Token"}},
            },
            "TimeoutSecondsPath": "$.plan.approval.timeout_s",
            "ResultPath": "$.made.approval",
            "Retry": SNS_RETRY,
            "Catch": catch("Approve"),
            "Next": "AcceptPackage",
        },
        "AcceptPackage": call(
            "AcceptPackage",
            {
                "ModelPackageArn.$": "$.made.package",
                "ModelApprovalStatus": "Approved",
                "ApprovalDescription.$": "States.Format('{}: {}', $.made.approval.by, $.made.approval.comment)",
            },
            "$.accepted",
            "GoesWhere",
            operation="UpdateModelPackage",
            of="Approve",
        ),
        "GoesWhere": {
            "Type": "Choice",
            "Choices": [
                {"Variable": "$.plan.batch", "IsNull": False, "Next": "CreateBatchModel"},
                {"Variable": "$.plan.deployment.wanted", "BooleanEquals": True, "Next": "CreateModel"},
            ],
            "Default": "SkipDeployment",
        },
        "SkipDeployment": {
            "Type": "Pass",
            "Result": {"endpoint": None, "smoke_test": None, "words": "no endpoint was asked for."},
            "ResultPath": "$.deployment",
            "Next": "IsToBeCleanedUp",
        },
    }
