"""From raw data to a model that has been measured."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from contract.specification import Algorithm
from stacks.constructs.state_kinds import TRAINING_ATTEMPTS, State, call, catch, choice, function, job, who

_FIELDS = (
    *("AlgorithmSpecification", "InputDataConfig", "OutputDataConfig", "ResourceConfig", "EnableNetworkIsolation"),
    "EnableInterContainerTrafficEncryption",
)


def training_states(algorithm: Algorithm, *, networked: bool) -> dict[str, State]:
    """Prepare, Tune and Train, each if it is wanted, then Evaluate; `networked` jobs have a VpcConfig."""
    fields = (*_FIELDS, "VpcConfig") if networked else _FIELDS
    return {**_preparation(), **_tuning(), **_train(fields), **_spot(algorithm, fields), **_evaluation(algorithm)}


def _preparation() -> dict[str, State]:
    fields = (
        *("AppSpecification", "ProcessingInputs", "ProcessingOutputConfig", "ProcessingResources"),
        *("StoppingCondition", "NetworkConfig"),
    )
    return {
        "IsToBePrepared": choice({"Variable": "$.plan.preparation", "IsNull": False}, "Prepare", "IsToBeTuned"),
        "Prepare": job(
            "Prepare",
            "createProcessingJob",
            {
                "ProcessingJobName.$": "States.Format('{}-p{}', $.plan.base_name, $$.State.RetryCount)",
                "RoleArn": "${PreparationRole}",
                "Tags.$": "$.plan.tags",
                **_taken("$.plan.preparation", fields),
            },
            "$.plan.preparation.TimeoutSeconds",
            "$.prepared",
            "IsToBeTuned",
        ),
    }


def _tuning() -> dict[str, State]:
    return {
        "IsToBeTuned": choice({"Variable": "$.plan.tuning", "IsNull": False}, "Tune", "OnSpot"),
        "Tune": job(
            "Tune",
            "createHyperParameterTuningJob",
            {
                "HyperParameterTuningJobName.$": "States.Format('{}{}', $.plan.tuning.base_name, $$.State.RetryCount)",
                "Tags.$": "$.plan.tags",
                **_taken("$.plan.tuning", ("HyperParameterTuningJobConfig", "TrainingJobDefinition")),
            },
            "$.plan.tuning.TimeoutSeconds",
            "$.tuned",
            "FindBest",
        ),
        "FindBest": call(
            "FindBest",
            {"TrainingJobName.$": "$.tuned.BestTrainingJob.TrainingJobName"},
            "$.job",
            "NoteBest",
            operation="DescribeTrainingJob",
            of="Tune",
        ),
        "NoteBest": {
            "Type": "Pass",
            "Parameters": {
                "job_name.$": "$.tuned.HyperParameterTuningJobName",
                "best_job.$": "$.tuned.BestTrainingJob.TrainingJobName",
                "hyperparameters.$": "$.tuned.BestTrainingJob.TunedHyperParameters",
            },
            "ResultPath": "$.made.tuning",
            "Next": "IsToBeTrainedAgain",
        },
        "IsToBeTrainedAgain": choice(
            {"Variable": "$.plan.tuning.train_again", "BooleanEquals": True}, "TakeBest", "Evaluate"
        ),
        "TakeBest": {
            "Type": "Pass",
            "Parameters": {
                "hyperparameters.$": "States.JsonMerge($.plan.training.HyperParameters, "
                "$.tuned.BestTrainingJob.TunedHyperParameters, false)"
            },
            "ResultPath": "$.chosen",
            "Next": "OnSpot",
        },
    }


def _train(fields: Sequence[str]) -> dict[str, State]:
    return {
        "OnSpot": choice(
            {"Variable": "$.plan.training.EnableManagedSpotTraining", "BooleanEquals": True}, "TrainOnSpot", "Train"
        ),
        "Train": _training_job("Train", "", fields, then="Evaluate", StoppingCondition="StoppingCondition"),
    }


def _spot(algorithm: Algorithm, fields: Sequence[str]) -> dict[str, State]:
    """A job on hosts that may be taken away at any time, and beside it a watch that ends it when they are too often.

    The job keeps its checkpoints where the next hosts find them, on spot or on demand.
    """
    watched = {
        **who(algorithm),
        "base_name.$": "$.plan.base_name",
        "max_interruptions.$": "$.plan.training.MaxInterruptions",
        "attempts": TRAINING_ATTEMPTS,
    }
    fields = (*fields, "CheckpointConfig")
    branch = _training_job(
        "OnSpotHosts",
        "s",
        fields,
        then=None,
        StoppingCondition="StoppingCondition",
    )
    return {
        "TrainOnSpot": {
            "Type": "Parallel",
            "Branches": [
                {"StartAt": "OnSpotHosts", "States": {"OnSpotHosts": branch}},
                {"StartAt": "BeginWatch", "States": _watch(watched)},
            ],
            "ResultPath": "$.spot",
            "Catch": [{"ErrorEquals": ["States.ALL"], "ResultPath": "$.spot_failure", "Next": "FindSpotJob"}],
            "Next": "TakeSpotJob",
        },
        "TakeSpotJob": {"Type": "Pass", "InputPath": "$.spot[0]", "ResultPath": "$.job", "Next": "Evaluate"},
        "FindSpotJob": function(
            "FindSpotJob",
            "${SpotFunction}",
            {**watched, "question": "after", "watch": {"waited_s": 0, "wait_s": 0}},
            "$.watch",
            "GoesOnOnDemand",
            of="Train",
        ),
        "GoesOnOnDemand": choice(
            {"Variable": "$.watch.outcome", "StringEquals": "on_demand"}, "TrainOnDemand", "RefuseSpotJob"
        ),
        "RefuseSpotJob": {
            "Type": "Pass",
            "InputPath": "$.spot_failure",
            "ResultPath": "$.failed.Train",
            "Next": "Rollback",
        },
        "TrainOnDemand": _training_job(
            "Train", "", fields, then="Evaluate", StoppingCondition="OnDemandStoppingCondition"
        ),
    }


def _watch(watched: dict[str, Any]) -> dict[str, State]:
    """Looks at the job until it has ended; a failure of the job itself is its own branch's to tell."""
    return {
        "BeginWatch": {
            "Type": "Pass",
            "Result": {"outcome": "running", "interruptions": 0, "waited_s": 0, "wait_s": 3},
            "ResultPath": "$.watch",
            "Next": "WaitForSpot",
        },
        "WaitForSpot": {"Type": "Wait", "SecondsPath": "$.watch.wait_s", "Next": "CheckSpot"},
        "CheckSpot": function(
            "CheckSpot",
            "${SpotFunction}",
            {**watched, "question": "during", "watch.$": "$.watch"},
            "$.watch",
            "HasSpotEnded",
            to=None,
        ),
        "HasSpotEnded": choice({"Variable": "$.watch.outcome", "StringEquals": "running"}, "WaitForSpot", "SpotEnded"),
        "SpotEnded": {"Type": "Pass", "InputPath": "$.watch", "End": True},
    }


def _training_job(
    of: str,
    letter: str,
    fields: Sequence[str],
    *,
    then: str | None,
    StoppingCondition: str,  # noqa: N803
) -> State:
    """A training job.

    Args:
        letter: before the attempt's number in the job's name.
        fields: those of the request that the plan has ready.
        then: None in a branch, which ends with the job and leaves failures to the state that it is in.
    """
    spot = then is None
    state = job(
        of,
        "createTrainingJob",
        {
            "TrainingJobName.$": f"States.Format('{{}}-{letter}{{}}', $.plan.base_name, $$.State.RetryCount)",
            "RoleArn": "${TrainingRole}",
            "Tags.$": "$.plan.tags",
            "HyperParameters.$": "$.chosen.hyperparameters",
            "StoppingCondition.$": f"$.plan.training.{StoppingCondition}",
            "EnableManagedSpotTraining": spot,
            **_taken("$.plan.training", fields),
        },
        "$.plan.training.TimeoutSeconds",
        "$.job",
        then or "",
    )
    if spot:
        ending = {name: value for name, value in state.items() if name not in ("Next", "Catch", "ResultPath")}
        return {**ending, "End": True}
    return {**state, "Catch": catch("Train")}


def _evaluation(algorithm: Algorithm) -> dict[str, State]:
    return {
        "Evaluate": function(
            "Evaluate",
            "${EvaluateFunction}",
            {
                **who(algorithm),
                "job.$": "$.job",
                "gate.$": "$.plan.gate",
                "endpoint_name.$": "$.plan.deployment.endpoint_name",
                "evaluation": algorithm.evaluation,
                "goals": {metric.name: metric.goal for metric in algorithm.metrics},
            },
            "$.evaluation",
            "Gate",
        ),
        "Gate": choice({"Variable": "$.evaluation.passed", "BooleanEquals": False}, "RefuseModel", "IsToBeCompared"),
        "RefuseModel": {
            "Type": "Pass",
            "Parameters": {"Error": "GateFailed", "Cause.$": "$.evaluation.verdict"},
            "ResultPath": "$.failed.Gate",
            "Next": "Rollback",
        },
    }


def _taken(path: str, fields: Sequence[str]) -> dict[str, Any]:
    """Fields of a request that a part of the plan has ready."""
    return {f"{field}.$": f"{path}.{field}" for field in fields}
