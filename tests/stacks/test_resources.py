"""What the stacks of storage, registry, images, notifications and hosting promise."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from containers import catalogue
from kindling.localcloud.policy_evaluation import Request, decide
from kindling.policy_documents import Documents
from tests.stacks.policies import policies
from tests.stacks.synthesis import Assembly


@pytest.fixture(scope="module")
def buckets(assembly: Assembly) -> list[dict[str, Any]]:
    return [bucket["Properties"] for bucket in assembly.resources("AWS::S3::Bucket")]


def _without_tls(assembly: Assembly, resource: str) -> bool:
    """Whether a request without TLS is denied."""
    return any(
        statement["Effect"] == "Deny"
        and statement["Principal"] in ("*", {"AWS": "*"})
        and statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
        for policy in policies(assembly)
        if policy.resource == resource
        for statement in policy.document["Statement"]
    )


def test_no_bucket_can_become_public_or_lose_an_overwritten_object(buckets: list[dict[str, Any]]) -> None:
    assert len(buckets) == 3
    for bucket in buckets:
        assert all(bucket["PublicAccessBlockConfiguration"].values())
        assert len(bucket["PublicAccessBlockConfiguration"]) == 4
        assert bucket["VersioningConfiguration"] == {"Status": "Enabled"}
        assert bucket["OwnershipControls"] == {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]}


def test_old_versions_and_abandoned_uploads_do_not_pile_up(buckets: list[dict[str, Any]]) -> None:
    for bucket in buckets:
        (rule,) = bucket["LifecycleConfiguration"]["Rules"]
        assert rule["NoncurrentVersionExpiration"] == {"NoncurrentDays": 30}
        assert rule["AbortIncompleteMultipartUpload"] == {"DaysAfterInitiation": 7}


def test_data_and_models_are_encrypted_with_the_key_of_the_account_and_their_access_is_logged(
    buckets: list[dict[str, Any]],
) -> None:
    logged = [bucket for bucket in buckets if "LoggingConfiguration" in bucket]
    assert [bucket["LoggingConfiguration"]["LogFilePrefix"] for bucket in logged] == ["data/", "models/"]
    for bucket in logged:
        (encryption,) = bucket["BucketEncryption"]["ServerSideEncryptionConfiguration"]
        assert encryption["ServerSideEncryptionByDefault"]["SSEAlgorithm"] == "aws:kms"
        assert "Fn::GetAtt" in encryption["ServerSideEncryptionByDefault"]["KMSMasterKeyID"]


def test_access_logs_are_encrypted_by_s3_because_the_log_service_cannot_use_a_key(
    buckets: list[dict[str, Any]],
) -> None:
    (logs,) = [bucket for bucket in buckets if "LoggingConfiguration" not in bucket]
    (encryption,) = logs["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    assert encryption["ServerSideEncryptionByDefault"] == {"SSEAlgorithm": "AES256"}


@pytest.mark.parametrize(
    "resource",
    [
        "KindlingStorage/Buckets/Data/Policy/Resource",
        "KindlingStorage/Buckets/Models/Policy/Resource",
        "KindlingStorage/Buckets/AccessLogs/Policy/Resource",
        "KindlingNotifications/Topic/Policy/Resource",
    ],
)
def test_requests_without_tls_are_denied(resource: str, assembly: Assembly) -> None:
    assert _without_tls(assembly, resource)


def test_the_key_is_rotated(assembly: Assembly) -> None:
    for key in assembly.resources("AWS::KMS::Key"):
        assert key["Properties"]["EnableKeyRotation"] is True


def test_the_log_service_may_use_the_key_for_every_log_group_that_names_it_and_for_no_other(
    assembly: Assembly,
) -> None:
    documents = Documents(assembly.templates, naming=_as_cloudformation_names)
    keys = {policy.resource: policy.document for policy in documents.policies() if policy.property == "KeyPolicy"}
    paths = {arn: f"{path}/Resource" for path, arn in documents.arns().items()}
    groups = [
        (stack, logical_id, resource["Properties"])
        for stack, template in assembly.templates.items()
        for logical_id, resource in template["Resources"].items()
        if resource["Type"] == "AWS::Logs::LogGroup"
    ]
    assert groups
    for stack, logical_id, properties in groups:
        resolver = documents.resolver(stack)
        policy = keys[paths[resolver.resolve(properties["KmsKeyId"])]]
        own = resolver.arn(logical_id).removesuffix(":*")
        of_others = own.replace(":log-group:Kindling", ":log-group:Payroll")
        assert [_logs_may_encrypt(policy, group) for group in (own, of_others)] == [True, False], own


def _as_cloudformation_names(stack: str, logical_id: str, _resource: Mapping[str, Any]) -> str:
    return f"{stack}-{logical_id}-1A2B3C4D5E6F"


def _logs_may_encrypt(key_policy: dict[str, Any], group: str) -> bool:
    statements = [
        one
        for one in key_policy["Statement"]
        if one["Principal"] == {"Service": "logs.eu-west-1.amazonaws.com"} and one["Effect"] == "Allow"
    ]
    context = {"kms:EncryptionContext:aws:logs:arn": [group]}
    resource = statements[0]["Resource"]
    return all(
        decide([{"Statement": statements}], Request(f"kms:{operation}", resource, context)) == "allowed"
        for operation in ("Encrypt", "Decrypt", "ReEncryptFrom", "ReEncryptTo", "GenerateDataKey")
    )


def test_notifications_are_encrypted_and_no_one_is_subscribed_unasked(assembly: Assembly) -> None:
    (topic,) = assembly.resources("AWS::SNS::Topic")
    assert "Fn::ImportValue" in topic["Properties"]["KmsMasterKeyId"]
    assert not list(assembly.resources("AWS::SNS::Subscription"))


def test_images_are_scanned_and_their_tags_never_move(assembly: Assembly) -> None:
    (repository,) = assembly.resources("AWS::ECR::Repository")
    properties = repository["Properties"]
    assert properties["ImageScanningConfiguration"] == {"ScanOnPush": True}
    assert properties["ImageTagMutability"] == "IMMUTABLE"
    assert '"countNumber":50' in properties["LifecyclePolicy"]["LifecyclePolicyText"]


def test_only_the_publisher_of_cdk_bootstrap_may_send_images(assembly: Assembly) -> None:
    (policy,) = [policy for policy in policies(assembly) if policy.property == "RepositoryPolicyText"]
    (statement,) = policy.document["Statement"]
    publisher = "arn:aws:iam::123456789012:role/cdk-hnb659fds-image-publishing-role-123456789012-eu-west-1"
    assert statement["Principal"] == {"AWS": publisher}


def test_every_algorithm_of_the_catalogue_has_an_image_and_says_where(assembly: Assembly) -> None:
    parameters = {
        parameter["Properties"]["Name"]: parameter["Properties"]["Value"]["Fn::Sub"]
        for parameter in assembly.resources("AWS::SSM::Parameter", "KindlingImages")
    }
    assert set(parameters) == {f"/kindling/images/{name}" for name in catalogue.algorithms()}
    for uri in parameters.values():
        assert "/kindling-algorithms:" in uri


def test_a_served_model_may_only_fetch_itself_and_tell_how_it_does(assembly: Assembly) -> None:
    allowed = {
        (action, resource)
        for policy in policies(assembly)
        if policy.resource == "KindlingHosting/Hosting/Role/Resource" and policy.property.startswith("Policies")
        for statement in policy.document["Statement"]
        for action in _many(statement["Action"])
        for resource in _many(statement["Resource"])
    }
    assert not any(":Put" in action or ":Delete" in action for action, _ in allowed if action.startswith("s3:"))
    assert {action for action, resource in allowed if resource == "*"} == {
        "ecr:GetAuthorizationToken",
        "cloudwatch:PutMetricData",
    }
    assert {resource.partition("/")[2] for action, resource in allowed if action == "s3:GetObject"} == {
        "*/output/model.tar.gz"
    }


def _many(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value
