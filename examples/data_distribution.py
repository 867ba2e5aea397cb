"""One object a host, or all objects on every host? Two jobs of Linear Learner that differ in nothing else, with boto3.

`python examples/data_distribution.py FOLDER` takes a folder of CSV files, the label first, without a header. Each is an
object. A tenth of every file is held back. Both jobs are timed, from their descriptions and from their logs; both
models are hosted and asked for the labels held back, 5 MB at a time, and their errors are compared.

Environment: SAGEMAKER_ROLE, a role's ARN; SAGEMAKER_BUCKET, a bucket that exists or is to be made in your region;
LINEAR_LEARNER_IMAGE, the algorithm's image, AWS's own in us-east-1 unless it says another.
"""

from __future__ import annotations

import copy
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import boto3
import numpy as np

IMAGE = os.environ.get("LINEAR_LEARNER_IMAGE", "382416733822.dkr.ecr.us-east-1.amazonaws.com/linear-learner:1")
HOSTS = int(os.environ.get("HOSTS", "2"))
ARMS = {"sharded": "ShardedByS3Key", "replicated": "FullyReplicated"}
MAXIMUM_PAYLOAD = 5 * 1024 * 1024
PREFIX = "data-distribution"


def upload(bucket: str, folder: Path) -> np.ndarray:
    """Put each file into the bucket but for a tenth of its rows; what is held back of all."""
    s3 = boto3.client("s3")
    if bucket not in [found["Name"] for found in s3.list_buckets()["Buckets"]]:
        s3.create_bucket(Bucket=bucket)
    test = []
    for path in sorted(folder.glob("*.csv")):
        rows = np.loadtxt(path, delimiter=",")
        held_back = np.random.default_rng(0).random(len(rows)) < 0.1
        test.append(rows[held_back])
        s3.put_object(Bucket=bucket, Key=f"{PREFIX}/train/{path.name}", Body=as_csv(rows[~held_back]))
    return np.concatenate(test)


def as_csv(rows: np.ndarray) -> str:
    return "\n".join(",".join(f"{value:g}" for value in row) for row in rows)


def train(names: dict[str, str], role: str, bucket: str) -> None:
    """Run the jobs of both arms side by side to their ends."""
    sagemaker = boto3.client("sagemaker")
    source = {"S3DataType": "S3Prefix", "S3Uri": f"s3://{bucket}/{PREFIX}/train", "S3DataDistributionType": ""}
    common: dict[str, Any] = {
        "RoleArn": role,
        "AlgorithmSpecification": {"TrainingImage": IMAGE, "TrainingInputMode": "File"},
        "ResourceConfig": {"InstanceCount": HOSTS, "InstanceType": "ml.c4.2xlarge", "VolumeSizeInGB": 10},
        "InputDataConfig": [
            {
                "ChannelName": "train",
                "DataSource": {"S3DataSource": source},
                "CompressionType": "None",
                "RecordWrapperType": "None",
                "ContentType": "text/csv",
            }
        ],
        "OutputDataConfig": {"S3OutputPath": f"s3://{bucket}/{PREFIX}/output"},
        "HyperParameters": {
            "predictor_type": "regressor",
            "loss": "absolute_loss",
            "mini_batch_size": "100",
            "epochs": "2",
            "num_models": "32",
        },
        "StoppingCondition": {"MaxRuntimeInSeconds": 60 * 60},
    }
    for arm, name in names.items():
        job = copy.deepcopy(common)
        job["TrainingJobName"] = name
        job["InputDataConfig"][0]["DataSource"]["S3DataSource"]["S3DataDistributionType"] = ARMS[arm]
        sagemaker.create_training_job(**job)
    for name in names.values():
        waiter = sagemaker.get_waiter("training_job_completed_or_stopped")
        waiter.wait(TrainingJobName=name, WaiterConfig={"Delay": 2, "MaxAttempts": 1800})
        job = sagemaker.describe_training_job(TrainingJobName=name)
        if job["TrainingJobStatus"] != "Completed":
            raise RuntimeError(f"{name}: {job['TrainingJobStatus']}: {job.get('FailureReason')}")


def seconds_of(name: str) -> tuple[float, float]:
    """How long a job trained: by its description, and from the first to the last line of the hosts' logs."""
    job = boto3.client("sagemaker").describe_training_job(TrainingJobName=name)
    described = (job["TrainingEndTime"] - job["TrainingStartTime"]).total_seconds()
    logs, group = boto3.client("logs"), "/aws/sagemaker/TrainingJobs"
    times = []
    for stream in logs.describe_log_streams(logGroupName=group, logStreamNamePrefix=f"{name}/")["logStreams"]:
        for first in (True, False):
            events = logs.get_log_events(
                logGroupName=group, logStreamName=stream["logStreamName"], startFromHead=first, limit=1
            )
            times += [event["timestamp"] for event in events["events"]]
    return described, (max(times) - min(times)) / 1000


def serve(names: dict[str, str], role: str) -> None:
    """Make an endpoint for each arm and wait until both answer."""
    sagemaker = boto3.client("sagemaker")
    for name in names.values():
        artifacts = sagemaker.describe_training_job(TrainingJobName=name)["ModelArtifacts"]["S3ModelArtifacts"]
        container = {"Image": IMAGE, "ModelDataUrl": artifacts}
        sagemaker.create_model(ModelName=name, ExecutionRoleArn=role, PrimaryContainer=container)
        variant = {
            "VariantName": "AllTraffic",
            "ModelName": name,
            "InitialInstanceCount": 1,
            "InstanceType": "ml.m4.xlarge",
        }
        sagemaker.create_endpoint_config(EndpointConfigName=name, ProductionVariants=[variant])
        sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=name)
    for name in names.values():
        sagemaker.get_waiter("endpoint_in_service").wait(EndpointName=name, WaiterConfig={"Delay": 2})


def predict(endpoint: str, rows: np.ndarray) -> np.ndarray:
    """The endpoint's answers, asked for in bodies of at most 5 MB."""
    runtime, found = boto3.client("sagemaker-runtime"), []
    parts = np.array_split(rows, int(len(as_csv(rows)) / MAXIMUM_PAYLOAD + 1))
    for part in parts:
        response = runtime.invoke_endpoint(EndpointName=endpoint, ContentType="text/csv", Body=as_csv(part))
        found += [answer["score"] for answer in json.loads(response["Body"].read())["predictions"]]
    return np.array(found)


def clean_up(names: dict[str, str]) -> None:
    """Delete the endpoints, their configurations and models, those that there are."""
    sagemaker = boto3.client("sagemaker")
    for name in names.values():
        for delete, kind in (
            (sagemaker.delete_endpoint, "EndpointName"),
            (sagemaker.delete_endpoint_config, "EndpointConfigName"),
            (sagemaker.delete_model, "ModelName"),
        ):
            try:
                delete(**{kind: name})
            except sagemaker.exceptions.ClientError as error:
                print(f"{name}: {error}", file=sys.stderr)


def main() -> None:
    role, stamp = os.environ["SAGEMAKER_ROLE"], time.strftime("%Y-%m-%d-%H-%M-%S")
    account, region = boto3.client("sts").get_caller_identity()["Account"], boto3.Session().region_name
    bucket = os.environ.get("SAGEMAKER_BUCKET") or f"sagemaker-{region}-{account}"
    names = {arm: f"distribution-{arm}-{stamp}" for arm in ARMS}
    test = upload(bucket, Path(sys.argv[1]))
    train(names, role, bucket)
    for arm, name in names.items():
        described, logged = seconds_of(name)
        print(f"{arm}: trained for {described:.0f} s on {HOSTS} hosts, {logged:.1f} s between the ends of the log")
    try:
        serve(names, role)
        for arm, name in names.items():
            error = np.mean((predict(name, test[:, 1:]) - test[:, 0]) ** 2)
            print(f"{arm}: MSE {error:.2f} of {len(test)} rows")
    finally:
        clean_up(names)


if __name__ == "__main__":
    main()
