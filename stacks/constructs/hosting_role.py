"""The role of a served model."""

from __future__ import annotations

from dataclasses import dataclass

import aws_cdk as cdk
from aws_cdk import aws_ecr as ecr
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_s3 as s3
from constructs import Construct

from stacks.acknowledgements import acknowledge, objects_wildcard, wildcard
from stacks.constructs.statements import acting, image_pulls, volume_encryption

# Where a training job of any algorithm leaves its model: <algorithm>/<job>/output/model.tar.gz.
_MODEL_ARCHIVES = "*/output/model.tar.gz"


@dataclass(frozen=True, kw_only=True)
class HostingRoleProps:
    """What a model is made of: its archive in `models`, encrypted with `key`, and its image in `repository`."""

    models: s3.IBucket
    key: kms.IKey
    repository: ecr.IRepository


class HostingRole(Construct):
    """Lets SageMaker fetch a model and its image, and tell how the endpoint does; the container itself gets nothing.

    With network isolation SageMaker uses the role on the container's behalf, which sees no credentials.
    """

    def __init__(self, scope: Construct, id: str, props: HostingRoleProps) -> None:
        super().__init__(scope, id)
        self._endpoint_logs = cdk.Stack.of(self).format_arn(
            service="logs",
            resource="log-group",
            resource_name="/aws/sagemaker/Endpoints/*",
            arn_format=cdk.ArnFormat.COLON_RESOURCE_NAME,
        )
        statements = [*self._model(props), *image_pulls(props.repository), *self._logs_and_metrics()]
        self.role = iam.Role(
            self,
            "Role",
            description="Execution role of models and endpoints",
            assumed_by=acting("sagemaker.amazonaws.com"),
            inline_policies={"Hosting": iam.PolicyDocument(statements=statements)},
        )
        acknowledge(
            self.role,
            {
                objects_wildcard(props.models, _MODEL_ARCHIVES): "Training jobs name the folders of their models.",
                wildcard(self, self._endpoint_logs): "SageMaker makes one log group for each endpoint.",
                "AwsSolutions-IAM5[Resource::*]": (
                    "ecr:GetAuthorizationToken and cloudwatch:PutMetricData know no resource; "
                    "a condition limits the latter to SageMaker's namespaces."
                ),
            },
        )

    def _model(self, props: HostingRoleProps) -> list[iam.PolicyStatement]:
        return [
            iam.PolicyStatement(
                sid="ReadModels",
                actions=["s3:GetObject"],
                resources=[props.models.arn_for_objects(_MODEL_ARCHIVES)],
            ),
            iam.PolicyStatement(sid="FindModels", actions=["s3:ListBucket"], resources=[props.models.bucket_arn]),
            iam.PolicyStatement(sid="DecryptModels", actions=["kms:Decrypt"], resources=[props.key.key_arn]),
            *volume_encryption(props.key),
        ]

    def _logs_and_metrics(self) -> list[iam.PolicyStatement]:
        return [
            iam.PolicyStatement(
                sid="WriteLogs",
                actions=["logs:CreateLogGroup", "logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"],
                resources=[self._endpoint_logs],
            ),
            iam.PolicyStatement(
                sid="WriteMetrics",
                actions=["cloudwatch:PutMetricData"],
                resources=["*"],
                conditions={"StringLike": {"cloudwatch:namespace": ["/aws/sagemaker/*", "AWS/SageMaker"]}},
            ),
        ]
