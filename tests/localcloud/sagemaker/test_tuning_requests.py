"""CreateHyperParameterTuningJob and its kin: what is refused, and in which words."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

from kindling.localcloud.images import Image
from tests.localcloud.sagemaker.conftest import Account
from tests.localcloud.sagemaker.embedded import stands_in
from tests.localcloud.sagemaker.tuning import Tuner, X


@pytest.fixture
def tuner(account: Account) -> Tuner:
    return Tuner(account)


def refused(tuner: Tuner, request: dict[str, Any], code: str = "ValidationException") -> str:
    with pytest.raises(ClientError) as caught:
        tuner.sagemaker.create_hyper_parameter_tuning_job(**request)
    assert caught.value.response["Error"]["Code"] == code
    name = request["HyperParameterTuningJobName"]
    assert not tuner.sagemaker.list_hyper_parameter_tuning_jobs(NameContains=name[:32])[
        "HyperParameterTuningJobSummaries"
    ]
    return str(caught.value.response["Error"]["Message"])


def integers(low: str, high: str, **more: str) -> dict[str, Any]:
    return {"IntegerParameterRanges": [{"Name": "x", "MinValue": low, "MaxValue": high, **more}]}


def floats(low: str, high: str, **more: str) -> dict[str, Any]:
    return {"ContinuousParameterRanges": [{"Name": "x", "MinValue": low, "MaxValue": high, **more}]}


def categories(*values: str) -> dict[str, Any]:
    return {"CategoricalParameterRanges": [{"Name": "x", "Values": list(values)}]}


@pytest.mark.parametrize(
    ("ranges", "words"),
    [
        (floats("2", "1"), "MinValue=2 of hyperparameter x must be less than MaxValue=1."),
        (integers("3", "3"), "MinValue=3 of hyperparameter x must be less than MaxValue=3."),
        (floats("one", "2"), "MinValue=one of hyperparameter x must be a number."),
        (floats("0", "nan"), "MaxValue=nan of hyperparameter x must be a number."),
        (integers("1.5", "3"), "MinValue and MaxValue of hyperparameter x must be integers."),
        (
            floats("0", "1", ScalingType="Logarithmic"),
            "MinValue=0 of hyperparameter x must be greater than 0 for ScalingType Logarithmic.",
        ),
        (
            floats("0", "1", ScalingType="ReverseLogarithmic"),
            "the range of hyperparameter x must be within 0 <= x < 1.0 for ScalingType ReverseLogarithmic.",
        ),
        (integers("0", "1", ScalingType="ReverseLogarithmic"), "is for continuous ranges only."),
        (categories("a", "a"), "a value of hyperparameter x is repeated."),
        (floats("0", "1") | categories("a"), "hyperparameter x has more than one range"),
        ({"ContinuousParameterRanges": []}, "must hold at least one hyperparameter range."),
        ({"AutoParameters": [{"Name": "x", "ValueHint": "1"}]}, "AutoParameters is not implemented by the embedded"),
        (
            integers("1", "3"),
            "You don't have enough combinations of hyperparameter ranges. The total number of hyperparameter "
            "combinations for the provided ranges [3.0] must be equal or greater than the value of MaxNumberOfJobs, "
            "[10]. Provide additional ranges.",
        ),
        (floats("0", "1", ScalingType="Cubic"), "Member must satisfy enum value set"),
    ],
)
def test_ranges_that_cannot_be_searched_are_refused(tuner: Tuner, ranges: dict[str, Any], words: str) -> None:
    assert words in refused(tuner, tuner.request(jobs=10, ranges=ranges))


HYPERBAND = {"StrategyConfig": {"HyperbandStrategyConfig": {"MinResource": 3, "MaxResource": 3}}}
LIMITS = {"MaxParallelTrainingJobs": 1}


@pytest.mark.parametrize(
    ("strategy", "config", "words"),
    [
        ("Grid", {}, "Strategy Grid supports categorical parameters only"),
        (
            "Grid",
            {"ParameterRanges": categories("a", "b"), "ResourceLimits": LIMITS | {"MaxNumberOfTrainingJobs": 3}},
            "MaxNumberOfTrainingJobs=3 must be the number of distinct categorical combinations, 2, for Strategy Grid",
        ),
        ("Hyperband", {}, "HyperbandStrategyConfig.MaxResource is required"),
        ("Hyperband", HYPERBAND, "MaxResource=3 is out of range; it must be greater than MinResource=3"),
        (
            "Hyperband",
            {"TrainingJobEarlyStoppingType": "Auto"},
            "TrainingJobEarlyStoppingType must be Off for Strategy Hyperband.",
        ),
        ("Random", HYPERBAND, "HyperbandStrategyConfig is for Strategy Hyperband only."),
        ("Annealing", {}, "Member must satisfy enum value set"),
        ("Random", {"ResourceLimits": LIMITS}, "ResourceLimits.MaxNumberOfTrainingJobs is required unless"),
        ("Random", {"ResourceLimits": LIMITS | {"MaxRuntimeInSeconds": 60}}, "valid min value: 120"),
        (
            "Random",
            {"TuningJobCompletionCriteria": {"ConvergenceDetected": {"CompleteOnConvergence": "Enabled"}}},
            "TuningJobCompletionCriteria.ConvergenceDetected is not implemented by the embedded cloud.",
        ),
        (
            "Random",
            {"HyperParameterTuningJobObjective": {"Type": "Minimize", "MetricName": "rho"}},
            "A metric is required for this hyperparameter tuning job objective. Provide a metric in the metric "
            "definitions.",
        ),
    ],
)
def test_settings_that_do_not_fit_are_refused(tuner: Tuner, strategy: str, config: Any, words: str) -> None:
    assert words in refused(tuner, tuner.request(strategy, config=config))


@pytest.mark.parametrize(
    ("strategy", "limits", "words"),
    [
        ("Bayesian", {"MaxNumberOfTrainingJobs": 751, "MaxParallelTrainingJobs": 1}, "is 750, with a request delta of"),
        ("Random", {"MaxNumberOfTrainingJobs": 10_001, "MaxParallelTrainingJobs": 1}, "is 10000, with a"),
        ("Random", {"MaxNumberOfTrainingJobs": 200, "MaxParallelTrainingJobs": 101}, "parallel training jobs"),
    ],
)
def test_more_than_the_service_allows_is_refused_by_its_limit(
    tuner: Tuner, strategy: str, limits: dict[str, int], words: str
) -> None:
    request = tuner.request(strategy, config={"ResourceLimits": limits})
    assert words in refused(tuner, request, "ResourceLimitExceeded")


@pytest.mark.parametrize(
    ("definition", "words"),
    [
        ({"StaticHyperParameters": {"x": "1"}}, "hyperparameter x is both in StaticHyperParameters and in the ranges"),
        ({"RoleArn": "arn:aws:iam::123456789012:role/nobody"}, "Could not assume role"),
        ({"OutputDataConfig": {}}, 'Missing required parameter in TrainingJobDefinition.OutputDataConfig: "S3'),
        (
            {"HyperParameterTuningResourceConfig": {"InstanceConfigs": [{"InstanceType": "ml.m5.large"}]}},
            "HyperParameterTuningResourceConfig.InstanceConfigs",
        ),
        ({"ResourceConfig": {"InstanceType": "ml.m5.large"}}, "ResourceConfig.InstanceCount is required"),
        (
            {"AlgorithmSpecification": {"TrainingImage": "nowhere/nothing:1", "TrainingInputMode": "File"}},
            "image nowhere/nothing:1 was not published to this embedded cloud",
        ),
    ],
)
def test_what_no_training_job_could_be_is_refused_before_the_first(tuner: Tuner, definition: Any, words: str) -> None:
    assert words in refused(tuner, tuner.request(definition=definition))


def test_a_definition_is_required_and_only_one_kind_of_it(tuner: Tuner) -> None:
    request = tuner.request()
    assert "but not both" in refused(tuner, {**request, "TrainingJobDefinitions": [tuner.definition()]})
    one = request.pop("TrainingJobDefinition")
    assert "TrainingJobDefinition or TrainingJobDefinitions is required" in refused(tuner, request)
    several = {**request, "TrainingJobDefinitions": [one, one]}
    assert "must not be given beside TrainingJobDefinitions" in refused(tuner, several)
    for member in ("ParameterRanges", "HyperParameterTuningJobObjective"):
        del request["HyperParameterTuningJobConfig"][member]
    own = {
        "TuningObjective": {"Type": "Minimize", "MetricName": "loss"},
        "HyperParameterRanges": {"ContinuousParameterRanges": [X]},
        "DefinitionName": "one",
    }
    several = {**request, "TrainingJobDefinitions": [one | own, one | own]}
    assert "DefinitionName must be given in each" in refused(tuner, several)
    other = {**own, "DefinitionName": "two", "TuningObjective": {"Type": "Maximize", "MetricName": "loss"}}
    several = {**request, "TrainingJobDefinitions": [one | own, one | other]}
    assert "TuningObjective.Type must be the same" in refused(tuner, several)
    several["HyperParameterTuningJobConfig"]["TrainingJobEarlyStoppingType"] = "Auto"
    assert "available only when tuning a single algorithm" in refused(tuner, several)


def test_what_is_not_done_is_refused_by_name(tuner: Tuner) -> None:
    request = tuner.request(Autotune={"Mode": "Enabled"})
    assert refused(tuner, request) == "Autotune is not implemented by the embedded cloud."


def test_names_are_unique_whatever_their_case_and_a_missing_one_is_not_found(tuner: Tuner) -> None:
    name = tuner.begin(jobs=1)
    with pytest.raises(tuner.sagemaker.exceptions.ResourceInUse, match="with this name already exists"):
        tuner.sagemaker.create_hyper_parameter_tuning_job(
            **tuner.request() | {"HyperParameterTuningJobName": name.upper()}
        )
    tuner.ended(name)
    with pytest.raises(ClientError, match="in status Completed"):
        tuner.sagemaker.stop_hyper_parameter_tuning_job(HyperParameterTuningJobName=name)
    for operation in ("describe", "stop", "delete"):
        with pytest.raises(tuner.sagemaker.exceptions.ResourceNotFound):
            getattr(tuner.sagemaker, f"{operation}_hyper_parameter_tuning_job")(HyperParameterTuningJobName="nobody")


def test_a_warm_start_that_cannot_be_is_refused(tuner: Tuner) -> None:
    running = tuner.begin(jobs=1, static={"hold": "True"})

    def words(kind: str, parent: str, strategy: str = "Random", code: str = "ValidationException", **more: Any) -> str:
        parents = [{"HyperParameterTuningJobName": parent}]
        start = {"WarmStartType": kind, "ParentHyperParameterTuningJobs": parents}
        return refused(tuner, tuner.request(strategy, WarmStartConfig=start, **more), code)

    identical, transfer = "IdenticalDataAndAlgorithm", "TransferLearning"
    assert "Could not find" in words(transfer, "nobody", code="ResourceNotFound")
    assert "must be Completed, Stopped or Failed, but it is InProgress" in words(transfer, running)
    tuner.sagemaker.stop_hyper_parameter_tuning_job(HyperParameterTuningJobName=running)
    tuner.ended(running)
    assert "the objective must be the same" in words(identical, running, type="Maximize", static={"hold": ""})
    assert "number of static and tunable hyperparameters must be the same" in words(identical, running)
    grid = words(transfer, running, "Grid", jobs=None, ranges=categories("a"))
    assert "WarmStartConfig with Strategy Grid is not implemented" in grid


@stands_in
def test_an_algorithm_of_this_house_need_not_be_told_how_to_find_its_metrics(tuner: Tuner) -> None:
    image = "123456789012.dkr.ecr.us-east-1.amazonaws.com/kindling:blazingtext"
    tuner.account.cloud.images.record(image, Image(algorithm="blazingtext", built_as="blazingtext"))
    name = tuner.begin(
        jobs=1,
        type="Maximize",
        static={"print": "#mean_rho: 0.5"},
        definition={"AlgorithmSpecification": {"TrainingImage": image, "TrainingInputMode": "File"}},
        config={"HyperParameterTuningJobObjective": {"Type": "Maximize", "MetricName": "train:mean_rho"}},
    )
    best = tuner.ended(name)["BestTrainingJob"]
    assert best["FinalHyperParameterTuningJobObjectiveMetric"]["Value"] == 0.5
