"""Policy statements that several roles have."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import aws_cdk as cdk
from aws_cdk import aws_ecr as ecr
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_sns as sns

from stacks.constructs.image_repository import PULLING

ALARMS: Final = "arn:${AWS::Partition}:cloudwatch:${AWS::Region}:${AWS::AccountId}:alarm:*"
_OF_THIS_ACCOUNT: Final = {"StringEquals": {"aws:SourceAccount": cdk.Aws.ACCOUNT_ID}}


def acting(service: str) -> iam.ServicePrincipal:
    """A service such as sagemaker.amazonaws.com, as long as it acts for this account and not for somebody else's."""
    return iam.ServicePrincipal(service, conditions=_OF_THIS_ACCOUNT)


def sagemaker_operations(sid: str, operations: Sequence[str], resources: Sequence[str]) -> iam.PolicyStatement:
    """SageMaker operations on just these resources."""
    return iam.PolicyStatement(
        sid=sid, actions=[f"sagemaker:{operation}" for operation in operations], resources=list(resources)
    )


def image_pulls(repository: ecr.IRepository) -> list[iam.PolicyStatement]:
    """Leave to fetch the images of a repository."""
    return [
        iam.PolicyStatement(sid="PullImages", actions=PULLING, resources=[repository.repository_arn]),
        iam.PolicyStatement(sid="LogInToRegistry", actions=["ecr:GetAuthorizationToken"], resources=["*"]),
    ]


def job_logs(group: str, streams: str, namespace: str) -> list[iam.PolicyStatement]:
    """Leave to write the logs and metrics of SageMaker's jobs.

    Args:
        group, streams: ARNs of the jobs' log group and of its streams.
        namespace: of the metrics.
    """
    return [
        iam.PolicyStatement(
            sid="FindLogs", actions=["logs:CreateLogGroup", "logs:DescribeLogStreams"], resources=[group]
        ),
        iam.PolicyStatement(
            sid="WriteLogs", actions=["logs:CreateLogStream", "logs:PutLogEvents"], resources=[streams]
        ),
        iam.PolicyStatement(
            sid="WriteMetrics",
            actions=["cloudwatch:PutMetricData"],
            resources=["*"],
            conditions={"StringEquals": {"cloudwatch:namespace": namespace}},
        ),
    ]


def volume_encryption(key: kms.IKey) -> list[iam.PolicyStatement]:
    """Leave to have SageMaker encrypt the volumes of jobs and endpoints with a key, and to give it to nobody else.

    https://docs.aws.amazon.com/sagemaker/latest/dg/api-permissions-reference.html
    """
    return [
        iam.PolicyStatement(
            sid="EncryptVolumes",
            actions=["kms:CreateGrant"],
            resources=[key.key_arn],
            conditions={"Bool": {"kms:GrantIsForAWSResource": "true"}},
        ),
        iam.PolicyStatement(sid="LookAtKey", actions=["kms:DescribeKey"], resources=[key.key_arn]),
    ]


def calls_and_announcements(
    functions: Sequence[lambda_.IFunction], topic: sns.ITopic, topic_key: kms.IKey
) -> list[iam.PolicyStatement]:
    """Leave to call just these functions, and to publish to the topic."""
    return [
        iam.PolicyStatement(
            sid="CallFunctions",
            actions=["lambda:InvokeFunction"],
            resources=[function.function_arn for function in functions],
        ),
        iam.PolicyStatement(sid="Announce", actions=["sns:Publish"], resources=[topic.topic_arn]),
        iam.PolicyStatement(
            sid="EncryptAnnouncement", actions=["kms:Decrypt", "kms:GenerateDataKey"], resources=[topic_key.key_arn]
        ),
    ]


def service_publishes(sid: str, service: str, topic: sns.ITopic, sources: str) -> iam.PolicyStatement:
    """Leave, in a topic's policy, for a service of AWS to publish on behalf of this account's `sources`, an ARN."""
    return iam.PolicyStatement(
        sid=sid,
        principals=[iam.ServicePrincipal(f"{service}.amazonaws.com")],
        actions=["sns:Publish"],
        resources=[topic.topic_arn],
        conditions={**_OF_THIS_ACCOUNT, "ArnLike": {"aws:SourceArn": cdk.Fn.sub(sources)}},
    )


def service_encrypts(sid: str, service: str) -> iam.PolicyStatement:
    """Leave, in a key's policy, for a service of AWS to encrypt what it publishes on this account's behalf."""
    return iam.PolicyStatement(
        sid=sid,
        principals=[iam.ServicePrincipal(f"{service}.amazonaws.com")],
        actions=["kms:Decrypt", "kms:GenerateDataKey"],
        resources=["*"],
        conditions=_OF_THIS_ACCOUNT,
    )
