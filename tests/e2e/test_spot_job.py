"""A spot job through the deployed pipeline: it keeps its checkpoints where the next attempt finds them."""

from __future__ import annotations

import json

from tests.e2e.conftest import ALGORITHM, SMALL, Deployment


def test_a_spot_job_keeps_its_checkpoints_and_another_job_goes_on_from_them(deployed: Deployment, corpus: str) -> None:
    arn = deployed.start(
        {
            "name": "spot-job",
            "inputs": {"train": corpus},
            "hyperparameters": SMALL,
            "resources": {"spot": True},
            "clean_up": False,
            "gate": None,
            "endpoint": None,
        }
    )
    execution = deployed.wait(arn)
    assert execution["status"] == "SUCCEEDED", execution.get("cause")
    assert "TrainOnSpot" in deployed.states(arn)

    sagemaker = deployed.client("sagemaker")
    trained = json.loads(execution["output"])["training"]["job_name"]
    again = "spot-job-again"
    job = sagemaker.describe_training_job(TrainingJobName=trained)
    bucket, _, prefix = job["CheckpointConfig"]["S3Uri"].removeprefix("s3://").partition("/")
    assert prefix.startswith(f"{ALGORITHM}/checkpoints/")
    listed = deployed.client("s3").list_objects_v2(Bucket=bucket, Prefix=prefix)["Contents"]
    assert [entry["Key"] for entry in listed] == [f"{prefix}/checkpoint-00000000-rank-0.ckpt"]

    asked = (
        *("AlgorithmSpecification", "HyperParameters", "RoleArn", "InputDataConfig", "OutputDataConfig"),
        *("ResourceConfig", "StoppingCondition", "EnableManagedSpotTraining", "CheckpointConfig"),
    )
    sagemaker.create_training_job(TrainingJobName=again, **{name: job[name] for name in asked})
    sagemaker.get_waiter("training_job_completed_or_stopped").wait(
        TrainingJobName=again, WaiterConfig={"Delay": 1, "MaxAttempts": 240}
    )
    logs = deployed.client("logs")
    group = "/aws/sagemaker/TrainingJobs"
    (stream,) = logs.describe_log_streams(logGroupName=group, logStreamNamePrefix=again)["logStreams"]
    events = logs.get_log_events(logGroupName=group, logStreamName=stream["logStreamName"])["events"]
    assert any("Going on from checkpoint 0, with 100.00% trained." in event["message"] for event in events)
