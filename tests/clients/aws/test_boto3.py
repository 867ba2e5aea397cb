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


def test_a_waiter_sees_a_processing_job_complete(cloud: Cloud, bucket: str) -> None:
    sagemaker, name = cloud.client("sagemaker"), "boto3-processing"
    command = ["python3", "-c", "import pathlib, sys; pathlib.Path(sys.argv[1], 'said').write_text('hello')"]
    output = {
        "S3Uri": f"s3://{bucket}/said",
        "LocalPath": "/opt/ml/processing/output",
        "S3UploadMode": "EndOfJob",
    }
    cluster = {"InstanceCount": 1, "InstanceType": "ml.m5.large", "VolumeSizeInGB": 5}
    sagemaker.create_processing_job(
        ProcessingJobName=name,
        RoleArn=cloud.role,
        AppSpecification={
            "ImageUri": IMAGE,
            "ContainerEntrypoint": command,
            "ContainerArguments": ["/opt/ml/processing/output"],
        },
        ProcessingOutputConfig={"Outputs": [{"OutputName": "said", "S3Output": output}]},
        ProcessingResources={"ClusterConfig": cluster},
    )
    sagemaker.get_waiter("processing_job_completed_or_stopped").wait(ProcessingJobName=name, WaiterConfig=SOON)
    assert cloud.client("s3").get_object(Bucket=bucket, Key="said/said")["Body"].read() == b"hello"


def test_a_waiter_sees_a_transform_job_complete(cloud: Cloud, bucket: str, trained: dict[str, Any]) -> None:
    sagemaker, name = cloud.client("sagemaker"), "boto3-transform"
    container = {"Image": IMAGE, "ModelDataUrl": trained["ModelArtifacts"]["S3ModelArtifacts"]}
    sagemaker.create_model(ModelName=name, PrimaryContainer=container, ExecutionRoleArn=cloud.role)
    cloud.client("s3").put_object(Bucket=bucket, Key="asked/words.json", Body=b'{"instances": ["king", "tea"]}')
    source = {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": f"s3://{bucket}/asked"}}
    sagemaker.create_transform_job(
        TransformJobName=name,
        ModelName=name,
        TransformInput={"DataSource": source, "ContentType": "application/json"},
        TransformOutput={"S3OutputPath": f"s3://{bucket}/answered"},
        TransformResources={"InstanceType": "ml.m5.large", "InstanceCount": 1},
    )
    sagemaker.get_waiter("transform_job_completed_or_stopped").wait(TransformJobName=name, WaiterConfig=SOON)
    answer = cloud.client("s3").get_object(Bucket=bucket, Key="answered/words.json.out")["Body"].read()
    assert answer.startswith(b'[{"vector')


def test_the_account_is_the_embedded_clouds(cloud: Cloud) -> None:
    assert cloud.client("sts").get_caller_identity()["Account"] == "123456789012"
