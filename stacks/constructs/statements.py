"""Policy statements that several roles have."""

from __future__ import annotations

from collections.abc import Sequence

from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_sns as sns


def sagemaker_operations(sid: str, operations: Sequence[str], resources: Sequence[str]) -> iam.PolicyStatement:
    """SageMaker operations on just these resources."""
    return iam.PolicyStatement(
        sid=sid, actions=[f"sagemaker:{operation}" for operation in operations], resources=list(resources)
    )


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
