"""The tuning job that a request asks for, in CreateHyperParameterTuningJob's own terms."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from contract.gating import gate_metric
from contract.specification import Algorithm, Hyperparameter, InvalidJobError
from lambdas.plan.names import tuning_name
from lambdas.plan.request import Channel, Request, Tuning
from lambdas.plan.site import Site
from lambdas.plan.training import MARGIN_S, Values, vpc_config
from lambdas.plan.wording import shown, suggestion

_LISTS = {"int": "IntegerParameterRanges", "float": "ContinuousParameterRanges"}
_CATEGORICAL = "CategoricalParameterRanges"
# What a training job of the tuning job has under the same name.
_OF_THE_JOB = (
    *("AlgorithmSpecification", "InputDataConfig", "OutputDataConfig", "ResourceConfig", "StoppingCondition"),
    *("EnableNetworkIsolation", "EnableManagedSpotTraining", "EnableInterContainerTrafficEncryption"),
)


def tuning_job(
    algorithm: Algorithm,
    request: Request,
    values: Values,
    training: Mapping[str, Any],
    site: Site,
    base: str,
    prepared: Mapping[str, Channel],
) -> dict[str, Any] | None:
    """What the Tune state sends, but for the job's name; None where nothing is to be tuned.

    Args:
        values: hyperparameters of the training job, typed and complete.
        training: the planned training job.
    Raises:
        InvalidJobError: ranges or a metric that the algorithm does not have.
    """
    asked = request.tuning
    if asked is None:
        return None
    ranges = _ranges(algorithm, asked, request)
    metric = gate_metric(algorithm, asked.metric, values, {**request.inputs, **prepared}, field="tuning.metric")
    parallel = min(asked.parallel, asked.jobs)
    static = {name: value for name, value in training["HyperParameters"].items() if name not in asked.ranges}
    definition = {
        "StaticHyperParameters": static,
        "RoleArn": site.training_role,
        **{field: training[field] for field in _OF_THE_JOB},
        **vpc_config(site),
        **({"CheckpointConfig": training["CheckpointConfig"]} if training["EnableManagedSpotTraining"] else {}),
    }
    return {
        "base_name": tuning_name(site.tuning_prefix, base),
        "train_again": asked.then == "train",
        "HyperParameterTuningJobConfig": {
            "Strategy": asked.strategy,
            "HyperParameterTuningJobObjective": {
                "Type": "Maximize" if metric.goal == "maximize" else "Minimize",
                "MetricName": metric.name,
            },
            "ResourceLimits": {"MaxNumberOfTrainingJobs": asked.jobs, "MaxParallelTrainingJobs": parallel},
            "ParameterRanges": ranges,
            "TrainingJobEarlyStoppingType": "Auto" if asked.early_stopping else "Off",
            **({} if asked.seed is None else {"RandomSeed": asked.seed}),
        },
        "TrainingJobDefinition": definition,
        "TimeoutSeconds": math.ceil(asked.jobs / parallel) * int(training["TimeoutSeconds"]) + MARGIN_S,
    }


def _ranges(algorithm: Algorithm, asked: Tuning, request: Request) -> dict[str, list[dict[str, Any]]]:
    lists: dict[str, list[dict[str, Any]]] = {}
    for name, bounds in asked.ranges.items():
        described = algorithm.hyperparameters.get(name)
        if described is None:
            raise InvalidJobError(
                f"tuning.ranges.{name} is unknown to {algorithm.name}; {suggestion(name, algorithm.hyperparameters)}"
            )
        if name in request.hyperparameters:
            raise InvalidJobError(f"{name} is in tuning.ranges and in hyperparameters; leave it out of one of them.")
        kind, entry = _range(name, bounds, described, asked)
        lists.setdefault(kind, []).append(entry)
    return lists


def _range(name: str, bounds: list[Any], described: Hyperparameter, asked: Tuning) -> tuple[str, dict[str, Any]]:
    """The list that a range belongs to, and its entry there: two numbers are bounds, all else are the choices."""
    field = f"tuning.ranges.{name}"
    if not bounds:
        raise InvalidJobError(f"{field} is []; it must be a lowest and a highest value, or a list of choices.")
    parsed = [described.parse(name, value) for value in bounds]
    if described.type not in _LISTS or asked.strategy == "Grid":
        return _CATEGORICAL, {"Name": name, "Values": [str(value) for value in parsed]}
    numbers = [value for value in parsed if isinstance(value, int | float)]
    if len(parsed) != 2 or len(numbers) != 2 or numbers[0] >= numbers[1]:
        raise InvalidJobError(f"{field} is {shown(bounds)}; it must be a lowest and a higher highest value.")
    low, high = (str(value) for value in numbers)
    return _LISTS[described.type], {"Name": name, "MinValue": low, "MaxValue": high, "ScalingType": "Auto"}
