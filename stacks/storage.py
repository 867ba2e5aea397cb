"""Where data and models lie."""

from __future__ import annotations

import aws_cdk as cdk
from constructs import Construct

from stacks.base import HouseStack
from stacks.constructs.buckets import Buckets
from stacks.settings import Settings


class StorageStack(HouseStack):
    """The buckets and their key."""

    def __init__(self, scope: Construct, id: str, *, settings: Settings) -> None:
        super().__init__(
            scope,
            id,
            settings=settings,
            description="Kindling: buckets for data, models and access logs, and their key",
        )
        self.buckets = Buckets(self, "Buckets", settings)
        cdk.CfnOutput(self, "DataBucketName", value=self.buckets.data.bucket_name)
        cdk.CfnOutput(self, "ModelBucketName", value=self.buckets.models.bucket_name)
        cdk.CfnOutput(self, "KeyArn", value=self.buckets.key.key_arn)
