"""The role of an algorithm's preparations."""

from __future__ import annotations

from aws_cdk import aws_iam as iam
from constructs import Construct

from stacks.acknowledgements import acknowledge, objects_wildcard, wildcard
from stacks.constructs.statements import acting, image_pulls, job_logs
from stacks.constructs.training_role import JobRoleProps, data_reading, log_arns

_LOG_GROUP = "/aws/sagemaker/ProcessingJobs"


class PreparationRole(Construct):
    """Reads the algorithm's own data, writes what it makes of them beside them, fetches its image, logs."""

    def __init__(self, scope: Construct, id: str, props: JobRoleProps) -> None:
        super().__init__(scope, id)
        data, prepared = props.buckets.data, f"{props.algorithm}/prepared/*"
        group, streams = log_arns(self, _LOG_GROUP)
        write = iam.PolicyStatement(
            sid="WritePrepared",
            actions=["s3:AbortMultipartUpload", "s3:PutObject"],
            resources=[data.arn_for_objects(prepared)],
        )
        self.role = iam.Role(
            self,
            "Role",
            description=f"Preparations of {props.algorithm}",
            assumed_by=acting("sagemaker.amazonaws.com"),
            inline_policies={
                "Preparation": iam.PolicyDocument(
                    statements=[
                        *data_reading(props),
                        write,
                        *image_pulls(props.repository),
                        *job_logs(group, streams, _LOG_GROUP),
                    ]
                )
            },
        )
        acknowledge(
            self.role,
            {
                objects_wildcard(data, f"{props.algorithm}/*"): "The algorithm's own part of the data.",
                objects_wildcard(data, prepared): "What the algorithm's preparations make.",
                wildcard(self, streams): "SageMaker makes one stream for each host of a job.",
                "AwsSolutions-IAM5[Resource::*]": (
                    "ecr:GetAuthorizationToken and cloudwatch:PutMetricData know no resource; "
                    "a condition limits the latter to SageMaker's namespace."
                ),
            },
        )
