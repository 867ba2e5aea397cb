"""ListStackResources tells what a deleted stack has left, and makes nothing."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

TEMPLATE = {
    "Resources": {
        "Kept": {"Type": "AWS::S3::Bucket", "DeletionPolicy": "Retain", "Properties": {"BucketName": "kept-for-good"}},
        "Gone": {"Type": "AWS::S3::Bucket", "Properties": {"BucketName": "gone-with-its-stack"}},
    },
    "Outputs": {"Name": {"Value": {"Ref": "Gone"}}},
}


def test_what_a_deleted_stack_retained_is_told_and_what_went_is_not_made_again(aws: Callable[[str], Any]) -> None:
    cloudformation = aws("cloudformation")
    stack = cloudformation.create_stack(StackName="Leaving", TemplateBody=json.dumps(TEMPLATE))["StackId"]

    def told() -> dict[str, tuple[str, str, str]]:
        found = cloudformation.list_stack_resources(StackName=stack)["StackResourceSummaries"]
        return {
            one["LogicalResourceId"]: (one["ResourceType"], one["PhysicalResourceId"], one["ResourceStatus"])
            for one in found
        }

    assert told() == {
        "Kept": ("AWS::S3::Bucket", "kept-for-good", "CREATE_COMPLETE"),
        "Gone": ("AWS::S3::Bucket", "gone-with-its-stack", "CREATE_COMPLETE"),
    }
    cloudformation.delete_stack(StackName="Leaving")
    assert told()["Kept"] == ("AWS::S3::Bucket", "kept-for-good", "DELETE_SKIPPED")
    assert told()["Gone"][2] == "DELETE_COMPLETE"
    described = cloudformation.describe_stacks(StackName=stack)["Stacks"][0]
    assert (described["StackStatus"], described.get("Outputs", [])) == ("DELETE_COMPLETE", [])
    assert cloudformation.describe_stack_resources(StackName=stack)["StackResources"] == []
    buckets = {bucket["Name"] for bucket in aws("s3").list_buckets()["Buckets"]}
    assert buckets & {"kept-for-good", "gone-with-its-stack"} == {"kept-for-good"}
    deleted = cloudformation.list_stacks(StackStatusFilter=["DELETE_COMPLETE"])["StackSummaries"]
    assert "Leaving" in {one["StackName"] for one in deleted}
    aws("s3").delete_bucket(Bucket="kept-for-good")
