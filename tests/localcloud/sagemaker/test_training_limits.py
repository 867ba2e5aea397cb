"""Limits of CreateTrainingJob in the service's words; deleting, listing and updating jobs."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.localcloud.sagemaker.conftest import Account, new_name
from tests.localcloud.sagemaker.embedded import IMAGE


def refused(account: Account, operation: str, **request: Any) -> tuple[str, str]:
    """The code and the message with which an operation is refused."""
    with pytest.raises(ClientError) as caught:
        getattr(account.sagemaker, operation)(**request)
    error = caught.value.response["Error"]
    return error["Code"], error["Message"]


def metrics(*definitions: tuple[str, str]) -> dict[str, Any]:
    found = [{"Name": name, "Regex": regex} for name, regex in definitions]
    algorithm = {"TrainingImage": IMAGE, "TrainingInputMode": "File", "MetricDefinitions": found}
    return {"AlgorithmSpecification": algorithm}


def tags(*keys: str) -> dict[str, Any]:
    return {"Tags": [{"Key": key, "Value": "x"} for key in keys]}


def resources(**changes: Any) -> dict[str, Any]:
    return {"ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1, **changes}}


NUMBERS = [str(number) for number in range(101)]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"TrainingJobName": "a" * 64}, "Member must have length less than or equal to 63"),
        ({"TrainingJobName": "a_b"}, "must satisfy regular expression pattern: [a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}"),
        ({"RoleArn": "arn:aws:iam::1:role/x"}, "at 'roleArn' failed to satisfy constraint: Member must satisfy"),
        ({"HyperParameters": dict.fromkeys(NUMBERS, "1")}, "Member must have length less than or equal to 100"),
        ({"HyperParameters": {"a" * 257: "1"}}, "Member must have length less than or equal to 256"),
        ({"HyperParameters": {"a": "1" * 2501}}, "Member must have length less than or equal to 2500"),
        (metrics(*((number, "x") for number in NUMBERS[:41])), "Member must have length less than or equal to 40"),
        (metrics(("a" * 256, "x")), "Member must have length less than or equal to 255"),
        (metrics(("a", "x" * 501)), "Member must have length less than or equal to 500"),
        (metrics(("a", "")), "MetricDefinitions[0].Regex, value: 0, valid min length: 1"),
        (
            metrics(("rho", "a(.)"), ("rho", "b(.)")),
            "AlgorithmSpecification.MetricDefinitions names 'rho' 2 times; names must differ.",
        ),
        (tags(*NUMBERS[:51]), "Member must have length less than or equal to 50"),
        (tags("team", "team"), "Tags names 'team' 2 times; names must differ."),
        (resources(InstanceType="ml.z9.mini"), "Member must satisfy enum value set: [ml.m4.xlarge, "),
        (resources(VolumeSizeInGB=0), "ResourceConfig.VolumeSizeInGB=0 is out of range; it must be at least 1."),
        (
            {"ResourceConfig": {"InstanceGroups": [
                {"InstanceType": "ml.m5.large", "InstanceCount": 1, "InstanceGroupName": "one"}
            ]}},
            "ResourceConfig.InstanceGroups is not implemented by the embedded cloud.",
        ),
        ({"RetryStrategy": {"MaximumRetryAttempts": 31}}, "Member must have value less than or equal to 30"),
        ({"OutputDataConfig": {"S3OutputPath": "s3://a/b", "CompressionType": "ZIP"}}, "enum value set: [GZIP, NONE]"),
        ({"RemoteDebugConfig": {"EnableRemoteDebug": True}}, "RemoteDebugConfig is not implemented"),
    ],
)  # fmt: skip
def test_what_breaks_a_limit_is_refused_in_the_services_words(
    account: Account, changes: dict[str, Any], words: str
) -> None:
    request = account.training_request(**changes)
    code, message = refused(account, "create_training_job", **request)
    assert (code, words in message) == ("ValidationException", True), message


def test_what_is_just_within_the_limits_runs(account: Account) -> None:
    parameters = {f"{number:0>256}": "" for number in NUMBERS[1:]} | {"0" * 255 + "1": "x" * 2500}
    job = account.train(
        HyperParameters=parameters,
        **metrics(*(("m" * 200 + number, "x" * 500) for number in NUMBERS[:40])),
        **tags(*NUMBERS[:50]),
    )
    assert job["TrainingJobStatus"] == "Completed"
    assert account.reports(job)["algo-1"]["config"]["hyperparameters"] == parameters


def test_more_hosts_than_the_quota_allows_are_refused(account: Account) -> None:
    code, message = refused(account, "create_training_job", **account.training_request(hosts=21))
    assert code == "ResourceLimitExceeded"
    assert "is 20 Instances, with current utilization of 0 Instances and a request delta of 21 Instances." in message


def test_a_job_has_at_most_50_tags(account: Account) -> None:
    arn = account.train(**tags(*NUMBERS[:49]))["TrainingJobArn"]
    _, message = refused(account, "add_tags", ResourceArn=arn, **tags("50", "51"))
    assert "51 tags" in message
    assert len(account.sagemaker.list_tags(ResourceArn=arn)["Tags"]) == 49
    account.sagemaker.add_tags(ResourceArn=arn, **tags("0", "50"))
    assert len(account.sagemaker.list_tags(ResourceArn=arn)["Tags"]) == 50


def test_a_job_that_has_ended_can_be_deleted_and_its_name_used_again(account: Account) -> None:
    name = account.begin(HyperParameters={"wait": "politely"})
    account.job(name, "Training")
    code, message = refused(account, "delete_training_job", TrainingJobName=name)
    assert code == "ResourceInUse"
    assert message.startswith(f"Cannot delete training job {name} in status InProgress")
    account.sagemaker.stop_training_job(TrainingJobName=name)
    account.job(name)
    account.sagemaker.delete_training_job(TrainingJobName=name)
    for operation in ("describe_training_job", "stop_training_job", "delete_training_job"):
        assert refused(account, operation, TrainingJobName=name)[1] == "Requested resource not found."
    assert name not in account.cloud.store.all("sagemaker/training-job")
    assert account.train(TrainingJobName=name)["TrainingJobStatus"] == "Completed"


def test_jobs_are_listed_by_every_filter(account: Account) -> None:
    prefix = new_name("filtered")
    first = account.train(TrainingJobName=f"{prefix}-a")
    second = account.train(TrainingJobName=f"{prefix}-b", HyperParameters={"exit": "1"})
    third = account.train(TrainingJobName=f"{prefix}-c")

    def names(**filters: Any) -> str:
        found: list[str] = []
        token: dict[str, str] = {}
        while True:
            page = account.sagemaker.list_training_jobs(NameContains=prefix, MaxResults=1, **filters, **token)
            found += [summary["TrainingJobName"][-1] for summary in page["TrainingJobSummaries"]]
            if "NextToken" not in page:
                return "".join(found)
            token = {"NextToken": page["NextToken"]}

    assert names(SortBy="Status", SortOrder="Ascending") == "acb"
    assert names(SortBy="Status", SortOrder="Descending") == "bca"
    assert names(SortBy="Name", SortOrder="Descending") == "cba"
    assert names(StatusEquals="Completed") == "ac"
    assert names(StatusEquals="Stopped") == ""
    assert names(LastModifiedTimeBefore=third["CreationTime"]) == "ab"
    assert names(LastModifiedTimeAfter=second["CreationTime"]) == "bc"
    assert names(CreationTimeAfter=first["LastModifiedTime"], CreationTimeBefore=third["CreationTime"]) == "b"
    assert names(CreationTimeAfter=third["LastModifiedTime"]) == ""


@pytest.mark.parametrize(
    ("operation", "request_", "words"),
    [
        ("list_training_jobs", {"WarmPoolStatusEquals": "InUse"}, "WarmPoolStatusEquals is not implemented"),
        (
            "list_training_jobs",
            {"TrainingPlanArnEquals": "arn:aws:sagemaker:us-east-1:123456789012:training-plan/x"},
            "TrainingPlanArnEquals is not implemented",
        ),
        ("list_training_jobs", {"NextToken": "made up"}, "NextToken is not one that this operation gave."),
        ("list_training_jobs", {"MaxResults": 101}, "Member must have value less than or equal to 100"),
        ("update_training_job", {"TrainingJobName": "a"}, "UpdateTrainingJob is not implemented"),
    ],
)
def test_what_has_no_meaning_here_is_refused_by_name(
    account: Account, operation: str, request_: dict[str, Any], words: str
) -> None:
    code, message = refused(account, operation, **request_)
    assert (code, words in message) == ("ValidationException", True), message
