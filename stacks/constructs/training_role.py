"""The role of an algorithm's training jobs."""

from __future__ import annotations

from dataclasses import dataclass

import aws_cdk as cdk
from aws_cdk import aws_ecr as ecr
from aws_cdk import aws_iam as iam
from constructs import Construct

from stacks.acknowledgements import acknowledge, objects_wildcard, wildcard
from stacks.constructs.buckets import Buckets
from stacks.constructs.image_repository import PULLING

_LOG_GROUP = "/aws/sagemaker/TrainingJobs"


@dataclass(frozen=True, kw_only=True)
class TrainingRoleProps:
    """Whose jobs, where their data and models lie, and where their image does."""

    algorithm: str
    buckets: Buckets
    repository: ecr.IRepository


class TrainingRole(Construct):
    """Reads the algorithm's own data, writes its own models, fetches its image, logs; nothing else."""

    def __init__(self, scope: Construct, id: str, props: TrainingRoleProps) -> None:
        super().__init__(scope, id)
        self._props = props
        self._log_streams = cdk.Stack.of(self).format_arn(
            service="logs",
            resource="log-group",
            resource_name=f"{_LOG_GROUP}:log-stream:*",
            arn_format=cdk.ArnFormat.COLON_RESOURCE_NAME,
        )
        statements = [*self._data(), *self._models(), *self._image(), *self._logs_and_metrics()]
        self.role = iam.Role(
            self,
            "Role",
            description=f"Training jobs of {props.algorithm}",
            assumed_by=iam.ServicePrincipal(
                "sagemaker.amazonaws.com", conditions={"StringEquals": {"aws:SourceAccount": cdk.Aws.ACCOUNT_ID}}
            ),
            inline_policies={"Training": iam.PolicyDocument(statements=statements)},
        )
        objects = f"{props.algorithm}/*"
        acknowledge(
            self.role,
            {
                objects_wildcard(props.buckets.data, objects): "The algorithm's own part of the data.",
                objects_wildcard(props.buckets.models, objects): "The algorithm's own part of the models.",
                objects_wildcard(props.buckets.models, self._checkpoints): "The algorithm's own checkpoints.",
                wildcard(self, self._log_streams): "SageMaker makes one stream for each host of a job.",
                "AwsSolutions-IAM5[Resource::*]": (
                    "ecr:GetAuthorizationToken and cloudwatch:PutMetricData know no resource; "
                    "a condition limits the latter to SageMaker's namespace."
                ),
            },
        )

    @property
    def _checkpoints(self) -> str:
        return f"{self._props.algorithm}/checkpoints/*"

    def _data(self) -> list[iam.PolicyStatement]:
        data, algorithm = self._props.buckets.data, self._props.algorithm
        return [
            iam.PolicyStatement(
                sid="FindData",
                actions=["s3:ListBucket"],
                resources=[data.bucket_arn],
                conditions={"StringLike": {"s3:prefix": f"{algorithm}/*"}},
            ),
            iam.PolicyStatement(
                sid="ReadData", actions=["s3:GetObject"], resources=[data.arn_for_objects(f"{algorithm}/*")]
            ),
            iam.PolicyStatement(
                sid="UseKey",
                actions=["kms:Decrypt", "kms:GenerateDataKey"],
                resources=[self._props.buckets.key.key_arn],
            ),
        ]

    def _models(self) -> list[iam.PolicyStatement]:
        models, algorithm = self._props.buckets.models, self._props.algorithm
        return [
            # Read, too: a job that goes on from its checkpoint reads what it wrote.
            iam.PolicyStatement(
                sid="WriteModels",
                actions=["s3:AbortMultipartUpload", "s3:GetObject", "s3:PutObject"],
                resources=[models.arn_for_objects(f"{algorithm}/*")],
            ),
            # What the job removes from its folder of checkpoints, the service removes there too.
            iam.PolicyStatement(
                sid="RemoveCheckpoints",
                actions=["s3:DeleteObject"],
                resources=[models.arn_for_objects(self._checkpoints)],
            ),
            iam.PolicyStatement(
                sid="FindCheckpoints",
                actions=["s3:ListBucket"],
                resources=[models.bucket_arn],
                conditions={"StringLike": {"s3:prefix": f"{algorithm}/*"}},
            ),
        ]

    def _image(self) -> list[iam.PolicyStatement]:
        return [
            iam.PolicyStatement(
                sid="PullImage",
                actions=PULLING,
                resources=[self._props.repository.repository_arn],
            ),
            iam.PolicyStatement(sid="LogInToRegistry", actions=["ecr:GetAuthorizationToken"], resources=["*"]),
        ]

    def _logs_and_metrics(self) -> list[iam.PolicyStatement]:
        group = cdk.Stack.of(self).format_arn(
            service="logs",
            resource="log-group",
            resource_name=_LOG_GROUP,
            arn_format=cdk.ArnFormat.COLON_RESOURCE_NAME,
        )
        return [
            iam.PolicyStatement(
                sid="FindLogs", actions=["logs:CreateLogGroup", "logs:DescribeLogStreams"], resources=[group]
            ),
            iam.PolicyStatement(
                sid="WriteLogs",
                actions=["logs:CreateLogStream", "logs:PutLogEvents"],
                resources=[self._log_streams],
            ),
            iam.PolicyStatement(
                sid="WriteMetrics",
                actions=["cloudwatch:PutMetricData"],
                resources=["*"],
                conditions={"StringEquals": {"cloudwatch:namespace": "/aws/sagemaker/TrainingJobs"}},
            ),
        ]
