"""Tuning jobs: what they try, which training job they find the best, and how they end."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from kindling.localcloud.sagemaker.tuning.ranges import ranges_of
from kindling.localcloud.sagemaker.tuning.search import OptunaSearch
from tests.localcloud.sagemaker.conftest import Account, until
from tests.localcloud.sagemaker.embedded import make_role
from tests.localcloud.sagemaker.tuning import LOSS, Tuner, X, objective


@pytest.fixture
def tuner(account: Account) -> Tuner:
    return Tuner(account)


def test_a_tuning_job_names_its_training_jobs_after_itself_and_describes_the_best(tuner: Tuner) -> None:
    tags = [{"Key": "team", "Value": "vectors"}]
    name = tuner.begin("Random", jobs=4, Tags=tags, static={"layers": "3"})
    job = tuner.ended(name)

    assert job["HyperParameterTuningJobStatus"] == "Completed", job
    assert job["TrainingJobStatusCounters"] == {
        "Completed": 4,
        "InProgress": 0,
        "RetryableError": 0,
        "NonRetryableError": 0,
        "Stopped": 0,
    }
    assert job["ObjectiveStatusCounters"] == {"Succeeded": 4, "Pending": 0, "Failed": 0}
    trainings = tuner.trainings(name)
    assert [re.sub("[0-9a-f]{8}$", "", training["TrainingJobName"]) for training in trainings] == [
        f"{name}-00{number}-" for number in (1, 2, 3, 4)
    ]
    for training in trainings:
        x = float(training["TunedHyperParameters"]["x"])
        assert -10 <= x <= 10
        assert objective(training) == pytest.approx((x - 2) ** 2, rel=1e-6)
        assert training["ObjectiveStatus"] == "Succeeded"
    best = min(trainings, key=objective)
    assert job["BestTrainingJob"] == best
    assert job["BestTrainingJob"]["FinalHyperParameterTuningJobObjectiveMetric"]["MetricName"] == "loss"
    assert "OverallBestTrainingJob" not in job

    training = tuner.sagemaker.describe_training_job(TrainingJobName=best["TrainingJobName"])
    assert training["TuningJobArn"] == job["HyperParameterTuningJobArn"]
    assert job["HyperParameterTuningJobArn"].endswith(f":hyper-parameter-tuning-job/{name}")
    assert training["HyperParameters"] == {
        "x": best["TunedHyperParameters"]["x"],
        "layers": "3",
        "objective": "(x - 2) ** 2",
        "_tuning_objective_metric": "loss",
    }
    assert {metric["MetricName"] for metric in training["FinalMetricDataList"]} == {"loss", "ObjectiveMetric"}
    # What attaches to a tuning job finds the hidden hyperparameter in the definition.
    assert job["TrainingJobDefinition"]["StaticHyperParameters"]["_tuning_objective_metric"] == "loss"
    for arn in (job["HyperParameterTuningJobArn"], training["TrainingJobArn"]):
        assert tuner.sagemaker.list_tags(ResourceArn=arn)["Tags"] == tags
    paginator = tuner.sagemaker.get_paginator("list_training_jobs_for_hyper_parameter_tuning_job")
    order = {"SortBy": "FinalObjectiveMetricValue", "SortOrder": "Descending", "PaginationConfig": {"PageSize": 3}}
    pages = paginator.paginate(HyperParameterTuningJobName=name, **order)
    descending = [training for page in pages for training in page["TrainingJobSummaries"]]
    assert [objective(training) for training in descending] == sorted(map(objective, trainings), reverse=True)


def test_bayesian_learns_from_training_jobs_that_have_ended(tuner: Tuner) -> None:
    name = tuner.begin("Bayesian", jobs=12, parallel=1)
    assert tuner.ended(name)["HyperParameterTuningJobStatus"] == "Completed"
    losses = [objective(training) for training in tuner.trainings(name)]
    search = OptunaSearch("Random", ranges_of({"ContinuousParameterRanges": [X]}), LOSS, jobs=12, seed=7)
    random = [(float(tuned["x"]) - 2) ** 2 for _, tuned in filter(None, (search.ask() for _ in range(12)))]
    assert losses[:4] == pytest.approx(random[:4])  # a third of them
    assert min(losses) < min(random)


def test_grid_tries_every_combination_exactly_once(tuner: Tuner) -> None:
    ranges = {
        "CategoricalParameterRanges": [
            {"Name": "colour", "Values": ["red", "blue"]},
            {"Name": "size", "Values": ["1", "2", "3"]},
        ]
    }
    name = tuner.begin("Grid", jobs=None, parallel=3, ranges=ranges, static={"objective": "size"}, type="Maximize")
    job = tuner.ended(name)
    assert job["HyperParameterTuningJobStatus"] == "Completed", job
    tried = [(one["colour"], one["size"]) for one in tuner.tried(name)]
    assert sorted(tried) == sorted((colour, size) for colour in ("red", "blue") for size in ("1", "2", "3"))
    assert objective(job["BestTrainingJob"]) == 3


def test_no_more_training_jobs_run_at_a_time_than_the_limit_allows_and_stop_ends_them(tuner: Tuner) -> None:
    name = tuner.begin(jobs=5, parallel=2, static={"hold": "True"})

    def holding() -> list[dict[str, Any]]:
        found = tuner.trainings(name)
        jobs = [tuner.sagemaker.describe_training_job(TrainingJobName=one["TrainingJobName"]) for one in found]
        return found if [job["SecondaryStatus"] for job in jobs] == ["Training"] * 2 else []

    running = until(holding)
    assert tuner.describe(name)["TrainingJobStatusCounters"]["InProgress"] == 2
    # One that ends, here by a user's hand, makes room for one.
    tuner.sagemaker.stop_training_job(TrainingJobName=running[0]["TrainingJobName"])
    until(lambda: len(tuner.trainings(name)) == 3)
    assert tuner.describe(name)["TrainingJobStatusCounters"]["Stopped"] == 1

    tuner.sagemaker.stop_hyper_parameter_tuning_job(HyperParameterTuningJobName=name)
    assert tuner.describe(name)["HyperParameterTuningJobStatus"] in ("Stopping", "Stopped")
    job = tuner.ended(name)
    assert job["HyperParameterTuningJobStatus"] == "Stopped"
    assert job["HyperParameterTuningEndTime"] >= job["CreationTime"]
    trainings = tuner.trainings(name)
    assert len(trainings) == 3
    assert {training["TrainingJobStatus"] for training in trainings} == {"Stopped"}


def test_early_stopping_stops_a_training_job_that_is_worse_than_the_median_of_those_before(tuner: Tuner) -> None:
    # The first job is good and ends by itself; the second is bad from its first epoch on and would wait for ever.
    ranges = {"CategoricalParameterRanges": [{"Name": "x", "Values": ["1", "9"]}]}
    name = tuner.begin(
        "Grid",
        jobs=2,
        parallel=1,
        ranges=ranges,
        static={"objective": "x + epoch / 10", "epochs": "3", "hold": "x > 5"},
        config={"TrainingJobEarlyStoppingType": "Auto"},
    )
    job = tuner.ended(name)
    good, bad = tuner.trainings(name)
    assert (good["TrainingJobStatus"], bad["TrainingJobStatus"]) == ("Completed", "Stopped")
    assert objective(bad) == pytest.approx(9.1)
    assert job["BestTrainingJob"]["TrainingJobName"] == good["TrainingJobName"]
    assert job["HyperParameterTuningJobStatus"] == "Completed"
    assert job["TrainingJobStatusCounters"]["Stopped"] == 1


def test_hyperband_stops_a_training_job_that_has_had_as_many_epochs_as_any_may(tuner: Tuner) -> None:
    name = tuner.begin(
        "Hyperband",
        jobs=4,
        parallel=2,
        static={"objective": "(x - 2) ** 2 + 100 / epoch", "epochs": "1000", "hold": "epoch == 9"},
        config={"StrategyConfig": {"HyperbandStrategyConfig": {"MinResource": 1, "MaxResource": 9}}},
    )
    job = tuner.ended(name)
    assert job["HyperParameterTuningJobStatus"] == "Completed", job
    assert job["TrainingJobStatusCounters"]["Stopped"] == 4
    best = job["BestTrainingJob"]
    assert objective(best) == pytest.approx((float(best["TunedHyperParameters"]["x"]) - 2) ** 2 + 100 / 9)


@pytest.mark.parametrize(
    ("criteria", "tried"),
    [
        ({"TargetObjectiveMetricValue": 5}, 1),
        ({"BestObjectiveNotImproving": {"MaxNumberOfTrainingJobsNotImproving": 3}}, 4),
    ],
)
def test_a_tuning_job_is_complete_when_its_criterion_is_met(tuner: Tuner, criteria: Any, tried: int) -> None:
    config = {"TuningJobCompletionCriteria": criteria}
    job = tuner.tune(jobs=20, parallel=1, static={"objective": "5 + x * 0"}, config=config)
    assert job["HyperParameterTuningJobStatus"] == "Completed"
    assert job["TrainingJobStatusCounters"]["Completed"] == tried
    assert job["TuningJobCompletionDetails"] == {"NumberOfTrainingJobsObjectiveNotImproving": tried - 1}


def test_a_tuning_job_whose_time_is_over_is_complete_and_its_training_jobs_are_stopped(
    tuner: Tuner, monkeypatch: pytest.MonkeyPatch
) -> None:
    times = iter([0.0])
    monkeypatch.setattr("kindling.localcloud.sagemaker.tuning.run._now", lambda: next(times, 119.0))
    limits = {"MaxNumberOfTrainingJobs": 5, "MaxParallelTrainingJobs": 1, "MaxRuntimeInSeconds": 120}
    job = tuner.tune(static={"hold": "True"}, config={"ResourceLimits": limits})
    assert job["HyperParameterTuningJobStatus"] == "Completed"
    assert job["TrainingJobStatusCounters"]["Stopped"] == 1


@pytest.mark.parametrize(
    ("jobs", "static", "reason", "tried"),
    [
        (
            9,
            {"failure": "ClientError: no."},
            "No training job succeeded after 5 attempts. Please take a look at the training job failures to get more "
            "details.",
            5,
        ),
        (
            2,
            {"failure": "ClientError: no."},
            "All training jobs failed. Please take a look at the training jobs failures to get more details.",
            2,
        ),
        (
            9,
            {"objective": "'nothing'"},
            "No objective metrics found after running 5 training jobs. Please ensure that the custom algorithm is "
            "emitting the objective metric as defined by the regular expression provided.",
            5,
        ),
    ],
)
def test_a_tuning_job_of_which_nothing_succeeds_fails_with_the_service_s_reason(
    tuner: Tuner, jobs: int, static: dict[str, str], reason: str, tried: int
) -> None:
    name = tuner.begin(jobs=jobs, parallel=1, static=static)
    job = tuner.ended(name)
    assert (job["HyperParameterTuningJobStatus"], job["FailureReason"]) == ("Failed", reason)
    assert "BestTrainingJob" not in job
    assert job["ObjectiveStatusCounters"] == {"Succeeded": 0, "Pending": 0, "Failed": tried}
    if "failure" in static:
        assert job["TrainingJobStatusCounters"]["NonRetryableError"] == tried
        assert "ClientError: no." in tuner.trainings(name)[0]["FailureReason"]


def test_a_training_job_that_fails_is_not_the_end_of_the_others(tuner: Tuner) -> None:
    ranges = {"CategoricalParameterRanges": [{"Name": "x", "Values": ["0", "1", "2"]}]}
    job = tuner.tune("Grid", jobs=None, ranges=ranges, static={"objective": "6 / x"})
    assert job["HyperParameterTuningJobStatus"] == "Completed"
    assert job["ObjectiveStatusCounters"] == {"Succeeded": 2, "Pending": 0, "Failed": 1}
    assert objective(job["BestTrainingJob"]) == 3


def test_a_training_job_that_cannot_be_launched_ends_the_tuning_job_with_the_reason(tuner: Tuner) -> None:
    role = make_role(tuner.account.cloud.port, "short-lived")
    name = tuner.begin(jobs=2, parallel=1, static={"hold": "True"}, definition={"RoleArn": role})
    (first,) = until(lambda: tuner.trainings(name))
    tuner.account.client("iam").delete_role(RoleName="short-lived")
    tuner.sagemaker.stop_training_job(TrainingJobName=first["TrainingJobName"])
    job = tuner.ended(name)
    assert job["HyperParameterTuningJobStatus"] == "Failed"
    assert job["FailureReason"].startswith(f"ClientError: Could not assume role {role}.")


def test_the_resources_of_a_tuning_job_become_those_of_its_training_jobs(tuner: Tuner) -> None:
    resources = {"InstanceType": "ml.c5.xlarge", "InstanceCount": 2, "VolumeSizeInGB": 5}
    definition = {"HyperParameterTuningResourceConfig": resources, "Environment": {"COLOUR": "red"}}
    name = tuner.begin(jobs=1, definition=definition)
    assert tuner.ended(name)["TrainingJobDefinition"]["ResourceConfig"] == resources
    training = tuner.account.job(tuner.trainings(name)[0]["TrainingJobName"])
    assert training["ResourceConfig"] == resources
    assert tuner.account.reports(training)["algo-2"]["environment"]["COLOUR"] == "red"


def test_a_warm_start_goes_on_from_its_parents_and_counts_their_best(tuner: Tuner) -> None:
    parent = tuner.begin("Bayesian", jobs=6, parallel=3)
    found = tuner.ended(parent)["BestTrainingJob"]
    start = {"ParentHyperParameterTuningJobs": [{"HyperParameterTuningJobName": parent}]}

    transfer = tuner.begin("Bayesian", jobs=1, WarmStartConfig={**start, "WarmStartType": "TransferLearning"})
    job = tuner.ended(transfer)
    assert tuner.tried(transfer) == [found["TunedHyperParameters"]]
    assert "OverallBestTrainingJob" not in job

    # Worse by far wherever it looks, so that the best of all is the parent's.
    identical = {**start, "WarmStartType": "IdenticalDataAndAlgorithm"}
    child = tuner.begin("Bayesian", jobs=1, static={"objective": "x * 0 + 1000"}, WarmStartConfig=identical)
    job = tuner.ended(child)
    assert objective(job["BestTrainingJob"]) == 1000
    assert job["OverallBestTrainingJob"] == {**found, "TuningJobName": parent}
    assert job["WarmStartConfig"] == identical


def test_several_definitions_take_turns_and_the_best_of_all_is_found(tuner: Tuner) -> None:
    def definition(name: str, expression: str) -> dict[str, Any]:
        return {
            **tuner.definition({"objective": expression}),
            "DefinitionName": name,
            "TuningObjective": {"Type": "Maximize", "MetricName": "loss"},
            "HyperParameterRanges": {"IntegerParameterRanges": [{"Name": "x", "MinValue": "1", "MaxValue": "50"}]},
        }

    request = tuner.request(jobs=4)
    del request["TrainingJobDefinition"]
    for member in ("ParameterRanges", "HyperParameterTuningJobObjective"):
        del request["HyperParameterTuningJobConfig"][member]
    request["TrainingJobDefinitions"] = [definition("low", "x"), definition("high", "x + 100")]
    tuner.sagemaker.create_hyper_parameter_tuning_job(**request)
    name = request["HyperParameterTuningJobName"]
    job = tuner.ended(name)
    assert job["HyperParameterTuningJobStatus"] == "Completed", job
    names = [training["TrainingJobDefinitionName"] for training in tuner.trainings(name)]
    assert names == ["low", "high", "low", "high"]
    assert job["BestTrainingJob"]["TrainingJobDefinitionName"] == "high"
    assert [one["DefinitionName"] for one in job["TrainingJobDefinitions"]] == ["low", "high"]


def test_each_training_job_has_a_folder_of_its_own_for_checkpoints(tuner: Tuner) -> None:
    config = {"S3Uri": f"s3://{tuner.account.bucket}/tuned-checkpoints/"}
    name = tuner.begin(jobs=2, parallel=1, static={"checkpoint": "one"}, definition={"CheckpointConfig": config})
    assert tuner.ended(name)["TrainingJobStatusCounters"]["Completed"] == 2
    listed = tuner.account.s3.list_objects_v2(Bucket=tuner.account.bucket, Prefix="tuned-checkpoints/")["Contents"]
    names = [training["TrainingJobName"] for training in tuner.trainings(name)]
    assert {one["Key"].split("/")[1] for one in listed} == set(names)


def test_tuning_jobs_are_listed_and_deleted_but_not_while_they_run(tuner: Tuner) -> None:
    name = tuner.begin(jobs=1, static={"hold": "True"})
    delete = tuner.sagemaker.delete_hyper_parameter_tuning_job
    with pytest.raises(tuner.sagemaker.exceptions.ClientError, match="in status InProgress; stop it first"):
        delete(HyperParameterTuningJobName=name)
    tuner.sagemaker.stop_hyper_parameter_tuning_job(HyperParameterTuningJobName=name)
    tuner.ended(name)
    (summary,) = tuner.sagemaker.list_hyper_parameter_tuning_jobs(NameContains=name, StatusEquals="Stopped")[
        "HyperParameterTuningJobSummaries"
    ]
    assert summary["Strategy"] == "Random"
    assert summary["ResourceLimits"] == {"MaxNumberOfTrainingJobs": 1, "MaxParallelTrainingJobs": 2}
    training = tuner.trainings(name)[0]["TrainingJobName"]
    delete(HyperParameterTuningJobName=name)
    with pytest.raises(tuner.sagemaker.exceptions.ResourceNotFound):
        tuner.describe(name)
    assert tuner.account.job(training)["TrainingJobStatus"] == "Stopped"


def test_every_change_of_status_is_on_the_event_bus(tuner: Tuner) -> None:
    account = tuner.account
    queue = account.client("sqs").create_queue(QueueName="tuning")["QueueUrl"]
    arn = account.client("sqs").get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"][
        "QueueArn"
    ]
    pattern = {"source": ["aws.sagemaker"], "detail-type": ["SageMaker HyperParameter Tuning Job State Change"]}
    events = account.client("events")
    events.put_rule(Name="tuning", EventPattern=json.dumps(pattern))
    events.put_targets(Rule="tuning", Targets=[{"Id": "queue", "Arn": arn}])

    name = tuner.begin(jobs=2)
    tuner.ended(name)
    details: list[dict[str, Any]] = []

    def heard_both() -> bool:  # the last event may come a moment after the status
        answer = account.client("sqs").receive_message(QueueUrl=queue, MaxNumberOfMessages=10)
        details.extend(json.loads(message["Body"])["detail"] for message in answer.get("Messages", []))
        return len(details) >= 2

    until(heard_both)
    assert [detail["HyperParameterTuningJobStatus"] for detail in details] == ["InProgress", "Completed"]
    assert {detail["HyperParameterTuningJobName"] for detail in details} == {name}
    assert details[1]["TrainingJobStatusCounters"]["Completed"] == 2
