"""The functions of the pipeline's optional states: guarding, registering, watching spot jobs, cleaning up."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from moto import mock_aws

from lambdas.clean_up.objects import delete_below
from lambdas.compare.comparison import compare
from lambdas.evaluate.gate import Champion
from lambdas.guard.alarms import put_alarms
from lambdas.guard.scaling import scale
from lambdas.register.package import evaluation_report, model_package
from lambdas.spot.watch import after, find_job, look

RUN_FOLDER = "blazingtext/kindling-blazingtext-r-0"


@pytest.fixture(autouse=True)
def _cloud(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    with mock_aws():
        yield


def job(status: str, *changes: str, secondary: str = "") -> dict[str, Any]:
    return {
        "TrainingJobStatus": status,
        "SecondaryStatus": secondary or status,
        "SecondaryStatusTransitions": [{"Status": change} for change in changes],
    }


class TestSpot:
    """How often hosts went, and what follows from it."""

    def test_a_job_is_stopped_once_it_is_interrupted_too_often(self) -> None:
        often = job("InProgress", "Starting", "Interrupted", "Starting", "Interrupted")
        assert not look(often, 2).stop
        assert look(often, 1).stop
        assert look(often, 1).outcome == "running"
        # It is asked to stop but once.
        assert not look({**often, "TrainingJobStatus": "Stopping"}, 1).stop

    def test_a_job_that_has_not_begun_yet_is_waited_for(self) -> None:
        assert look(None, 0).outcome == "running"
        assert after(None, 0).outcome == "ended"

    def test_a_stopped_job_goes_on_on_demand_when_it_lacked_hosts(self) -> None:
        assert after(job("Stopped", "Interrupted"), 0).outcome == "on_demand"
        assert after(job("Stopped", secondary="MaxWaitTimeExceeded"), 3).outcome == "on_demand"

    @pytest.mark.parametrize(
        "ended", [job("Failed", "Interrupted"), job("Stopped"), job("Stopped", secondary="MaxRuntimeExceeded")]
    )
    def test_a_job_that_failed_or_was_stopped_by_somebody_does_not(self, ended: dict[str, Any]) -> None:
        assert after(ended, 0).outcome == "ended"

    def test_looks_are_ever_further_apart_but_never_more_than_five_minutes(self) -> None:
        state: dict[str, Any] = {"waited_s": 0, "wait_s": 3}
        pauses, looks = [], 0
        while state["waited_s"] < 5 * 24 * 3600:
            state = look(job("InProgress"), 3).as_state(state)
            pauses.append(state["wait_s"])
            looks += 1
        assert pauses[0] == 3
        assert pauses == sorted(pauses)
        assert pauses[-1] == 300
        # Each look is ten events of a history that holds 25,000.
        assert looks < 2400

    def test_the_job_is_found_whatever_attempt_began_it(self) -> None:
        class SageMaker:
            def describe_training_job(self, TrainingJobName: str) -> dict[str, Any]:  # noqa: N803
                if TrainingJobName != "r-s2":
                    error = {"Error": {"Code": "ValidationException", "Message": "Requested resource not found."}}
                    raise boto3.client("sagemaker").exceptions.ClientError(error, "DescribeTrainingJob")
                return job("InProgress")

        assert find_job(SageMaker(), "r", 9) == ("r-s2", job("InProgress"))
        assert find_job(SageMaker(), "other", 9) == ("", None)


def registration(**more: Any) -> dict[str, Any]:
    training = {
        "model_s3_uri": f"s3://models/{RUN_FOLDER}/output/model.tar.gz",
        "metrics": {"train:mean_rho": 0.67, "train:throughput": 1.5},
    }
    source = {"S3DataSource": {"S3Uri": "s3://data/blazingtext/" + "x" * 300}}
    return {
        "run": "r",
        "algorithm": "blazingtext",
        "group": "kindling-blazingtext",
        "base_name": "kindling-blazingtext-r-" + "0" * 30,
        "registration": {"description": None},
        "approval": None,
        "image": "image:1",
        "inputs": [{"ChannelName": "train", "DataSource": source}],
        "job_arn": "arn:aws:sagemaker:us-east-1:123456789012:training-job/j",
        "evaluation": {"training": training, "evaluation": {"gate": None}, "verdict": "no gate was asked for."},
        "content_types": ["application/json"],
        **more,
    }


class TestRegister:
    """A version of the model group."""

    def test_the_evaluation_lies_beside_the_archive(self) -> None:
        place, body = evaluation_report(registration())
        assert place == {"Bucket": "models", "Key": f"{RUN_FOLDER}/output/evaluation.json"}
        assert json.loads(body) == {"gate": None}

    def test_texts_fit_and_the_same_run_is_the_same_request(self) -> None:
        event = registration()
        package = model_package(event, evaluation_report(event)[0])
        assert max(map(len, package["CustomerMetadataProperties"].values())) == 256
        assert package["CustomerMetadataProperties"]["train.mean_rho"] == "0.67"
        assert len(package["ClientToken"]) <= 36
        assert package["ClientToken"] == model_package(registration(), {"Bucket": "b", "Key": "k"})["ClientToken"]
        assert package["ModelPackageDescription"] == "blazingtext, run r"

    @pytest.mark.parametrize(("approval", "status"), [(None, "Approved"), ({}, "PendingManualApproval")])
    def test_what_waits_for_a_person_is_pending(self, approval: object, status: str) -> None:
        event = registration(approval=approval, registration={"description": "ours"})
        package = model_package(event, evaluation_report(event)[0])
        # An empty part is a part: only null says that nobody is asked.
        assert (package["ModelApprovalStatus"], package["ModelPackageDescription"]) == (status, "ours")


class TestCompare:
    """The new model beside the champion."""

    METRICS = ({"name": "train:mean_rho", "goal": "maximize"}, {"name": "validation:loss", "goal": "minimize"})

    def test_each_metric_has_a_winner_by_its_goal(self) -> None:
        reached = {"metrics": {"train:mean_rho": 0.7, "validation:loss": 0.5}, "details": {}}
        former = {"train:mean_rho": 0.6, "validation:loss": 0.4}
        found = compare(self.METRICS, reached, lambda metric: Champion(model="old", value=former[metric]))
        assert [row["better"] for row in found["metrics"]] == [True, False]
        assert found["words"] == "Champion old: train:mean_rho 0.7 against 0.6, validation:loss 0.5 against 0.4."

    def test_what_is_on_no_record_wins_and_loses_nothing(self) -> None:
        reached = {"metrics": {"train:mean_rho": 0.7}, "details": {}}
        found = compare(self.METRICS, reached, lambda metric: Champion(model="old", value=None))
        assert [row["better"] for row in found["metrics"]] == [None, None]
        assert found["words"] == "Champion old: none of its metrics is on record."

    def test_without_an_endpoint_there_is_no_champion(self) -> None:
        found = compare(self.METRICS, {"metrics": {}, "details": {"mean_rho": 0.5}}, lambda metric: None)
        assert (found["champion"], found["words"]) == (None, "There is no champion.")
        assert found["metrics"][0]["value"] == 0.5


class TestGuard:
    """Alarms and scaling of an endpoint."""

    def test_alarms_tell_the_topic_and_bear_the_runs_tags(self) -> None:
        cloudwatch = boto3.client("cloudwatch")
        alarm = {
            "AlarmName": "a",
            "Namespace": "AWS/SageMaker",
            "MetricName": "ModelLatency",
            "ExtendedStatistic": "p99",
            "Period": 60,
            "EvaluationPeriods": 1,
            "Threshold": 1.0,
            "ComparisonOperator": "GreaterThanOrEqualToThreshold",
        }
        topic = "arn:aws:sns:us-east-1:123456789012:topic"
        assert put_alarms(cloudwatch, [alarm], topic, [{"Key": "kindling:run", "Value": "r"}]) == ["a"]
        (found,) = cloudwatch.describe_alarms()["MetricAlarms"]
        assert (found["AlarmActions"], found["OKActions"]) == ([topic], [topic])
        assert cloudwatch.list_tags_for_resource(ResourceARN=found["AlarmArn"])["Tags"][0]["Value"] == "r"

    def test_scaling_is_registered_and_taken_back(self) -> None:
        autoscaling = boto3.client("application-autoscaling")
        sagemaker = boto3.client("sagemaker")
        role = "arn:aws:iam::123456789012:role/r"
        sagemaker.create_model(ModelName="m", ExecutionRoleArn=role, PrimaryContainer={"Image": "i"})
        variant = {"VariantName": "v", "ModelName": "m", "InstanceType": "ml.m5.large", "InitialInstanceCount": 1}
        sagemaker.create_endpoint_config(EndpointConfigName="c", ProductionVariants=[variant])
        sagemaker.create_endpoint(EndpointName="e", EndpointConfigName="c")
        wanted = {
            "min_instances": 1,
            "max_instances": 4,
            "invocations_per_instance": 100,
            "scale_in_s": 600,
            "scale_out_s": 60,
        }
        scale(autoscaling, "e", ["v"], wanted)
        (policy,) = autoscaling.describe_scaling_policies(ServiceNamespace="sagemaker")["ScalingPolicies"]
        tracking = policy["TargetTrackingScalingPolicyConfiguration"]
        assert (policy["ResourceId"], tracking["TargetValue"]) == ("endpoint/e/variant/v", 100)
        for _ in range(2):
            scale(autoscaling, "e", ["v"], None)
            assert autoscaling.describe_scalable_targets(ServiceNamespace="sagemaker")["ScalableTargets"] == []


class TestCleanUp:
    """What only the run had use for."""

    @pytest.fixture
    def s3(self) -> Any:
        client = boto3.client("s3")
        client.create_bucket(Bucket="models")
        for key in (
            "t/tuned-0-001/output/model.tar.gz",
            "t/tuned-0-001/output/output.tar.gz",
            "t/tuned-0-002/output/model.tar.gz",
        ):
            client.put_object(Bucket="models", Key=key, Body=b"x")
        client.put_object(Bucket="models", Key="t/other/output/model.tar.gz", Body=b"x")
        return client

    def left(self, s3: Any) -> list[str]:
        return [found["Key"] for found in s3.list_objects_v2(Bucket="models").get("Contents", ())]

    def test_all_goes_but_the_job_whose_model_was_taken(self, s3: Any) -> None:
        keep = "s3://models/t/tuned-0-001/output/model.tar.gz"
        assert delete_below(s3, ["s3://models/t/tuned-0"], keep, lambda: True) == (1, [])
        assert self.left(s3) == [
            "t/other/output/model.tar.gz",
            "t/tuned-0-001/output/model.tar.gz",
            "t/tuned-0-001/output/output.tar.gz",
        ]

    def test_what_there_is_no_time_for_is_named(self, s3: Any) -> None:
        addresses = ["s3://models/t/tuned-0", "s3://models/t/nothing"]
        assert delete_below(s3, addresses, "s3://models/t/x/output/model.tar.gz", lambda: False) == (0, addresses)
        assert len(self.left(s3)) == 4
