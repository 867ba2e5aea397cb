"""What a job leaves in S3 without compression, and an endpoint that serves it as it lies there."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.localcloud.sagemaker.conftest import Account, new_name
from tests.localcloud.sagemaker.embedded import IMAGE


def uncompressed(account: Account) -> dict[str, str]:
    return {"S3OutputPath": f"s3://{account.bucket}/models", "CompressionType": "NONE"}


def files(account: Account, address: str) -> dict[str, bytes]:
    """The objects whose keys begin with an address, by what follows."""
    bucket, _, prefix = address.removeprefix("s3://").partition("/")
    listed = account.s3.list_objects_v2(Bucket=bucket, Prefix=prefix).get("Contents", [])
    return {
        entry["Key"].removeprefix(prefix): account.s3.get_object(Bucket=bucket, Key=entry["Key"])["Body"].read()
        for entry in listed
    }


def create_model(account: Account, address: str, kind: str = "S3Prefix", compression: str = "None") -> str:
    name = new_name("model")
    source = {"S3Uri": address, "S3DataType": kind, "CompressionType": compression}
    container = {"Image": IMAGE, "ModelDataSource": {"S3DataSource": source}}
    account.sagemaker.create_model(ModelName=name, PrimaryContainer=container, ExecutionRoleArn=account.role)
    return name


def test_without_compression_the_hosts_files_lie_side_by_side(account: Account) -> None:
    asked = {"output": "scores", "output_folder": "evaluation"}
    job = account.train(hosts=2, OutputDataConfig=uncompressed(account), HyperParameters=asked)
    place = f"s3://{account.bucket}/models/{job['TrainingJobName']}/output"
    assert job["ModelArtifacts"]["S3ModelArtifacts"] == f"{place}/model"
    found = files(account, f"{place}/")
    assert set(found) == {
        "model/algo-1.json",
        "model/algo-2.json",
        "data/evaluation/algo-1.txt",
        "data/evaluation/algo-2.txt",
    }
    assert found["data/evaluation/algo-2.txt"] == b"scores"
    assert job["OutputDataConfig"]["CompressionType"] == "NONE"


def test_such_a_model_is_served_as_it_lies_there(account: Account) -> None:
    job = account.train(OutputDataConfig=uncompressed(account))
    config = account.endpoint_config(create_model(account, job["ModelArtifacts"]["S3ModelArtifacts"] + "/"))
    name = new_name("endpoint")
    account.sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=config)
    described = account.endpoint(name)
    assert described["EndpointStatus"] == "InService", described["FailureReason"]
    assert account.ask(name)["model"] == ["algo-1.json"]
    account.sagemaker.delete_endpoint(EndpointName=name)


@pytest.mark.parametrize(
    ("source", "words"),
    [
        (("models/a/", "S3Prefix", "Gzip"), "S3DataType=S3Prefix with CompressionType=Gzip is not implemented"),
        (("models/a", "S3Object", "None"), "S3DataType=S3Object with CompressionType=None is not implemented"),
        (("models/a", "S3Prefix", "None"), "must end with a slash when S3DataType is S3Prefix."),
        (("no-such-model/", "S3Prefix", "None"), "Could not find model data at s3://kindling-tests/no-such-model/."),
    ],
)
def test_model_data_that_cannot_be_served_is_refused(account: Account, source: Any, words: str) -> None:
    key, kind, compression = source
    with pytest.raises(ClientError) as caught:
        create_model(account, f"s3://{account.bucket}/{key}", kind, compression)
    assert caught.value.response["Error"]["Code"] == "ValidationException"
    assert words in caught.value.response["Error"]["Message"]
