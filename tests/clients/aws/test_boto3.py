"""boto3 and its waiters, as they come: no endpoint, region or credentials but those of the environment."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import WaiterError

from tests.clients.conftest import IMAGE, Cloud

SOON = {"Delay": 1, "MaxAttempts": 60}  # a laptop's job is over before the waiter's own minute


@pytest.fixture(scope="module")
def bucket(cloud: Cloud, corpus: Path) -> str:
    s3 = cloud.client("s3")
    s3.create_bucket(Bucket="plain-boto3")
    s3.upload_file(str(corpus), "plain-boto3", "train/corpus.txt")
    return "plain-boto3"


def begin(cloud: Cloud, bucket: str, name: str, **hyperparameters: str) -> None:
    """Create a training job."""
    source = {"S3DataType": "S3Prefix", "S3Uri": f"s3://{bucket}/train", "S3DataDistributionType": "FullyReplicated"}
    cloud.client("sagemaker").create_training_job(
        TrainingJobName=name,
        AlgorithmSpecification={"TrainingImage": IMAGE, "TrainingInputMode": "File"},
        RoleArn=cloud.role,
        InputDataConfig=[{"ChannelName": "train", "DataSource": {"S3DataSource": source}}],
        OutputDataConfig={"S3OutputPath": f"s3://{bucket}/output"},
        ResourceConfig={"InstanceType": "ml.c5.xlarge", "InstanceCount": 1, "VolumeSizeInGB": 10},
        StoppingCondition={"MaxRuntimeInSeconds": 600},
        HyperParameters={"mode": "skipgram", "min_count": "1", "vector_dim": "10", "epochs": "2", **hyperparameters},
    )


@pytest.fixture(scope="module")
def trained(cloud: Cloud, bucket: str) -> dict[str, Any]:
    sagemaker = cloud.client("sagemaker")
    begin(cloud, bucket, "boto3-words")
    waiter = sagemaker.get_waiter("training_job_completed_or_stopped")
    waiter.wait(TrainingJobName="boto3-words", WaiterConfig=SOON)
    found: dict[str, Any] = sagemaker.describe_training_job(TrainingJobName="boto3-words")
    return found


def test_a_waiter_sees_a_job_complete(trained: dict[str, Any]) -> None:
    assert trained["TrainingJobStatus"] == "Completed"


def test_a_waiter_ends_with_a_job_that_failed(cloud: Cloud, bucket: str) -> None:
    begin(cloud, bucket, "boto3-failing", mode="guess")
    waiter = cloud.client("sagemaker").get_waiter("training_job_completed_or_stopped")
    with pytest.raises(WaiterError) as caught:
        waiter.wait(TrainingJobName="boto3-failing", WaiterConfig=SOON)
    assert "mode" in caught.value.last_response["FailureReason"]


def test_endpoint_waiters_see_it_come_and_go_in_one_look(cloud: Cloud, trained: dict[str, Any]) -> None:
    sagemaker, name = cloud.client("sagemaker"), "boto3-words"
    container = {"Image": IMAGE, "ModelDataUrl": trained["ModelArtifacts"]["S3ModelArtifacts"]}
    sagemaker.create_model(ModelName=name, PrimaryContainer=container, ExecutionRoleArn=cloud.role)
    variant = {"VariantName": "A", "ModelName": name, "InitialInstanceCount": 1, "InstanceType": "ml.m5.large"}
    sagemaker.create_endpoint_config(EndpointConfigName=name, ProductionVariants=[variant])
    sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=name)
    sagemaker.get_waiter("endpoint_in_service").wait(EndpointName=name)
    answer = cloud.client("sagemaker-runtime").invoke_endpoint(
        EndpointName=name, ContentType="application/json", Body=b'{"instances": ["king"]}'
    )
    assert answer["Body"].read().startswith(b'[{"')
    sagemaker.delete_endpoint(EndpointName=name)
    sagemaker.get_waiter("endpoint_deleted").wait(EndpointName=name)


def test_the_account_is_the_embedded_clouds(cloud: Cloud) -> None:
    assert cloud.client("sts").get_caller_identity()["Account"] == "123456789012"
