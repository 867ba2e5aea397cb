"""The role of an algorithm's training jobs."""

from __future__ import annotations

from dataclasses import dataclass

import aws_cdk as cdk
from aws_cdk import aws_ecr as ecr
from aws_cdk import aws_iam as iam
from constructs import Construct

from stacks.acknowledgements import acknowledge, objects_wildcard, wildcard
from stacks.constructs.buckets import Buckets
from stacks.constructs.statements import acting, image_pulls, job_logs, volume_encryption

_LOG_GROUP = "/aws/sagemaker/TrainingJobs"


@dataclass(frozen=True, kw_only=True)
class JobRoleProps:
    """Whose jobs, where their data and models lie, and where their image does."""

    algorithm: str
    buckets: Buckets
    repository: ecr.IRepository


def data_reading(props: JobRoleProps) -> list[iam.PolicyStatement]:
    """Leave to read an algorithm's own part of the data, and to use the buckets' key, for volumes, too."""
    data, algorithm = props.buckets.data, props.algorithm
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
            sid="UseKey", actions=["kms:Decrypt", "kms:GenerateDataKey"], resources=[props.buckets.key.key_arn]
        ),
        *volume_encryption(props.buckets.key),
    ]


def log_arns(scope: Construct, group: str) -> tuple[str, str]:
    """The ARNs of one of SageMaker's own log groups and of its streams."""
    stack = cdk.Stack.of(scope)
    names = (group, f"{group}:log-stream:*")
    made = [
        stack.format_arn(
            service="logs",
            resource="log-group",
            resource_name=name,
            arn_format=cdk.ArnFormat.COLON_RESOURCE_NAME,
        )
        for name in names
    ]
    return made[0], made[1]


class TrainingRole(Construct):
    """Reads the algorithm's own data, writes its own models, fetches its image, logs; nothing else."""

    def __init__(self, scope: Construct, id: str, props: JobRoleProps) -> None:
        super().__init__(scope, id)
        self._props = props
        group, streams = log_arns(self, _LOG_GROUP)
        statements = [
            *data_reading(props),
            *self._models(),
            *image_pulls(props.repository),
            *job_logs(group, streams, _LOG_GROUP),
        ]
        self.role = iam.Role(
            self,
            "Role",
            description=f"Training jobs of {props.algorithm}",
            assumed_by=acting("sagemaker.amazonaws.com"),
            inline_policies={"Training": iam.PolicyDocument(statements=statements)},
        )
        objects = f"{props.algorithm}/*"
        acknowledge(
            self.role,
            {
                objects_wildcard(props.buckets.data, objects): "The algorithm's own part of the data.",
                objects_wildcard(props.buckets.models, objects): "The algorithm's own part of the models.",
                objects_wildcard(props.buckets.models, self._checkpoints): "The algorithm's own checkpoints.",
                wildcard(self, streams): "SageMaker makes one stream for each host of a job.",
                "AwsSolutions-IAM5[Resource::*]": (
                    "ecr:GetAuthorizationToken and cloudwatch:PutMetricData know no resource; "
                    "a condition limits the latter to SageMaker's namespace."
                ),
            },
        )

    @property
    def _checkpoints(self) -> str:
        return f"{self._props.algorithm}/checkpoints/*"

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
