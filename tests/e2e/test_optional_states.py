"""Every state that an execution's input can switch on, through the deployed pipeline."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from kindling import approvals, chaos, runs
from kindling.errors import UserError
from kindling.runs import Run
from tests.e2e.conftest import ALGORITHM, SMALL, Deployment, until

QUICK = {**SMALL, "epochs": "1"}
GROUP = f"kindling-{ALGORITHM}"


def run_of(deployed: Deployment, arn: str) -> Run:
    return runs.find(deployed.target, deployed.found, arn.rsplit(":", 1)[1])


def versions(deployed: Deployment) -> list[dict[str, Any]]:
    """The versions of the algorithm's model group, the newest first."""
    sagemaker = deployed.client("sagemaker")
    listed = sagemaker.list_model_packages(ModelPackageGroupName=GROUP, SortBy="CreationTime", SortOrder="Descending")
    return [
        sagemaker.describe_model_package(ModelPackageName=found["ModelPackageArn"])
        for found in listed["ModelPackageSummaryList"]
    ]


def keys(deployed: Deployment, bucket: str, prefix: str) -> list[str]:
    listed = deployed.client("s3").list_objects_v2(Bucket=bucket, Prefix=prefix)
    return [found["Key"] for found in listed.get("Contents", ())]


def test_a_preparation_makes_the_channel_and_is_cleaned_up(deployed: Deployment, corpus: str) -> None:
    asked = {
        "preparation": {"name": "phrases", "inputs": {"corpus": corpus}, "options": {"threshold": 5, "min_count": 2}},
        "hyperparameters": {**QUICK, "min_count": "1"},
        "endpoint": None,
    }
    bucket, place = deployed.found.data_bucket, f"{ALGORITHM}/prepared/"
    before = set(keys(deployed, bucket, place))
    kept = deployed.run({**asked, "clean_up": False})
    assert kept["status"] == "SUCCEEDED", kept.get("cause")
    (prepared,) = set(keys(deployed, bucket, place)) - before
    text = deployed.client("s3").get_object(Bucket=bucket, Key=prepared)["Body"].read().decode()
    assert "_" in text, "phrases were joined"
    job = json.loads(kept["output"])["training"]["job_name"]
    config = deployed.client("sagemaker").describe_training_job(TrainingJobName=job)["InputDataConfig"]
    assert prepared.startswith(config[0]["DataSource"]["S3DataSource"]["S3Uri"].split("/", 3)[3])

    again = deployed.start(asked)
    assert deployed.wait(again)["status"] == "SUCCEEDED"
    assert "CleanUp" in deployed.states(again)
    assert set(keys(deployed, bucket, place)) == {*before, prepared}


def test_a_preparation_that_refuses_its_data_tells_why(deployed: Deployment, tmp_path: Path) -> None:
    (tmp_path / "broken.txt").write_bytes(b"\xff\xfe\x00 not text\n")
    raw = deployed.upload(tmp_path / "broken.txt", "broken")
    ended = deployed.run(
        {"preparation": {"name": "phrases", "inputs": {"corpus": raw}}, "hyperparameters": QUICK, "endpoint": None}
    )
    assert ended["error"] == "PrepareFailed"
    assert ended["cause"].startswith("Prepare: ClientError: ")
    assert "UTF-8" in ended["cause"]


def test_tuning_takes_the_best_of_four_jobs(deployed: Deployment, corpus: str) -> None:
    static = {name: value for name, value in QUICK.items() if name != "vector_dim"}
    arn = deployed.start(
        {
            "inputs": {"train": corpus},
            "hyperparameters": static,
            "tuning": {"ranges": {"vector_dim": [5, 30], "window_size": [2, 5]}, "jobs": 4, "parallel": 2, "seed": 7},
            "endpoint": None,
        }
    )
    ended = deployed.wait(arn)
    assert ended["status"] == "SUCCEEDED", ended.get("cause")
    output = json.loads(ended["output"])
    sagemaker, name = deployed.client("sagemaker"), output["tuning"]["job_name"]
    tried = sagemaker.list_training_jobs_for_hyper_parameter_tuning_job(HyperParameterTuningJobName=name)
    reached = {
        one["TrainingJobName"]: one["FinalHyperParameterTuningJobObjectiveMetric"]["Value"]
        for one in tried["TrainingJobSummaries"]
    }
    assert len(reached) == 4
    assert output["training"]["job_name"] == output["tuning"]["best_job"] == max(reached, key=lambda job: reached[job])
    assert set(output["tuning"]["hyperparameters"]) == {"vector_dim", "window_size"}
    # Of the models that lost nothing is left, and the best one is where the output says.
    models = keys(deployed, deployed.found.model_bucket, f"{ALGORITHM}/{name}")
    assert [key for key in models if key.endswith("model.tar.gz")] == [
        output["training"]["model_s3_uri"].split("/", 3)[3]
    ]


def test_tuning_may_be_followed_by_a_training_with_what_was_best(deployed: Deployment, corpus: str) -> None:
    static = {name: value for name, value in QUICK.items() if name != "vector_dim"}
    tuning = {"ranges": {"vector_dim": [5, 30]}, "jobs": 2, "parallel": 2, "then": "train"}
    asked = {"inputs": {"train": corpus}, "hyperparameters": static, "tuning": tuning, "endpoint": None}
    ended = deployed.run(asked)
    assert ended["status"] == "SUCCEEDED", ended.get("cause")
    output = json.loads(ended["output"])
    job = deployed.client("sagemaker").describe_training_job(TrainingJobName=output["training"]["job_name"])
    assert output["training"]["job_name"] != output["tuning"]["best_job"]
    assert job["HyperParameters"]["vector_dim"] == output["tuning"]["hyperparameters"]["vector_dim"]


def test_a_model_is_registered_with_its_metrics_and_where_it_comes_from(deployed: Deployment, corpus: str) -> None:
    ended = deployed.run(
        {"inputs": {"train": corpus}, "hyperparameters": QUICK, "registration": True, "endpoint": None}
    )
    assert ended["status"] == "SUCCEEDED", ended.get("cause")
    output = json.loads(ended["output"])
    package = versions(deployed)[0]
    assert (package["ModelPackageArn"], package["ModelApprovalStatus"]) == (output["model_package_arn"], "Approved")
    (container,) = package["InferenceSpecification"]["Containers"]
    assert container["ModelDataUrl"] == output["training"]["model_s3_uri"]
    assert package["MetadataProperties"]["GeneratedBy"].endswith(f"training-job/{output['training']['job_name']}")
    assert package["CustomerMetadataProperties"]["run"] == output["run"]
    assert package["CustomerMetadataProperties"]["input.train"] == corpus
    report = package["ModelMetrics"]["ModelQuality"]["Statistics"]["S3Uri"].removeprefix("s3://").split("/", 1)
    body = deployed.client("s3").get_object(Bucket=report[0], Key=report[1])["Body"].read()
    assert json.loads(body) == output["evaluation"]


def test_an_approved_model_is_deployed_with_alarms_and_scaling(deployed: Deployment, corpus: str) -> None:
    arn = deployed.start(
        {
            "inputs": {"train": corpus},
            "hyperparameters": QUICK,
            "approval": True,
            "endpoint": {
                "name": "guarded",
                "alarms": {"latency_p99_ms": 250, "idle_hours": 6},
                "scaling": {"max_instances": 2, "invocations_per_instance": 1000},
                "capture": True,
            },
        }
    )
    run = deployed.waiting(arn)
    assert versions(deployed)[0]["ModelApprovalStatus"] == "PendingManualApproval"
    assert "guarded" not in deployed.hosted()["endpoints"]
    approvals.approve(deployed.target, run, "looks good")
    ended = deployed.wait(arn)
    assert ended["status"] == "SUCCEEDED", ended.get("cause")
    output = json.loads(ended["output"])
    assert output["approval"]["comment"] == "looks good"
    package = versions(deployed)[0]
    assert package["ModelApprovalStatus"] == "Approved"
    assert package["ApprovalDescription"].endswith(": looks good")

    alarms = deployed.client("cloudwatch").describe_alarms(AlarmNamePrefix=f"{GROUP}-guarded-")["MetricAlarms"]
    found = {alarm["AlarmName"].removeprefix(f"{GROUP}-guarded-"): alarm for alarm in alarms}
    assert set(found) == {"5xx", "latency", "cpu", "idle"}
    assert found["latency"]["Threshold"] == 250_000
    assert all(alarm["AlarmActions"] and alarm["OKActions"] for alarm in alarms)
    (target,) = deployed.client("application-autoscaling").describe_scalable_targets(
        ServiceNamespace="sagemaker", ResourceIds=["endpoint/guarded/variant/AllTraffic"]
    )["ScalableTargets"]
    assert (target["MinCapacity"], target["MaxCapacity"]) == (1, 2)
    config = deployed.client("sagemaker").describe_endpoint(EndpointName="guarded")["DataCaptureConfig"]
    assert config["EnableCapture"] is True

    # Without scaling in the input, the next run takes the target back.
    plain = {"inputs": {"train": corpus}, "hyperparameters": QUICK, "endpoint": {"name": "guarded"}}
    second = deployed.run({**plain, "comparison": True})
    assert second["status"] == "SUCCEEDED"
    comparison = json.loads(second["output"])["comparison"]
    rho = output["training"]["metrics"]["train:mean_rho"]
    assert [row["champion_value"] for row in comparison["metrics"] if row["metric"] == "train:mean_rho"] == [rho]
    assert comparison["champion"].startswith(GROUP)
    targets = deployed.client("application-autoscaling").describe_scalable_targets(ServiceNamespace="sagemaker")
    assert "endpoint/guarded/variant/AllTraffic" not in [one["ResourceId"] for one in targets["ScalableTargets"]]


def test_a_rejected_model_is_not_deployed_and_the_registry_says_so(deployed: Deployment, corpus: str) -> None:
    before = deployed.hosted()
    arn = deployed.start(
        {"inputs": {"train": corpus}, "hyperparameters": QUICK, "approval": True, "endpoint": {"name": "rejected"}}
    )
    run = deployed.waiting(arn)
    approvals.reject(deployed.target, run, "too small a corpus")
    ended = deployed.wait(arn)
    assert ended["error"] == "ApproveFailed"
    assert ended["cause"].startswith("Approve: rejected by arn:aws:")
    assert ended["cause"].endswith(": too small a corpus")
    package = versions(deployed)[0]
    assert package["ModelApprovalStatus"] == "Rejected"
    assert "too small a corpus" in package["ApprovalDescription"]
    assert deployed.hosted() == before
    with pytest.raises(UserError, match="does not wait for approval; it is FAILED"):
        approvals.approve(deployed.target, run_of(deployed, arn), "after all")


def test_a_batch_is_answered_and_no_model_is_left(deployed: Deployment, corpus: str, tmp_path: Path) -> None:
    (tmp_path / "words.jsonl").write_text('{"source": "the"}\n{"source": "of"}\n')
    before = deployed.hosted()
    ended = deployed.run(
        {
            "inputs": {"train": corpus},
            "hyperparameters": QUICK,
            "batch": {
                "input": deployed.upload(tmp_path / "words.jsonl", "batch-records"),
                "content_type": "application/jsonlines",
            },
        }
    )
    assert ended["status"] == "SUCCEEDED", ended.get("cause")
    output = json.loads(ended["output"])
    assert output["endpoint"] is None
    bucket, prefix = output["batch"]["output"].removeprefix("s3://").split("/", 1)
    (answers,) = keys(deployed, bucket, prefix)
    lines = deployed.client("s3").get_object(Bucket=bucket, Key=answers)["Body"].read().decode().splitlines()
    assert [json.loads(line)["word"] for line in lines] == ["the", "of"]
    assert deployed.hosted() == before


CANARY = {"strategy": "canary", "step_percent": 50, "wait_s": 20}


def test_an_update_that_sets_off_an_alarm_is_taken_back(deployed: Deployment, corpus: str) -> None:
    def asked(latency_ms: float) -> dict[str, Any]:
        return {
            "inputs": {"train": corpus},
            "hyperparameters": QUICK,
            "endpoint": {
                "name": "canary",
                "instance_count": 2,
                "rollout": CANARY,
                "alarms": {"latency_p99_ms": latency_ms, "cpu_percent": None},
            },
        }

    assert deployed.run(asked(60_000))["status"] == "SUCCEEDED"
    sagemaker = deployed.client("sagemaker")
    serving = sagemaker.describe_endpoint(EndpointName="canary")["EndpointConfigName"]
    before = deployed.hosted()

    # No model answers in a microsecond.
    with deployed.asking("canary"):
        ended = deployed.run(asked(0.001))

    assert ended["error"] == "DeployFailed", ended
    assert "kindling-blazingtext-canary-latency" in ended["cause"]
    endpoint = sagemaker.describe_endpoint(EndpointName="canary")
    assert (endpoint["EndpointStatus"], endpoint["EndpointConfigName"]) == ("InService", serving)
    assert deployed.hosted() == before
    sagemaker.delete_endpoint(EndpointName="canary")


def test_a_spot_job_that_is_interrupted_too_often_goes_on_on_demand(deployed: Deployment, corpus: str) -> None:
    arn = deployed.start(
        {
            "inputs": {"train": corpus},
            "hyperparameters": {**SMALL, "epochs": "1500"},
            "resources": {"spot": True, "max_interruptions": 0, "max_runtime_s": 600},
            "endpoint": None,
            "clean_up": False,
        }
    )
    found = until(
        lambda: next(
            (
                job["TrainingJobName"]
                for job in deployed.client("sagemaker").list_training_jobs(StatusEquals="InProgress")[
                    "TrainingJobSummaries"
                ]
                if job["TrainingJobName"].endswith("-s0")
            ),
            None,
        ),
        120,
        "a spot job",
    )
    sagemaker = deployed.client("sagemaker")
    until(
        lambda: sagemaker.describe_training_job(TrainingJobName=found)["SecondaryStatus"] == "Training",
        120,
        "the job's training",
    )
    chaos.interrupt(deployed.target, found)
    ended = deployed.wait(arn)
    assert ended["status"] == "SUCCEEDED", ended.get("cause")
    assert "TrainOnDemand" in deployed.states(arn)
    job = sagemaker.describe_training_job(TrainingJobName=json.loads(ended["output"])["training"]["job_name"])
    assert job["EnableManagedSpotTraining"] is False
    spot = sagemaker.describe_training_job(TrainingJobName=found)
    assert spot["TrainingJobStatus"] == "Stopped"
    assert job["CheckpointConfig"] == spot["CheckpointConfig"]


def test_a_spot_job_that_fails_of_itself_does_not_go_on_on_demand(deployed: Deployment, tmp_path: Path) -> None:
    (tmp_path / "few.txt").write_text("a b c\n")
    ended = deployed.run(
        {
            "inputs": {"train": deployed.upload(tmp_path / "few.txt", "few")},
            "hyperparameters": {**QUICK, "min_count": "100"},
            "resources": {"spot": True},
            "endpoint": None,
        }
    )
    assert ended["error"] == "TrainFailed"
    assert ended["cause"].startswith("Train: ClientError: ")


def test_what_could_cost_too_much_is_refused(deployed: Deployment, corpus: str) -> None:
    ended = deployed.run({"inputs": {"train": corpus}, "hyperparameters": QUICK, "endpoint": None, "max_cost_usd": 0.1})
    assert ended["error"] == "PlanFailed"
    assert "the jobs can cost 0.41 USD (training 0.41), which is more than max_cost_usd=0.1" in ended["cause"]
