"""What holds data and so may outlive its stack: what is in it, what it costs, and how it is deleted.

Prices are those of us-east-1, to be taken as an order of magnitude.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

from botocore.exceptions import ClientError

from kindling.targets import Target
from kindling.teardown.gone import unless_gone
from kindling.teardown.made import pages_of

KEY_DAYS = 30  # until AWS deletes a key; until then it can be taken back, and costs nothing
BUCKET, KEY, REPOSITORY = "AWS::S3::Bucket", "AWS::KMS::Key", "AWS::ECR::Repository"
LOG_GROUP, MODEL_GROUP = "AWS::Logs::LogGroup", "AWS::SageMaker::ModelPackageGroup"
_COUNTED = 100_000  # versions of objects that are counted for the list
# Access logs come hours later; a bucket that something came into while it was emptied is emptied again.
_ROUNDS = 5


@dataclass(frozen=True, kw_only=True)
class DataKind:
    """A kind of resource. `look` gives what it holds and costs, in words, or None when it is not there."""

    title: str
    look: Callable[[Target, str], str | None]
    delete: Callable[[Target, str], object]
    empty: Callable[[Target, str], object] = lambda target, name: None  # noqa: ARG005  before its stack deletes it


def holds_objects(target: Target, bucket: str) -> bool:
    """Whether there is anything in a bucket."""
    with unless_gone():
        page = target.client("s3").list_object_versions(Bucket=bucket, MaxKeys=1)
        return bool(page.get("Versions") or page.get("DeleteMarkers"))
    return False


def _bucket(target: Target, name: str) -> str | None:
    with unless_gone():
        pages = target.client("s3").get_paginator("list_object_versions").paginate(Bucket=name)
        sizes = list(islice((one["Size"] for page in pages for one in page.get("Versions", ())), _COUNTED))
        least = "at least " if len(sizes) == _COUNTED else ""
        objects = f"{len(sizes):,} object{'' if len(sizes) == 1 else 's'}"
        return f"{least}{objects}, old versions included, {_size(sum(sizes))}: 0.023 USD a GB and month"
    return None


def _empty_bucket(target: Target, name: str) -> None:
    s3 = target.client("s3")
    with unless_gone():
        for upload in pages_of(s3, "list_multipart_uploads", "Uploads", Bucket=name):
            s3.abort_multipart_upload(Bucket=name, Key=upload["Key"], UploadId=upload["UploadId"])
        for page in s3.get_paginator("list_object_versions").paginate(Bucket=name):
            found = [*page.get("Versions", ()), *page.get("DeleteMarkers", ())]
            if found:
                versions = [{"Key": one["Key"], "VersionId": one["VersionId"]} for one in found]
                answer = s3.delete_objects(Bucket=name, Delete={"Objects": versions, "Quiet": True})
                if errors := answer.get("Errors"):
                    first = errors[0]
                    said = {"Code": first["Code"], "Message": f"{first['Key']}: {first['Message']}"}
                    raise ClientError({"Error": said}, "DeleteObjects")


def _delete_bucket(target: Target, name: str) -> None:
    for round_ in range(_ROUNDS):
        _empty_bucket(target, name)
        try:
            target.client("s3").delete_bucket(Bucket=name)
        except ClientError as error:
            if error.response["Error"]["Code"] != "BucketNotEmpty" or round_ == _ROUNDS - 1:
                raise
        else:
            return


def _key(target: Target, name: str) -> str | None:
    with unless_gone():
        state = target.client("kms").describe_key(KeyId=name)["KeyMetadata"]["KeyState"]
        if state not in ("PendingDeletion", "PendingReplicaDeletion"):
            return "1 USD a month, and 1 USD more after each of its first two yearly rotations"
    return None


def _repository(target: Target, name: str) -> str | None:
    with unless_gone():
        found = list(pages_of(target.client("ecr"), "describe_images", "imageDetails", repositoryName=name))
        size = sum(one.get("imageSizeInBytes") or 0 for one in found)
        return f"{len(found)} images, {_size(size)}: 0.10 USD a GB and month"
    return None


def _log_group(target: Target, name: str) -> str | None:
    logs = target.client("logs")
    for group in pages_of(logs, "describe_log_groups", "logGroups", logGroupNamePrefix=name):
        if group["logGroupName"] == name:
            days = group.get("retentionInDays")
            until = f"each event is deleted after {days} days" if days else "nothing is ever deleted by itself"
            return f"{_size(group.get('storedBytes', 0))}: 0.03 USD a GB and month; {until}"
    return None


def _packages(target: Target, group: str) -> list[str]:
    client = target.client("sagemaker")
    listed = pages_of(client, "list_model_packages", "ModelPackageSummaryList", ModelPackageGroupName=group)
    return [one["ModelPackageArn"] for one in listed]


def _model_group(target: Target, name: str) -> str | None:
    with unless_gone():
        group = name.rpartition("/")[2]
        target.client("sagemaker").describe_model_package_group(ModelPackageGroupName=group)
        return f"{len(_packages(target, group))} versions of models: nothing"
    return None


def _empty_model_group(target: Target, name: str) -> None:
    for arn in _packages(target, name.rpartition("/")[2]):
        with unless_gone():
            target.client("sagemaker").delete_model_package(ModelPackageName=arn)


def _delete_model_group(target: Target, name: str) -> None:
    _empty_model_group(target, name)
    target.client("sagemaker").delete_model_package_group(ModelPackageGroupName=name.rpartition("/")[2])


def _size(octets: int) -> str:
    """`0.3 MB`, `2.1 GB`."""
    return f"{octets / 1e9:.1f} GB" if octets >= 1e9 else f"{octets / 1e6:.1f} MB"


def _call(service: str, operation: str, key: str, **more: Any) -> Callable[[Target, str], object]:
    return lambda target, name: getattr(target.client(service), operation)(**{key: name}, **more)


# In the order of deletion: what is encrypted with a key goes before it.
DATA: Mapping[str, DataKind] = {
    MODEL_GROUP: DataKind(
        title="model package group", look=_model_group, delete=_delete_model_group, empty=_empty_model_group
    ),
    BUCKET: DataKind(title="bucket", look=_bucket, delete=_delete_bucket, empty=_empty_bucket),
    REPOSITORY: DataKind(
        title="image repository",
        look=_repository,
        delete=_call("ecr", "delete_repository", "repositoryName", force=True),
    ),
    LOG_GROUP: DataKind(title="log group", look=_log_group, delete=_call("logs", "delete_log_group", "logGroupName")),
    KEY: DataKind(
        title="key", look=_key, delete=_call("kms", "schedule_key_deletion", "KeyId", PendingWindowInDays=KEY_DAYS)
    ),
}
