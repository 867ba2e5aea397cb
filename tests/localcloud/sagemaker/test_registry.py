"""The model registry: versions that count up, their approval, models made of them, and what a restart leaves."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.localcloud.sagemaker.conftest import Account, new_name, until
from tests.localcloud.sagemaker.embedded import IMAGE
from tests.localcloud.sagemaker.test_endpoints import model_archive
from tests.localcloud.sagemaker.test_killed_server import embedded


def specification(data: str | None = None, **environment: str) -> dict[str, Any]:
    container: dict[str, Any] = {"Image": IMAGE, "Environment": environment}
    if data:
        container["ModelDataUrl"] = data
    return {
        "Containers": [container],
        "SupportedContentTypes": ["text/plain"],
        "SupportedResponseMIMETypes": ["text/plain"],
    }


def make_group(account: Account) -> str:
    name = new_name("Group")
    account.sagemaker.create_model_package_group(ModelPackageGroupName=name)
    return name


def register(account: Account, group: str, **more: Any) -> str:
    request = {"InferenceSpecification": specification(), "ModelPackageGroupName": group, **more}
    return str(account.sagemaker.create_model_package(**request)["ModelPackageArn"])


def describe(account: Account, arn: str) -> dict[str, Any]:
    return dict(account.sagemaker.describe_model_package(ModelPackageName=arn))


def refusal(call: Any, **request: Any) -> tuple[str, str]:
    with pytest.raises(ClientError) as caught:
        call(**request)
    error = caught.value.response["Error"]
    return error["Code"], error["Message"]


def test_versions_of_a_group_count_up_and_are_never_used_again(account: Account) -> None:
    group = make_group(account)
    first, second = register(account, group), register(account, group)
    assert first.endswith(f":model-package/{group.lower()}/1")
    assert second.endswith(f":model-package/{group.lower()}/2")
    account.sagemaker.delete_model_package(ModelPackageName=second)
    assert refusal(account.sagemaker.describe_model_package, ModelPackageName=second) == (
        "ValidationException",
        f"ModelPackage {second} does not exist.",
    )
    third = register(account, group)
    assert third.endswith("/3")
    shown = describe(account, third)
    assert (shown["ModelPackageGroupName"], shown["ModelPackageVersion"]) == (group, 3)
    assert shown["ModelPackageStatus"] == "Completed"
    assert shown["ModelApprovalStatus"] == "PendingManualApproval"


def test_a_package_is_described_as_it_was_registered(account: Account) -> None:
    told = {
        "ModelPackageDescription": "word vectors",
        "ModelMetrics": {
            "ModelQuality": {
                "Statistics": {"ContentType": "application/json", "S3Uri": "s3://kindling-tests/eval.json"}
            }
        },
        "MetadataProperties": {"CommitId": "abc"},
        "CustomerMetadataProperties": {"corpus": "text8"},
        "Domain": "NATURAL_LANGUAGE_PROCESSING",
        "Task": "FILL_MASK",
    }
    shown = describe(account, register(account, make_group(account), **told))
    assert {name: shown[name] for name in told} == told
    assert shown["InferenceSpecification"] == specification()


def test_a_group_with_packages_is_not_deleted(account: Account) -> None:
    group = make_group(account)
    arn = register(account, group)
    code, message = refusal(account.sagemaker.delete_model_package_group, ModelPackageGroupName=group)
    assert code == "ConflictException"
    assert "while it has model packages" in message
    account.sagemaker.delete_model_package(ModelPackageName=arn)
    account.sagemaker.delete_model_package_group(ModelPackageGroupName=group)
    _, message = refusal(account.sagemaker.describe_model_package_group, ModelPackageGroupName=group)
    assert message.endswith(f":model-package-group/{group.lower()} does not exist.")


def test_groups_are_made_once_found_by_arn_and_listed(account: Account) -> None:
    group = make_group(account)
    _, message = refusal(account.sagemaker.create_model_package_group, ModelPackageGroupName=group)
    assert message.startswith("Model Package Group already exists: arn:aws:sagemaker:us-east-1:")
    arn = account.sagemaker.describe_model_package_group(ModelPackageGroupName=group)["ModelPackageGroupArn"]
    by_arn = account.sagemaker.describe_model_package_group(ModelPackageGroupName=arn)
    assert (by_arn["ModelPackageGroupName"], by_arn["ModelPackageGroupStatus"]) == (group, "Completed")
    listed = account.sagemaker.list_model_package_groups(NameContains=group)["ModelPackageGroupSummaryList"]
    assert [one["ModelPackageGroupArn"] for one in listed] == [arn]


def test_a_groups_policy_is_kept_and_removed(account: Account) -> None:
    group = make_group(account)
    policy = json.dumps({"Version": "2012-10-17", "Statement": []})
    for call in (account.sagemaker.get_model_package_group_policy, account.sagemaker.delete_model_package_group_policy):
        assert "Cannot find resource policy" in refusal(call, ModelPackageGroupName=group)[1]
    account.sagemaker.put_model_package_group_policy(ModelPackageGroupName=group, ResourcePolicy=policy)
    assert account.sagemaker.get_model_package_group_policy(ModelPackageGroupName=group)["ResourcePolicy"] == policy
    account.sagemaker.delete_model_package_group_policy(ModelPackageGroupName=group)
    _, message = refusal(
        account.sagemaker.put_model_package_group_policy, ModelPackageGroupName=group, ResourcePolicy="{"
    )
    assert message.startswith("ResourcePolicy is not JSON")


def test_an_update_changes_what_it_names_and_nothing_else(account: Account) -> None:
    arn = register(account, make_group(account), CustomerMetadataProperties={"corpus": "text8", "by": "me"})
    account.sagemaker.update_model_package(
        ModelPackageArn=arn,
        ModelApprovalStatus="Rejected",
        ApprovalDescription="rho is too low",
        CustomerMetadataProperties={"rho": "0.6"},
        CustomerMetadataPropertiesToRemove=["by"],
        AdditionalInferenceSpecificationsToAdd=[{"Name": "louder", "Containers": specification()["Containers"]}],
    )
    shown = describe(account, arn)
    assert shown["ModelApprovalStatus"] == "Rejected"
    assert shown["ApprovalDescription"] == "rho is too low"
    assert shown["CustomerMetadataProperties"] == {"corpus": "text8", "rho": "0.6"}
    assert [one["Name"] for one in shown["AdditionalInferenceSpecifications"]] == ["louder"]
    assert shown["InferenceSpecification"] == specification()
    assert shown["LastModifiedTime"] > shown["CreationTime"]


def test_packages_are_listed_by_group_type_and_approval(account: Account) -> None:
    group = make_group(account)
    arns = [register(account, group, ModelApprovalStatus=status) for status in ("Approved", "Rejected", "Approved")]
    name = new_name("package")
    account.sagemaker.create_model_package(ModelPackageName=name, InferenceSpecification=specification())

    def listed(**filters: Any) -> list[str]:
        found = account.sagemaker.list_model_packages(**filters)["ModelPackageSummaryList"]
        return [one["ModelPackageArn"] for one in found]

    assert listed(ModelPackageGroupName=group) == arns
    assert listed(ModelPackageGroupName=group, ModelApprovalStatus="Approved", SortOrder="Descending") == [
        arns[2],
        arns[0],
    ]
    assert listed(NameContains=name) == [f"arn:aws:sagemaker:us-east-1:123456789012:model-package/{name}"]
    assert set(arns) <= set(listed(ModelPackageType="Both", NameContains=group))
    assert listed(ModelPackageType="Versioned", NameContains=name) == []
    pages = account.sagemaker.get_paginator("list_model_packages").paginate(
        ModelPackageGroupName=group, PaginationConfig={"PageSize": 2}
    )
    assert [one["ModelPackageArn"] for found in pages for one in found["ModelPackageSummaryList"]] == arns


def test_several_packages_are_described_at_once_and_the_missing_ones_named(account: Account) -> None:
    arn = register(account, make_group(account))
    missing = arn.replace("/1", "/9")
    answer = account.sagemaker.batch_describe_model_package(ModelPackageArnList=[arn, missing])
    assert answer["ModelPackageSummaries"][arn]["InferenceSpecification"] == specification()
    assert answer["BatchDescribeModelPackageErrorMap"] == {
        missing: {"ErrorCode": "ValidationException", "ErrorResponse": f"ModelPackage {missing} does not exist."}
    }


def test_only_an_approved_version_is_served_with_the_packages_image_data_and_environment(account: Account) -> None:
    data = account.put("registry/model.tar.gz", model_archive(vectors=b"1 2 3"))
    group = make_group(account)
    given = specification(data, GREETING="hello", OTHER="kept")
    arn = register(account, group, InferenceSpecification=given)
    request = {
        "ModelName": new_name("model"),
        "ExecutionRoleArn": account.role,
        "Containers": [{"ModelPackageName": arn, "Environment": {"GREETING": "good day"}}],
    }
    code, message = refusal(account.sagemaker.create_model, **request)
    assert code == "ValidationException"
    assert message.endswith("its ModelApprovalStatus is PendingManualApproval; it must be Approved.")

    account.sagemaker.update_model_package(ModelPackageArn=arn, ModelApprovalStatus="Approved")
    account.sagemaker.create_model(**request)
    account.sagemaker.delete_model_package(ModelPackageName=arn)
    container = account.sagemaker.describe_model(ModelName=request["ModelName"])["Containers"][0]
    assert container["ModelPackageName"] == arn
    assert container["Environment"] == {"GREETING": "good day", "OTHER": "kept"}

    endpoint = new_name("endpoint")
    config = account.endpoint_config(str(request["ModelName"]))
    account.sagemaker.create_endpoint(EndpointName=endpoint, EndpointConfigName=config)
    assert account.endpoint(endpoint)["EndpointStatus"] == "InService"
    answer = account.ask(endpoint)
    assert (answer["greeting"], answer["model"]) == ("good day", ["vectors"])
    account.sagemaker.delete_endpoint(EndpointName=endpoint)


def test_a_package_of_its_own_name_needs_no_approval_and_has_tags(account: Account) -> None:
    name = new_name("package")
    request = {
        "ModelPackageName": name,
        "InferenceSpecification": specification(),
        "Tags": [{"Key": "a", "Value": "b"}],
    }
    arn = account.sagemaker.create_model_package(**request)["ModelPackageArn"]
    assert account.sagemaker.list_tags(ResourceArn=arn)["Tags"] == [{"Key": "a", "Value": "b"}]
    assert "ModelApprovalStatus" not in describe(account, name)
    louder = {"Name": "louder", "Containers": specification(GREETING="HELLO")["Containers"]}
    account.sagemaker.update_model_package(ModelPackageArn=arn, AdditionalInferenceSpecificationsToAdd=[louder])
    container = {"ModelPackageName": arn, "InferenceSpecificationName": "louder"}
    model = new_name("model")
    account.sagemaker.create_model(ModelName=model, ExecutionRoleArn=account.role, PrimaryContainer=container)
    made = account.sagemaker.describe_model(ModelName=model)["PrimaryContainer"]
    assert (made["Image"], made["Environment"]) == (IMAGE, {"GREETING": "HELLO"})


def test_the_same_client_token_registers_once(account: Account) -> None:
    group = make_group(account)
    assert register(account, group, ClientToken="t" * 36) == register(account, group, ClientToken="t" * 36)
    assert register(account, group, ClientToken="u" * 36).endswith("/2")


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        ({"ModelPackageName": "a", "ModelPackageGroupName": "b"}, "Both ModelPackageName and ModelPackageGroupName"),
        ({}, "Missing ARN."),
        ({"ModelPackageGroupName": "nowhere"}, "model-package-group/nowhere does not exist."),
        ({"ModelPackageName": "a", "ModelApprovalStatus": "Approved"}, "ModelApprovalStatus must be given with"),
        ({"ModelPackageName": "a", "InferenceSpecification": None}, "InferenceSpecification is required."),
        (
            {"ModelPackageName": "a", "InferenceSpecification": specification("s3://kindling-tests/none.tar.gz")},
            "Could not find model data at s3://kindling-tests/none.tar.gz.",
        ),
        (
            {"ModelPackageName": "a", "InferenceSpecification": {"Containers": [{"Image": "nowhere:1"}]}},
            "image nowhere:1",
        ),
        (
            {"ModelPackageName": "a", "SourceAlgorithmSpecification": {"SourceAlgorithms": [{"AlgorithmName": "x"}]}},
            "SourceAlgorithmSpecification is not implemented by the embedded cloud.",
        ),
        (
            {"ModelPackageName": "a", "CertifyForMarketplace": True},
            "CertifyForMarketplace is not implemented by the embedded cloud.",
        ),
    ],
)
def test_a_package_that_cannot_be_is_refused_in_words(account: Account, request_: dict[str, Any], message: str) -> None:
    request = {"InferenceSpecification": specification(), **request_}
    wanted = {name: value for name, value in request.items() if value is not None}
    code, found = refusal(account.sagemaker.create_model_package, **wanted)
    assert code == "ValidationException"
    assert message in found
    assert "does not exist" in refusal(account.sagemaker.describe_model_package, ModelPackageName="a")[1]


def test_an_approval_is_announced_on_the_event_bus(account: Account) -> None:
    events, queues = account.client("events"), account.client("sqs")
    url = queues.create_queue(QueueName="approvals")["QueueUrl"]
    arn = queues.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    pattern = {"detail-type": ["SageMaker Model Package State Change"], "detail": {"ModelApprovalStatus": ["Approved"]}}
    events.put_rule(Name="approvals", EventPattern=json.dumps(pattern))
    events.put_targets(Rule="approvals", Targets=[{"Id": "queue", "Arn": arn}])
    package = register(account, make_group(account))
    account.sagemaker.update_model_package(ModelPackageArn=package, ModelApprovalStatus="Approved")
    messages = until(lambda: queues.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages"))
    events.remove_targets(Rule="approvals", Ids=["queue"])
    [event] = [json.loads(message["Body"]) for message in messages]
    assert event["source"] == "aws.sagemaker"
    assert event["resources"] == [package]
    assert event["detail"]["ModelPackageArn"] == package
    assert event["detail"]["UpdatedModelPackageFields"] == ["ModelApprovalStatus"]


def test_the_registry_outlives_a_killed_cloud(tmp_path: Path) -> None:
    with embedded(tmp_path) as (server, account):
        group = make_group(account)
        arn = register(account, group, CustomerMetadataProperties={"corpus": "text8"})
        account.sagemaker.update_model_package(ModelPackageArn=arn, ModelApprovalStatus="Approved")
        gone = register(account, group)
        account.sagemaker.delete_model_package(ModelPackageName=gone)
        before = describe(account, arn)
        server.kill()
        server.wait()
    with embedded(tmp_path) as (_, account):
        after = describe(account, arn)
        for description in (before, after):
            del description["ResponseMetadata"]
        assert after == before
        assert register(account, group).endswith("/3")
