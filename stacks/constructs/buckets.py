"""The buckets: data in, models out, and who read or wrote them."""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_kms as kms
from aws_cdk import aws_s3 as s3
from constructs import Construct

from stacks.acknowledgements import acknowledge
from stacks.base import removal_policy
from stacks.constructs.log_group import let_logs_use
from stacks.constructs.statements import service_encrypts
from stacks.settings import Settings

# An upload that has not finished in a week never will, and its parts are paid for.
_ABORT_UPLOADS_AFTER = cdk.Duration.days(7)


class Buckets(Construct):
    """Data, models and access logs: private, versioned, over TLS only, encrypted with a key of their own.

    `data` holds s3://<data>/<algorithm>/..., `models` s3://<models>/<algorithm>/<job>/output/model.tar.gz.
    """

    def __init__(self, scope: Construct, id: str, settings: Settings) -> None:
        super().__init__(scope, id)
        self._settings = settings
        self.key = kms.Key(
            self,
            "Key",
            description=f"{settings.name}: data, models, notifications and logs",
            enable_key_rotation=True,
            removal_policy=removal_policy(settings),
        )
        let_logs_use(self.key, settings)
        # Alarms tell topics that are encrypted with it.
        self.key.add_to_resource_policy(service_encrypts("EncryptAlarms", "cloudwatch"))
        self.access_logs = self._access_logs()
        self.data = self._bucket("Data")
        self.models = self._bucket("Models")
        if any(trigger.arrival for trigger in settings.triggers):
            self._announce_arrivals()
        acknowledge(
            self,
            {
                "NIST.800.53.R5-S3BucketReplicationEnabled": (
                    "Overwritten and deleted objects are kept as versions; whether data may lie in a second region, "
                    "and what that may cost, is their owner's to say."
                )
            },
        )

    def _access_logs(self) -> s3.Bucket:
        bucket = s3.Bucket(
            self,
            "AccessLogs",
            # The log delivery service cannot use a customer's key.
            encryption=s3.BucketEncryption.S3_MANAGED,
            lifecycle_rules=[
                s3.LifecycleRule(
                    id="expire",
                    expiration=cdk.Duration.days(self._settings.access_log_days),
                    noncurrent_version_expiration=cdk.Duration.days(self._settings.noncurrent_version_days),
                    abort_incomplete_multipart_upload_after=_ABORT_UPLOADS_AFTER,
                )
            ],
            versioned=True,
            enforce_ssl=True,
            minimum_tls_version=1.2,
            block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
            object_ownership=s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
            removal_policy=removal_policy(self._settings),
        )
        acknowledge(
            bucket,
            {
                "AwsSolutions-S1": "This is the bucket of the access logs; logging itself would not end.",
                "NIST.800.53.R5-S3DefaultEncryptionKMS": "The log delivery service cannot use a customer's key.",
            },
        )
        return bucket

    def _announce_arrivals(self) -> None:
        """Have the data bucket tell EventBridge of its objects, which costs as much as the bucket is busy."""
        bucket = self.data.node.default_child
        assert isinstance(bucket, s3.CfnBucket)
        # Not by the bucket's own `event_bridge_enabled`, which makes a custom resource.
        bucket.notification_configuration = s3.CfnBucket.NotificationConfigurationProperty(
            event_bridge_configuration=s3.CfnBucket.EventBridgeConfigurationProperty(event_bridge_enabled=True)
        )

    def _bucket(self, id: str) -> s3.Bucket:
        return s3.Bucket(
            self,
            id,
            encryption=s3.BucketEncryption.KMS,
            encryption_key=self.key,
            # One data key per bucket and hour instead of one per object.
            bucket_key_enabled=True,
            server_access_logs_bucket=self.access_logs,
            server_access_logs_prefix=f"{id.lower()}/",
            lifecycle_rules=[
                s3.LifecycleRule(
                    id="tidy",
                    noncurrent_version_expiration=cdk.Duration.days(self._settings.noncurrent_version_days),
                    expired_object_delete_marker=True,
                    abort_incomplete_multipart_upload_after=_ABORT_UPLOADS_AFTER,
                )
            ],
            versioned=True,
            enforce_ssl=True,
            minimum_tls_version=1.2,
            block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
            object_ownership=s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
            removal_policy=removal_policy(self._settings),
        )
