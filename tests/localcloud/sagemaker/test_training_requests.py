"""CreateTrainingJob and its kin: what is refused, and in which words; lists and tags."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

from kindling.localcloud.sagemaker.validation import pattern, service_model
from tests.localcloud.sagemaker.conftest import Account, new_name
from tests.localcloud.sagemaker.embedded import IMAGE


def refusal(account: Account, code: str = "ValidationException", **changes: Any) -> str:
    request = {name: value for name, value in account.training_request(**changes).items() if value is not None}
    with pytest.raises(ClientError) as caught:
        account.sagemaker.create_training_job(**request)
    assert caught.value.response["Error"]["Code"] == code
    return str(caught.value.response["Error"]["Message"])


def resources(**changes: Any) -> dict[str, Any]:
    return {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 10, **changes}


def channel(**changes: Any) -> dict[str, Any]:
    source = {"S3DataType": "S3Prefix", "S3Uri": "s3://bucket/prefix"}
    return {"ChannelName": "train", "DataSource": {"S3DataSource": source}, **changes}


def manifest(names: list[str] | None = None, **changes: Any) -> dict[str, Any]:
    source = {
        "S3DataType": "AugmentedManifestFile",
        "S3Uri": "s3://bucket/train.manifest",
        "AttributeNames": ["source", "label"] if names is None else names,
    }
    return channel(
        DataSource={"S3DataSource": source}, **{"InputMode": "Pipe", "RecordWrapperType": "RecordIO", **changes}
    )


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"TrainingJobName": "not a name"}, "at 'trainingJobName' failed to satisfy constraint"),
        ({"TrainingJobName": 7}, "TrainingJobName"),
        ({"OutputDataConfig": None}, 'Missing required parameter in input: "OutputDataConfig"'),
        ({"RoleArn": "the administrator's role"}, "at 'roleArn' failed to satisfy constraint"),
        ({"RoleArn": "arn:aws:iam::123456789012:role/nobody"}, "Could not assume role"),
        ({"AlgorithmSpecification": None}, "AlgorithmSpecification.TrainingImage is required"),
        (
            {"AlgorithmSpecification": {"TrainingImage": "nowhere/nothing:1", "TrainingInputMode": "File"}},
            "image nowhere/nothing:1 was not published to this embedded cloud",
        ),
        (
            {
                "AlgorithmSpecification": {
                    "TrainingImage": IMAGE,
                    "TrainingInputMode": "File",
                    "MetricDefinitions": [{"Name": "rho", "Regex": "("}],
                }
            },
            "the regular expression '(' of metric rho is not valid",
        ),
        ({"ResourceConfig": resources(InstanceType="ml.z9.mini")}, "at 'resourceConfig.instanceType' failed"),
        ({"ResourceConfig": resources(InstanceCount=0)}, "ResourceConfig.InstanceCount=0 is out of range"),
        ({"ResourceConfig": {"InstanceType": "ml.m5.large"}}, "ResourceConfig.InstanceCount is required"),
        (
            {"ResourceConfig": resources(KeepAlivePeriodInSeconds=60)},
            "ResourceConfig.KeepAlivePeriodInSeconds is not implemented by the embedded cloud.",
        ),
        ({"StoppingCondition": {"MaxRuntimeInSeconds": 10**8}}, "MaxRuntimeInSeconds=100000000 is out of range"),
        ({"EnableManagedSpotTraining": True}, "MaxWaitTimeInSeconds must be at least MaxRuntimeInSeconds=600"),
        (
            {"CheckpointConfig": {"S3Uri": "s3://bucket/prefix", "LocalPath": "/tmp/mine"}},
            "CheckpointConfig.LocalPath=/tmp/mine is not implemented by the embedded cloud; use /opt/ml/checkpoints.",
        ),
        ({"CheckpointConfig": {"S3Uri": "https://example.com/prefix"}}, "CheckpointConfig.S3Uri: "),
        (
            {"InputDataConfig": [channel(RecordWrapperType="RecordIO")]},
            "InputDataConfig 'train': RecordWrapperType=RecordIO can only be used in Pipe mode",
        ),
        (
            {"InputDataConfig": [manifest(InputMode="File")]},
            "S3DataType=AugmentedManifestFile can only be used if the channel's input mode is Pipe.",
        ),
        ({"InputDataConfig": [manifest([])]}, "AttributeNames is required with S3DataType=AugmentedManifestFile"),
        ({"InputDataConfig": [manifest(["a"] * 17)]}, "Member must have length less than or equal to 16"),
        ({"InputDataConfig": [manifest(["source", "source"])]}, "has a name twice; names must differ."),
        ({"InputDataConfig": [manifest(CompressionType="Gzip")]}, "CompressionType=Gzip is not implemented"),
        (
            {
                "InputDataConfig": [
                    channel(
                        DataSource={
                            "S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": "s3://a/b", "AttributeNames": ["x"]}
                        }
                    )
                ]
            },
            "AttributeNames can only be used with S3DataType=AugmentedManifestFile, but it is S3Prefix.",
        ),
        ({"InputDataConfig": [channel(ShuffleConfig={})]}, "Missing required parameter"),
        ({"InputDataConfig": [channel(), channel()]}, "names channel 'train' more than once"),
        (
            {
                "InputDataConfig": [
                    channel(DataSource={"S3DataSource": {"S3DataType": "Converse", "S3Uri": "s3://a/b"}})
                ]
            },
            "S3DataType=Converse is not implemented",
        ),
    ],
)
def test_a_request_that_cannot_be_met_is_refused_by_name(account: Account, changes: dict[str, Any], words: str) -> None:
    assert words in refusal(account, **changes)


def test_a_second_job_of_the_same_name_is_refused(account: Account) -> None:
    job = account.train()
    message = refusal(account, "ResourceInUse", TrainingJobName=job["TrainingJobName"])
    assert job["TrainingJobArn"] in message


def test_what_the_python_sdk_always_sends_is_accepted(account: Account) -> None:
    output = f"s3://{account.bucket}/models"
    job = account.train(
        DebugHookConfig={"S3OutputPath": output, "CollectionConfigurations": []},
        ProfilerConfig={"S3OutputPath": output, "DisableProfiler": False},
    )
    assert job["TrainingJobStatus"] == "Completed"


def test_an_unknown_job_is_not_found(account: Account) -> None:
    with pytest.raises(ClientError, match="Requested resource not found"):
        account.sagemaker.describe_training_job(TrainingJobName="no-such-job")


def test_jobs_are_listed_in_pages_by_name_status_and_time(account: Account) -> None:
    prefix = new_name("listed")
    jobs = [account.train(TrainingJobName=f"{prefix}-{letter}") for letter in "abc"]
    jobs.append(account.train(TrainingJobName=f"{prefix}-d", HyperParameters={"exit": "1"}))

    def names(**filters: Any) -> list[str]:
        pages = account.sagemaker.get_paginator("list_training_jobs").paginate(
            NameContains=prefix, PaginationConfig={"PageSize": 2}, **filters
        )
        return [job["TrainingJobName"][-1] for page in pages for job in page["TrainingJobSummaries"]]

    assert names(SortBy="Name") == ["a", "b", "c", "d"]
    assert names(SortBy="CreationTime", SortOrder="Descending") == ["d", "c", "b", "a"]
    assert names(StatusEquals="Failed") == ["d"]
    assert names(CreationTimeAfter=jobs[1]["CreationTime"]) in (["c", "d"], ["b", "c", "d"])
    assert names(CreationTimeBefore=jobs[0]["CreationTime"]) in ([], ["a"])


def test_tags_of_a_job_are_kept_changed_and_deleted(account: Account) -> None:
    job = account.train(Tags=[{"Key": "team", "Value": "text"}])
    arn = job["TrainingJobArn"]
    account.sagemaker.add_tags(ResourceArn=arn, Tags=[{"Key": "run", "Value": "7"}])
    account.sagemaker.delete_tags(ResourceArn=arn, TagKeys=["team"])
    assert account.sagemaker.list_tags(ResourceArn=arn)["Tags"] == [{"Key": "run", "Value": "7"}]


@pytest.mark.parametrize(
    ("operation", "request_"),
    [
        ("create_inference_component", {"InferenceComponentName": "x"}),
    ],
)
def test_what_would_only_be_pretended_is_refused(account: Account, operation: str, request_: dict[str, str]) -> None:
    with pytest.raises(ClientError, match="is not implemented by the embedded cloud") as caught:
        getattr(account.sagemaker, operation)(**request_)
    assert caught.value.response["Error"]["Code"] == "ValidationException"


def test_what_moto_does_well_is_still_motos(account: Account) -> None:
    made = account.sagemaker.create_experiment(ExperimentName="text")
    account.sagemaker.add_tags(ResourceArn=made["ExperimentArn"], Tags=[{"Key": "a", "Value": "b"}])
    assert account.sagemaker.describe_experiment(ExperimentName="text")["ExperimentArn"] == made["ExperimentArn"]
    assert account.sagemaker.list_tags(ResourceArn=made["ExperimentArn"])["Tags"] == [{"Key": "a", "Value": "b"}]


def test_every_pattern_of_the_services_model_is_understood() -> None:
    model = service_model()
    patterns = [
        shape.metadata["pattern"] for shape in map(model.shape_for, model.shape_names) if "pattern" in shape.metadata
    ]
    assert len(patterns) > 100
    for text in patterns:
        pattern(text)
