"""The whole way from a text to vectors with nothing but boto3: bucket, job, model, endpoint, answer, clean-up.

Environment: SAGEMAKER_ROLE, a role's ARN; SAGEMAKER_BUCKET, a bucket that exists or is to be made in your region;
BLAZINGTEXT_IMAGE, the algorithm's image, AWS's own in us-east-1 unless it says another.
"""

from __future__ import annotations

import json
import os
import tempfile
import time
from pathlib import Path

import boto3
import corpus

IMAGE = os.environ.get("BLAZINGTEXT_IMAGE", "811284229777.dkr.ecr.us-east-1.amazonaws.com/blazingtext:1")


def upload(bucket: str) -> str:
    """Put the corpus into the bucket; the address of the channel."""
    s3 = boto3.client("s3")
    if bucket not in [found["Name"] for found in s3.list_buckets()["Buckets"]]:
        s3.create_bucket(Bucket=bucket)
    with tempfile.TemporaryDirectory() as folder:
        s3.upload_file(str(corpus.write(Path(folder) / "corpus.txt")), bucket, "word2vec-boto3/train/corpus.txt")
    return f"s3://{bucket}/word2vec-boto3/train"


def train(name: str, role: str, channel: str, output: str) -> str:
    """Run a job to its end; the address of its model.tar.gz."""
    sagemaker = boto3.client("sagemaker")
    source = {"S3DataType": "S3Prefix", "S3Uri": channel, "S3DataDistributionType": "FullyReplicated"}
    sagemaker.create_training_job(
        TrainingJobName=name,
        AlgorithmSpecification={"TrainingImage": IMAGE, "TrainingInputMode": "File"},
        RoleArn=role,
        InputDataConfig=[{"ChannelName": "train", "ContentType": "text/plain", "DataSource": {"S3DataSource": source}}],
        OutputDataConfig={"S3OutputPath": output},
        ResourceConfig={"InstanceType": "ml.c4.2xlarge", "InstanceCount": 1, "VolumeSizeInGB": 5},
        StoppingCondition={"MaxRuntimeInSeconds": 3600},
        HyperParameters={"mode": "skipgram", "epochs": "3", "min_count": "5", "vector_dim": "50"},
    )
    waiter = sagemaker.get_waiter("training_job_completed_or_stopped")
    waiter.wait(TrainingJobName=name, WaiterConfig={"Delay": 2, "MaxAttempts": 1800})
    job = sagemaker.describe_training_job(TrainingJobName=name)
    print(f"{name}: {job['TrainingJobStatus']} after {job['TrainingTimeInSeconds']} s")
    return str(job["ModelArtifacts"]["S3ModelArtifacts"])


def serve(name: str, role: str, model_data: str) -> None:
    """Make an endpoint and wait until it answers."""
    sagemaker = boto3.client("sagemaker")
    container = {"Image": IMAGE, "ModelDataUrl": model_data}
    sagemaker.create_model(ModelName=name, PrimaryContainer=container, ExecutionRoleArn=role)
    variant = {
        "VariantName": "AllTraffic",
        "ModelName": name,
        "InitialInstanceCount": 1,
        "InstanceType": "ml.m4.xlarge",
    }
    sagemaker.create_endpoint_config(EndpointConfigName=name, ProductionVariants=[variant])
    sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=name)
    sagemaker.get_waiter("endpoint_in_service").wait(EndpointName=name)


def clean_up(name: str) -> None:
    """Delete the endpoint, its configuration and its model."""
    sagemaker = boto3.client("sagemaker")
    sagemaker.delete_endpoint(EndpointName=name)
    sagemaker.get_waiter("endpoint_deleted").wait(EndpointName=name)
    sagemaker.delete_endpoint_config(EndpointConfigName=name)
    sagemaker.delete_model(ModelName=name)


def main() -> None:
    role, name = os.environ["SAGEMAKER_ROLE"], f"word2vec-{time.strftime('%Y-%m-%d-%H-%M-%S')}"
    account, region = boto3.client("sts").get_caller_identity()["Account"], boto3.Session().region_name
    bucket = os.environ.get("SAGEMAKER_BUCKET") or f"sagemaker-{region}-{account}"
    serve(name, role, train(name, role, upload(bucket), f"s3://{bucket}/word2vec-boto3/output"))
    try:
        answer = boto3.client("sagemaker-runtime").invoke_endpoint(
            EndpointName=name, ContentType="application/json", Body=json.dumps({"instances": ["instance", "bucket"]})
        )
        for found in json.load(answer["Body"]):
            print(f"{found['word']}: {len(found['vector'])} numbers")
    finally:
        clean_up(name)


if __name__ == "__main__":
    main()
