"""The role of the state machine of experiments."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_sns as sns
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from stacks.acknowledgements import acknowledge, wildcard
from stacks.constructs.statements import acting, calls_and_announcements, sagemaker_operations, volume_encryption


@dataclass(frozen=True, kw_only=True)
class ExperimentRoleProps:
    """Whom the state machine calls, and as whom its models run. `ours` begins all names that it gives."""

    ours: str
    functions: Sequence[lambda_.IFunction]
    pipelines: Sequence[sfn.StateMachine]
    evaluation_role: iam.IRole
    topic: sns.ITopic
    topic_key: kms.IKey


class ExperimentRole(Construct):
    """Starts pipelines, makes models and batch transforms of its own name, calls its functions; nothing else."""

    def __init__(self, scope: Construct, id: str, props: ExperimentRoleProps) -> None:
        super().__init__(scope, id)
        self._props = props
        self._models, self._transforms = (
            self._arn("sagemaker", kind, f"{props.ours}-*") for kind in ("model", "transform-job")
        )
        self._executions = [self._executions_of(pipeline.state_machine_name) for pipeline in props.pipelines]
        self.role = iam.Role(
            self,
            "Role",
            description="State machine of experiments",
            assumed_by=acting("states.amazonaws.com"),
            inline_policies={
                "Experiments": iam.PolicyDocument(
                    statements=[
                        *calls_and_announcements(props.functions, props.topic, props.topic_key),
                        *volume_encryption(props.topic_key),
                        *self._arms(),
                        *self._evaluation(),
                    ]
                )
            },
        )
        acknowledge(
            self.role,
            {
                wildcard(self, self._models): "Models are named after executions.",
                wildcard(self, self._transforms): "Batch transforms are named after executions.",
                **{
                    wildcard(self, self._executions_of(_exported_name(pipeline))): (
                        "Executions are named after experiments."
                    )
                    for pipeline in props.pipelines
                },
                "AwsSolutions-IAM5[Resource::*]": "The delivery of logs and X-Ray know no resource.",
            },
        )

    def _arms(self) -> list[iam.PolicyStatement]:
        machines = [pipeline.state_machine_arn for pipeline in self._props.pipelines]
        return [
            iam.PolicyStatement(sid="RunPipelines", actions=["states:StartExecution"], resources=machines),
            iam.PolicyStatement(
                sid="FollowPipelines",
                actions=["states:DescribeExecution", "states:StopExecution"],
                resources=self._executions,
            ),
            # How Step Functions learns that an execution or a batch transform has ended.
            iam.PolicyStatement(
                sid="AwaitEnds",
                actions=["events:PutTargets", "events:PutRule", "events:DescribeRule"],
                resources=[
                    self._arn("events", "rule", f"StepFunctionsGetEventsFor{what}Rule")
                    for what in ("StepFunctionsExecution", "SageMakerTransformJobs")
                ],
            ),
        ]

    def _evaluation(self) -> list[iam.PolicyStatement]:
        return [
            sagemaker_operations("MakeModel", ["CreateModel"], [self._models]),
            sagemaker_operations(
                "Transform",
                ["CreateTransformJob", "DescribeTransformJob", "StopTransformJob", "AddTags"],
                [self._transforms],
            ),
            iam.PolicyStatement(
                sid="PassRole",
                actions=["iam:PassRole"],
                resources=[self._props.evaluation_role.role_arn],
                conditions={"StringEquals": {"iam:PassedToService": "sagemaker.amazonaws.com"}},
            ),
        ]

    def _executions_of(self, name: str) -> str:
        return cdk.Stack.of(self).format_arn(
            service="states",
            resource="execution",
            resource_name=f"{name}:*",
            arn_format=cdk.ArnFormat.COLON_RESOURCE_NAME,
        )

    def _arn(self, service: str, resource: str, name: str) -> str:
        return cdk.Stack.of(self).format_arn(service=service, resource=resource, resource_name=name)


def _exported_name(pipeline: sfn.StateMachine) -> str:
    """What stands for another stack's state machine in a finding: the export that a policy imports its name by."""
    owner = cdk.Stack.of(pipeline)
    return str(owner.resolve(owner.export_value(pipeline.state_machine_name))["Fn::ImportValue"])
