"""The repository of the algorithms' images."""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_ecr as ecr
from aws_cdk import aws_iam as iam
from constructs import Construct

from stacks.base import removal_policy
from stacks.settings import Settings

# What `cdk deploy` does to a repository: look whether the tag is there, send the layers, then the manifest.
_PUBLISHING = [
    "ecr:BatchCheckLayerAvailability",
    "ecr:BatchGetImage",
    "ecr:CompleteLayerUpload",
    "ecr:DescribeImages",
    "ecr:DescribeRepositories",
    "ecr:GetDownloadUrlForLayer",
    "ecr:InitiateLayerUpload",
    "ecr:PutImage",
    "ecr:UploadLayerPart",
]
PULLING = ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"]


def repository_name(settings: Settings) -> str:
    """The repository's name; fixed, because `cdk deploy` must know it before the stack's outputs are."""
    return f"{settings.name}-algorithms"


class ImageRepository(Construct):
    """One repository for every algorithm's images: scanned on push, tags that never move, old images deleted."""

    def __init__(self, scope: Construct, id: str, settings: Settings) -> None:
        super().__init__(scope, id)
        self.repository = ecr.Repository(
            self,
            "Repository",
            repository_name=repository_name(settings),
            image_scan_on_push=True,
            image_tag_mutability=ecr.TagMutability.IMMUTABLE,
            lifecycle_rules=[
                ecr.LifecycleRule(description="the newest images are enough", max_image_count=settings.image_count)
            ],
            removal_policy=removal_policy(settings),
            empty_on_delete=settings.removal == "destroy",
        )
        self.repository.add_to_resource_policy(
            iam.PolicyStatement(
                sid="CdkPublishesImages",
                principals=[iam.ArnPrincipal(_publisher_arn(self))],
                actions=_PUBLISHING,
            )
        )
        if settings.image_pull_accounts:
            self.repository.add_to_resource_policy(
                iam.PolicyStatement(
                    sid="OtherEnvironmentsPullImages",
                    principals=[iam.AccountPrincipal(account) for account in settings.image_pull_accounts],
                    actions=PULLING,
                )
            )


def _publisher_arn(scope: Construct) -> str:
    """The role that `cdk bootstrap` made for sending images; its own policy names only bootstrap's repository."""
    qualifier = scope.node.try_get_context("@aws-cdk/core:bootstrapQualifier") or "hnb659fds"
    return cdk.Fn.sub(
        f"arn:${{AWS::Partition}}:iam::${{AWS::AccountId}}:role/"
        f"cdk-{qualifier}-image-publishing-role-${{AWS::AccountId}}-${{AWS::Region}}"
    )
