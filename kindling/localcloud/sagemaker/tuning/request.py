"""What CreateHyperParameterTuningJob refuses beside what is wrong with a definition: limits, strategy, warm start."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from kindling.localcloud.sagemaker.errors import InvalidRequestError, ResourceLimitExceededError
from kindling.localcloud.sagemaker.training.job import FINAL
from kindling.localcloud.sagemaker.tuning.definition import Definition
from kindling.localcloud.sagemaker.tuning.job import TuningJob
from kindling.localcloud.sagemaker.tuning.ranges import CategoricalRange, combinations
from kindling.localcloud.sagemaker.tuning.search import Resource
from kindling.localcloud.sagemaker.validation import members_of, refuse_unsupported

IDENTICAL = "IdenticalDataAndAlgorithm"

_SUPPORTED = members_of(
    "CreateHyperParameterTuningJob",
    {
        "HyperParameterTuningJobName": None,
        "HyperParameterTuningJobConfig": {
            "Strategy": None,
            "StrategyConfig": None,
            "HyperParameterTuningJobObjective": None,
            "ResourceLimits": None,
            "ParameterRanges": None,
            "TrainingJobEarlyStoppingType": None,
            "TuningJobCompletionCriteria": {
                "TargetObjectiveMetricValue": None,
                "BestObjectiveNotImproving": None,
                "ConvergenceDetected": {},
            },
            "RandomSeed": None,
        },
        "TrainingJobDefinition": None,
        "TrainingJobDefinitions": None,
        "WarmStartConfig": None,
        "Tags": None,
    },
)
# https://docs.aws.amazon.com/sagemaker/latest/dg/automatic-model-tuning-limits.html, raised where AWS raises on demand
_MAX_JOBS = {"Random": 10_000}
_MAX_JOBS_OF_OTHERS = 750
_MAX_PARALLEL = 100
_MAX_EPOCHS = 20_000
_EPOCHS = ("epochs", "numepochs", "n-epochs", "n_epochs", "num_epochs")


def check_members(request: Mapping[str, Any]) -> None:
    """Refuse by name what is not done here.

    Raises:
        InvalidRequestError: names it.
    """
    criteria = request["HyperParameterTuningJobConfig"].get("TuningJobCompletionCriteria", {})
    if criteria.get("ConvergenceDetected", {}).get("CompleteOnConvergence") == "Enabled":
        raise InvalidRequestError(
            "TuningJobCompletionCriteria.ConvergenceDetected is not implemented by the embedded cloud."
        )
    without = {**criteria, "ConvergenceDetected": {}}
    config = {**request["HyperParameterTuningJobConfig"], "TuningJobCompletionCriteria": without}
    refuse_unsupported({**request, "HyperParameterTuningJobConfig": config}, _SUPPORTED)


def number_of_jobs(config: Mapping[str, Any], definitions: Sequence[Definition]) -> int:
    """How many training jobs there will be at most.

    Raises:
        InvalidRequestError: nothing limits them, or there are fewer combinations of hyperparameters.
        ResourceLimitExceededError: more than the service allows.
    """
    strategy, limits = config["Strategy"], config["ResourceLimits"]
    wanted: int | None = limits.get("MaxNumberOfTrainingJobs")
    counts = [combinations(definition.ranges) for definition in definitions]
    there_are = None if None in counts else sum(count for count in counts if count is not None)
    most = _MAX_JOBS.get(strategy, _MAX_JOBS_OF_OTHERS)
    if strategy == "Grid":
        wanted = _grid_jobs(wanted, definitions)
    elif wanted is None:
        if not limits.get("MaxRuntimeInSeconds") and not config.get("TuningJobCompletionCriteria"):
            raise InvalidRequestError(
                "ResourceLimits.MaxNumberOfTrainingJobs is required unless ResourceLimits.MaxRuntimeInSeconds or "
                "TuningJobCompletionCriteria is given."
            )
        wanted = _MAX_JOBS_OF_OTHERS if there_are is None else min(there_are, _MAX_JOBS_OF_OTHERS)
    elif there_are is not None and there_are < wanted:
        raise InvalidRequestError(
            "You don't have enough combinations of hyperparameter ranges. The total number of hyperparameter "
            f"combinations for the provided ranges [{float(there_are)}] must be equal or greater than the value of "
            f"MaxNumberOfJobs, [{wanted}]. Provide additional ranges."
        )
    _check_limit("Number of training jobs per hyperparameter tuning job", wanted, most)
    parallel = limits["MaxParallelTrainingJobs"]
    _check_limit("Number of parallel training jobs per hyperparameter tuning job", parallel, _MAX_PARALLEL)
    return wanted


def _check_limit(what: str, wanted: int, most: int) -> None:
    if wanted > most:
        raise ResourceLimitExceededError(
            f"The account-level service limit '{what}' is {most}, with a request delta of {wanted}."
        )


def _grid_jobs(wanted: int | None, definitions: Sequence[Definition]) -> int:
    if len(definitions) > 1:
        raise InvalidRequestError("Strategy Grid with TrainingJobDefinitions is not implemented by the embedded cloud.")
    ranges = definitions[0].ranges
    if not all(isinstance(span, CategoricalRange) for span in ranges):
        raise InvalidRequestError("Strategy Grid supports categorical parameters only; use CategoricalParameterRanges.")
    there_are = math.prod(span.size or 0 for span in ranges)
    if wanted not in (None, there_are):
        raise InvalidRequestError(
            f"ResourceLimits.MaxNumberOfTrainingJobs={wanted} must be the number of distinct categorical combinations, "
            f"{there_are}, for Strategy Grid; or leave it out."
        )
    return there_are


def hyperband_resource(config: Mapping[str, Any], definition: Definition) -> Resource | None:
    """Hyperband's resource for a definition; None for another strategy.

    Raises:
        InvalidRequestError: it is given for another strategy, cannot be inferred, or does not fit the other settings.
    """
    given = config.get("StrategyConfig", {}).get("HyperbandStrategyConfig", {})
    if config["Strategy"] != "Hyperband":
        if given:
            raise InvalidRequestError("StrategyConfig.HyperbandStrategyConfig is for Strategy Hyperband only.")
        return None
    if config.get("TrainingJobEarlyStoppingType") == "Auto":
        raise InvalidRequestError("TrainingJobEarlyStoppingType must be Off for Strategy Hyperband.")
    most = given.get("MaxResource") or _inferred(definition)
    least = given.get("MinResource", 1)
    if most is None:
        raise InvalidRequestError(
            "HyperbandStrategyConfig.MaxResource is required, for it cannot be inferred from StaticHyperParameters "
            f"({', '.join(_EPOCHS)})."
        )
    if not least < most <= _MAX_EPOCHS:
        raise InvalidRequestError(
            f"HyperbandStrategyConfig.MaxResource={most} is out of range; it must be greater than MinResource={least} "
            f"and at most {_MAX_EPOCHS}."
        )
    return Resource(least, most)


def _inferred(definition: Definition) -> int | None:
    for name in _EPOCHS:
        text = definition.static.get(name, "")
        if text.isdecimal():
            return int(text)
    return None


def check_several(request: Mapping[str, Any]) -> None:
    """Refuse what the service has for a single definition only.

    Raises:
        InvalidRequestError: warm start or early stopping with TrainingJobDefinitions.
    """
    if "TrainingJobDefinitions" not in request:
        return
    if request.get("WarmStartConfig"):
        raise InvalidRequestError("WarmStartConfig is available only when tuning a single algorithm.")
    if request["HyperParameterTuningJobConfig"].get("TrainingJobEarlyStoppingType") == "Auto":
        raise InvalidRequestError("TrainingJobEarlyStoppingType Auto is available only when tuning a single algorithm.")


def check_parents(request: Mapping[str, Any], definition: Definition, parents: Sequence[TuningJob]) -> None:
    """Refuse a warm start that the service would refuse.

    Raises:
        InvalidRequestError: a parent still runs, or differs in what must be alike.
    """
    strategy = request["HyperParameterTuningJobConfig"]["Strategy"]
    if strategy not in ("Bayesian", "Random"):
        raise InvalidRequestError(f"WarmStartConfig with Strategy {strategy} is not implemented by the embedded cloud.")
    for parent in parents:
        if parent.status not in FINAL:
            raise InvalidRequestError(
                f"Parent tuning job {parent.name} must be Completed, Stopped or Failed, but it is {parent.status}."
            )
        if len(parent.definitions) > 1:
            raise InvalidRequestError(f"Parent tuning job {parent.name} must have a single training job definition.")
        if request["WarmStartConfig"]["WarmStartType"] == IDENTICAL:
            _check_identical(definition, parent)


def _check_identical(definition: Definition, parent: TuningJob) -> None:
    theirs = parent.definitions[0]

    def image(of: Definition) -> Any:
        return of.given["AlgorithmSpecification"].get("TrainingImage")

    def count(of: Definition) -> int:
        return len(of.static) + len(of.ranges)

    alike = {
        "the objective": definition.objective == theirs.objective,
        "AlgorithmSpecification.TrainingImage": image(definition) == image(theirs),
        "InputDataConfig": definition.given.get("InputDataConfig") == theirs.given.get("InputDataConfig"),
        "the number of static and tunable hyperparameters": count(definition) == count(theirs),
    }
    for what, same in alike.items():
        if not same:
            raise InvalidRequestError(
                f"For WarmStartType {IDENTICAL}, {what} must be the same as in parent tuning job {parent.name}."
            )
