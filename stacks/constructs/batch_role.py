"""The role of models that answer batch transforms."""

from __future__ import annotations

from dataclasses import dataclass

from aws_cdk import aws_ecr as ecr
from aws_cdk import aws_iam as iam
from constructs import Construct

from stacks.acknowledgements import acknowledge, objects_wildcard
from stacks.constructs.buckets import Buckets
from stacks.constructs.hosting_role import HostingRole, HostingRoleProps


@dataclass(frozen=True, kw_only=True)
class BatchRoleProps:
    """Patterns of the objects that are read in the data bucket and written in the model bucket, and why."""

    buckets: Buckets
    repository: ecr.IRepository
    records: str
    answers: str
    reasons: tuple[str, str]


class BatchRole(HostingRole):
    """An endpoint's role that reads records and writes answers, too."""

    def __init__(self, scope: Construct, id: str, props: BatchRoleProps) -> None:
        buckets = props.buckets
        super().__init__(
            scope, id, HostingRoleProps(models=buckets.models, key=buckets.key, repository=props.repository)
        )
        for statement in (
            iam.PolicyStatement(
                sid="ReadRecords", actions=["s3:GetObject"], resources=[buckets.data.arn_for_objects(props.records)]
            ),
            iam.PolicyStatement(sid="FindRecords", actions=["s3:ListBucket"], resources=[buckets.data.bucket_arn]),
            iam.PolicyStatement(
                sid="WriteAnswers",
                actions=["s3:PutObject", "s3:AbortMultipartUpload"],
                resources=[buckets.models.arn_for_objects(props.answers)],
            ),
            iam.PolicyStatement(
                sid="EncryptAnswers", actions=["kms:Decrypt", "kms:GenerateDataKey"], resources=[buckets.key.key_arn]
            ),
        ):
            self.role.add_to_policy(statement)
        acknowledge(
            self.role,
            {
                objects_wildcard(buckets.data, props.records): props.reasons[0],
                objects_wildcard(buckets.models, props.answers): props.reasons[1],
            },
        )
