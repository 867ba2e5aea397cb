"""Buckets, keys and image repositories."""

# ruff: noqa: ARG002  a resource type's methods have one signature, whatever each of them needs

from __future__ import annotations

from typing import Any

from kindling.localcloud.resources.base import (
    Made,
    Properties,
    ResourceType,
    chosen,
    gone_is_fine,
    lower_first,
    tag_map,
    text,
)


class Bucket(ResourceType):
    """With versioning, encryption, public access block, ownership, logging and lifecycle, which moto leaves out."""

    type = "AWS::S3::Bucket"
    name_property = "BucketName"
    attributes = ("Arn", "DomainName", "DualStackDomainName", "RegionalDomainName", "WebsiteURL")

    def create(self, name: str, properties: Properties) -> Made:
        self.aws("s3").create_bucket(Bucket=name)
        region = self.aws.cloud.region
        made = Made(
            name,
            {
                "Arn": f"arn:aws:s3:::{name}",
                "DomainName": f"{name}.s3.amazonaws.com",
                "DualStackDomainName": f"{name}.s3.dualstack.{region}.amazonaws.com",
                "RegionalDomainName": f"{name}.s3.{region}.amazonaws.com",
                "WebsiteURL": f"http://{name}.s3-website-{region}.amazonaws.com",
            },
        )
        return self.update(made, properties)

    def update(self, made: Made, properties: Properties) -> Made:
        s3, bucket = self.aws("s3"), {"Bucket": made.id}
        if versioning := properties.get("VersioningConfiguration"):
            s3.put_bucket_versioning(**bucket, VersioningConfiguration=versioning)
        if block := properties.get("PublicAccessBlockConfiguration"):
            s3.put_public_access_block(**bucket, PublicAccessBlockConfiguration=_booleans(block))
        else:
            s3.delete_public_access_block(**bucket)
        if encryption := properties.get("BucketEncryption"):
            rules = [_encryption_rule(rule) for rule in encryption["ServerSideEncryptionConfiguration"]]
            s3.put_bucket_encryption(**bucket, ServerSideEncryptionConfiguration={"Rules": rules})
        else:
            s3.delete_bucket_encryption(**bucket)
        s3.put_bucket_notification_configuration(**bucket, NotificationConfiguration=_notifications(properties))
        if ownership := properties.get("OwnershipControls"):
            s3.put_bucket_ownership_controls(**bucket, OwnershipControls=ownership)
        if lifecycle := properties.get("LifecycleConfiguration"):
            rules = [_lifecycle_rule(rule) for rule in lifecycle["Rules"]]
            s3.put_bucket_lifecycle_configuration(**bucket, LifecycleConfiguration={"Rules": rules})
        else:
            s3.delete_bucket_lifecycle(**bucket)
        if tags := tag_map(properties):
            tag_set = [{"Key": key, "Value": value} for key, value in tags.items()]
            s3.put_bucket_tagging(**bucket, Tagging={"TagSet": tag_set})
        else:
            s3.delete_bucket_tagging(**bucket)
        return made

    def delete(self, made: Made, properties: Properties) -> None:
        with gone_is_fine():
            self.aws("s3").delete_bucket(Bucket=made.id)


def _booleans(value: dict[str, Any]) -> dict[str, bool]:
    return {name: str(one).lower() == "true" for name, one in value.items()}


def _notifications(properties: Properties) -> dict[str, Any]:
    """Those to EventBridge, which hears of a bucket's objects or does not."""
    bridge = (properties.get("NotificationConfiguration") or {}).get("EventBridgeConfiguration")
    heard = bridge is not None and _booleans({"EventBridgeEnabled": True, **bridge})["EventBridgeEnabled"]
    return {"EventBridgeConfiguration": {}} if heard else {}


def _encryption_rule(rule: dict[str, Any]) -> dict[str, Any]:
    by_default = rule["ServerSideEncryptionByDefault"]
    applied = {"SSEAlgorithm": by_default["SSEAlgorithm"]} | chosen(by_default, "KMSMasterKeyID")
    return {
        "ApplyServerSideEncryptionByDefault": applied,
        "BucketKeyEnabled": str(rule.get("BucketKeyEnabled", False)).lower() == "true",
    }


def _lifecycle_rule(rule: dict[str, Any]) -> dict[str, Any]:
    answer: dict[str, Any] = {"ID": rule.get("Id", "rule"), "Status": rule["Status"]}
    answer["Filter"] = {"Prefix": rule.get("Prefix", "")}
    if "ExpirationInDays" in rule:
        answer["Expiration"] = {"Days": int(rule["ExpirationInDays"])}
    elif "ExpiredObjectDeleteMarker" in rule:
        answer["Expiration"] = {"ExpiredObjectDeleteMarker": True}
    if "NoncurrentVersionExpiration" in rule:
        answer["NoncurrentVersionExpiration"] = {
            "NoncurrentDays": int(rule["NoncurrentVersionExpiration"]["NoncurrentDays"])
        }
    if "AbortIncompleteMultipartUpload" in rule:
        answer["AbortIncompleteMultipartUpload"] = {
            "DaysAfterInitiation": int(rule["AbortIncompleteMultipartUpload"]["DaysAfterInitiation"])
        }
    if "Transitions" in rule:
        answer["Transitions"] = [
            {"Days": int(one["TransitionInDays"]), "StorageClass": one["StorageClass"]} for one in rule["Transitions"]
        ]
    return answer


class BucketPolicy(ResourceType):
    """A bucket's policy."""

    type = "AWS::S3::BucketPolicy"

    def create(self, name: str, properties: Properties) -> Made:
        return self.update(Made(properties["Bucket"]), properties)

    def update(self, made: Made, properties: Properties) -> Made:
        self.aws("s3").put_bucket_policy(Bucket=properties["Bucket"], Policy=text(properties["PolicyDocument"]))
        return Made(properties["Bucket"])

    def delete(self, made: Made, properties: Properties) -> None:
        with gone_is_fine():
            self.aws("s3").delete_bucket_policy(Bucket=made.id)


class Key(ResourceType):
    """A KMS key, with its rotation."""

    type = "AWS::KMS::Key"
    attributes = ("Arn", "KeyId")

    def create(self, name: str, properties: Properties) -> Made:
        options = {"Policy": text(properties["KeyPolicy"])} if "KeyPolicy" in properties else {}
        options |= chosen(properties, "Description", "KeyUsage", "KeySpec", "MultiRegion", "Origin")
        tags = [{"TagKey": key, "TagValue": value} for key, value in tag_map(properties).items()]
        key = self.aws("kms").create_key(**options, Tags=tags)["KeyMetadata"]
        made = Made(key["KeyId"], {"Arn": key["Arn"], "KeyId": key["KeyId"]})
        if properties.get("EnableKeyRotation"):
            self.aws("kms").enable_key_rotation(KeyId=made.id)
        return made

    def update(self, made: Made, properties: Properties) -> Made:
        kms = self.aws("kms")
        if "KeyPolicy" in properties:
            kms.put_key_policy(KeyId=made.id, PolicyName="default", Policy=text(properties["KeyPolicy"]))
        kms.update_key_description(KeyId=made.id, Description=properties.get("Description", ""))
        rotate = kms.enable_key_rotation if properties.get("EnableKeyRotation") else kms.disable_key_rotation
        rotate(KeyId=made.id)
        return made

    def delete(self, made: Made, properties: Properties) -> None:
        with gone_is_fine():
            days = int(properties.get("PendingWindowInDays", 30))
            self.aws("kms").schedule_key_deletion(KeyId=made.id, PendingWindowInDays=days)


class Repository(ResourceType):
    """An ECR repository, with its lifecycle and resource policies."""

    type = "AWS::ECR::Repository"
    name_property = "RepositoryName"
    attributes = ("Arn", "RepositoryUri")

    def create(self, name: str, properties: Properties) -> Made:
        options: dict[str, Any] = {"tags": [{"Key": k, "Value": v} for k, v in tag_map(properties).items()]}
        if encryption := properties.get("EncryptionConfiguration"):
            kind = {"encryptionType": encryption["EncryptionType"]}
            key = encryption.get("KmsKey")
            options["encryptionConfiguration"] = kind | ({"kmsKey": key} if key else {})
        found = self.aws("ecr").create_repository(repositoryName=name.lower(), **options)["repository"]
        made = Made(name.lower(), {"Arn": found["repositoryArn"], "RepositoryUri": found["repositoryUri"]})
        return self.update(made, properties)

    def update(self, made: Made, properties: Properties) -> Made:
        ecr, repository = self.aws("ecr"), {"repositoryName": made.id}
        scan = (properties.get("ImageScanningConfiguration") or {}).get("ScanOnPush", False)
        ecr.put_image_scanning_configuration(
            **repository, imageScanningConfiguration={"scanOnPush": str(scan).lower() == "true"}
        )
        ecr.put_image_tag_mutability(**repository, imageTagMutability=properties.get("ImageTagMutability", "MUTABLE"))
        if lifecycle := (properties.get("LifecyclePolicy") or {}).get("LifecyclePolicyText"):
            ecr.put_lifecycle_policy(**repository, lifecyclePolicyText=lifecycle)
        else:
            with gone_is_fine():
                ecr.delete_lifecycle_policy(**repository)
        if policy := properties.get("RepositoryPolicyText"):
            ecr.set_repository_policy(**repository, policyText=text(policy))
        else:
            with gone_is_fine():
                ecr.delete_repository_policy(**repository)
        return made

    def delete(self, made: Made, properties: Properties) -> None:
        with gone_is_fine():
            self.aws("ecr").delete_repository(
                repositoryName=made.id, force=str(properties.get("EmptyOnDelete", False)).lower() == "true"
            )


class RegistryScanning(ResourceType):
    """How the images of the whole registry are scanned; without it, as AWS leaves a new registry."""

    type = "AWS::ECR::RegistryScanningConfiguration"
    attributes = ("RegistryId",)

    def create(self, name: str, properties: Properties) -> Made:
        account_id = self.aws.cloud.account_id
        return self.update(Made(account_id, {"RegistryId": account_id}), properties)

    def update(self, made: Made, properties: Properties) -> Made:
        self.aws("ecr").put_registry_scanning_configuration(
            scanType=properties["ScanType"], rules=lower_first(properties["Rules"])
        )
        return made

    def delete(self, made: Made, properties: Properties) -> None:
        self.aws("ecr").put_registry_scanning_configuration(scanType="BASIC", rules=[])


TYPES = (Bucket, BucketPolicy, Key, Repository, RegistryScanning)
