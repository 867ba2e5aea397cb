"""The training jobs that a tuning job launches: its definitions, and the request that each becomes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from containers.catalogue import algorithms
from kindling.localcloud.images import Images, UnknownImageError
from kindling.localcloud.sagemaker.errors import InvalidRequestError
from kindling.localcloud.sagemaker.tuning.objective import Objective
from kindling.localcloud.sagemaker.tuning.ranges import Range, ranges_of
from kindling.localcloud.sagemaker.validation import Supported, refuse_unsupported

OBJECTIVE_METRIC = "ObjectiveMetric"  # what the service calls the objective among a training job's metrics
_TOLD = "_tuning_objective_metric"  # the hyperparameter by which a container knows that it is being tuned

# Members that a training job's request has under the same name.
_PASSED_ON = (
    "RoleArn",
    "InputDataConfig",
    "VpcConfig",
    "OutputDataConfig",
    "ResourceConfig",
    "StoppingCondition",
    "EnableNetworkIsolation",
    "EnableInterContainerTrafficEncryption",
    "EnableManagedSpotTraining",
    "RetryStrategy",
    "Environment",
)
_SUPPORTED: Supported = {
    **dict.fromkeys(_PASSED_ON),
    "DefinitionName": None,
    "TuningObjective": None,
    "HyperParameterRanges": None,
    "StaticHyperParameters": None,
    "AlgorithmSpecification": {"TrainingImage": None, "TrainingInputMode": None, "MetricDefinitions": None},
    "CheckpointConfig": None,
    "HyperParameterTuningResourceConfig": {
        "InstanceType": None,
        "InstanceCount": None,
        "VolumeSizeInGB": None,
        "VolumeKmsKeyId": None,
    },
}


@dataclass(frozen=True, kw_only=True)
class Definition:
    """One definition: what is searched, for which objective, and the training job's request but for that.

    `given` is the definition as DescribeHyperParameterTuningJob shows it.
    """

    name: str | None
    objective: Objective
    ranges: tuple[Range, ...]
    given: Mapping[str, Any]

    @property
    def static(self) -> Mapping[str, str]:
        """The hyperparameters that are the same for every training job."""
        found: Mapping[str, str] = self.given["StaticHyperParameters"]
        return found

    def training_request(self, name: str, tuned: Mapping[str, str], tags: Mapping[str, str]) -> dict[str, Any]:
        """The request of the training job that tries some hyperparameters."""
        request: dict[str, Any] = {member: self.given[member] for member in _PASSED_ON if member in self.given}
        if checkpoints := self.given.get("CheckpointConfig"):
            # One folder a training job: none must go on from another's checkpoints.
            request["CheckpointConfig"] = {**checkpoints, "S3Uri": f"{checkpoints['S3Uri'].rstrip('/')}/{name}"}
        algorithm = self.given["AlgorithmSpecification"]
        metrics = [metric for metric in algorithm["MetricDefinitions"] if metric["Name"] != OBJECTIVE_METRIC]
        regex = next(
            metric["Regex"] for metric in algorithm["MetricDefinitions"] if metric["Name"] == self.objective.metric
        )
        return {
            **request,
            "TrainingJobName": name,
            "AlgorithmSpecification": {
                **algorithm,
                "MetricDefinitions": [*metrics, {"Name": OBJECTIVE_METRIC, "Regex": regex}],
            },
            "HyperParameters": {**self.static, **tuned},
            "Tags": [{"Key": key, "Value": value} for key, value in tags.items()],
        }


def definitions_of(request: Mapping[str, Any], images: Images) -> tuple[Definition, ...]:
    """The definitions of a request.

    Raises:
        InvalidRequestError: none or both kinds are given, one lacks its objective or ranges, or asks for what is not
            done here.
    """
    one, several = request.get("TrainingJobDefinition"), request.get("TrainingJobDefinitions")
    config = request["HyperParameterTuningJobConfig"]
    if one and several:
        raise InvalidRequestError("Give either TrainingJobDefinition or TrainingJobDefinitions, but not both.")
    if one:
        return (_definition(one, config, images),)
    if not several:
        raise InvalidRequestError("TrainingJobDefinition or TrainingJobDefinitions is required.")
    for member in ("HyperParameterTuningJobObjective", "ParameterRanges"):
        if config.get(member):
            raise InvalidRequestError(
                f"HyperParameterTuningJobConfig.{member} must not be given beside TrainingJobDefinitions; "
                "each definition has its own."
            )
    found = tuple(_definition(each, {}, images) for each in several)
    _check_names(found)
    if len({definition.objective.type for definition in found}) > 1:
        raise InvalidRequestError("TuningObjective.Type must be the same in all TrainingJobDefinitions.")
    return found


def _check_names(definitions: Sequence[Definition]) -> None:
    names = [definition.name for definition in definitions]
    if None in names or len(set(names)) < len(names):
        raise InvalidRequestError("DefinitionName must be given in each of TrainingJobDefinitions, and be unique.")


def _definition(given: Mapping[str, Any], config: Mapping[str, Any], images: Images) -> Definition:
    refuse_unsupported(given, _SUPPORTED)
    asked = given.get("TuningObjective") or config.get("HyperParameterTuningJobObjective")
    if not asked:
        raise InvalidRequestError(
            "A metric is required for this hyperparameter tuning job objective. Provide a metric in "
            "HyperParameterTuningJobObjective or TuningObjective."
        )
    objective = Objective.of(asked)
    ranges = ranges_of(given.get("HyperParameterRanges") or config.get("ParameterRanges") or {})
    static = given.get("StaticHyperParameters", {})
    for span in ranges:
        if span.name in static:
            raise InvalidRequestError(
                f"hyperparameter {span.name} is both in StaticHyperParameters and in the ranges; give it once."
            )
    algorithm = given["AlgorithmSpecification"]
    metrics = algorithm.get("MetricDefinitions") or _metrics_of(algorithm.get("TrainingImage", ""), images)
    if objective.metric not in [metric["Name"] for metric in metrics]:
        raise InvalidRequestError(
            "A metric is required for this hyperparameter tuning job objective. "
            "Provide a metric in the metric definitions."
        )
    resources = given.get("HyperParameterTuningResourceConfig")
    return Definition(
        name=given.get("DefinitionName"),
        objective=objective,
        ranges=ranges,
        given={
            **given,
            # Under this name the SageMaker SDK looks for them when it attaches to a tuning job.
            **({"ResourceConfig": resources} if resources else {}),
            "AlgorithmSpecification": {**algorithm, "MetricDefinitions": metrics},
            "StaticHyperParameters": {**static, _TOLD: objective.metric},
        },
    )


def _metrics_of(image: str, images: Images) -> list[dict[str, str]]:
    """The metrics of an algorithm of this house: like the service's own, it need not be told how to find them."""
    try:
        algorithm = algorithms().get(images.algorithm_of(image))
    except UnknownImageError as error:
        raise InvalidRequestError(str(error)) from None
    return [{"Name": metric.name, "Regex": metric.regex} for metric in algorithm.metrics] if algorithm else []
