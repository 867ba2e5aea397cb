"""How an execution ends: with what it made, or with nothing left behind and the cause in words."""

from __future__ import annotations

from contract.specification import Algorithm
from stacks.constructs.state_kinds import (
    LAMBDA_RETRY,
    POLL_S,
    TRAINING_ATTEMPTS,
    State,
    catch,
    choice,
    function,
    publish,
    retry,
    who,
)


def success_states(algorithm: Algorithm) -> dict[str, State]:
    """What is told of a run that came to its end."""
    return {
        "IsToBeCleanedUp": choice({"Variable": "$.plan.clean_up", "IsNull": False}, "CleanUp", "Notify"),
        # A run does not fail of its litter.
        "CleanUp": {
            **function(
                "CleanUp",
                "${CleanUpFunction}",
                {**who(algorithm), "addresses.$": "$.plan.clean_up", "keep.$": "$.evaluation.training.model_s3_uri"},
                "$.cleaned",
                "Notify",
            ),
            "Catch": [{"ErrorEquals": ["States.ALL"], "ResultPath": "$.cleaned", "Next": "Notify"}],
        },
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
                "tuning.$": "$.made.tuning",
                "training.$": "$.evaluation.training",
                "evaluation.$": "$.evaluation.evaluation",
                "comparison.$": "$.made.comparison",
                "model_package_arn.$": "$.made.package",
                "approval.$": "$.made.approval",
                "batch.$": "$.made.batch",
                "endpoint.$": "$.deployment.endpoint",
                "smoke_test.$": "$.deployment.smoke_test",
            },
            "End": True,
        },
    }


def failure_states(algorithm: Algorithm) -> dict[str, State]:
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
