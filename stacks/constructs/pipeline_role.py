"""The role of an algorithm's state machine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_sns as sns
from constructs import Construct

from stacks.acknowledgements import acknowledge, wildcard
from stacks.constructs.statements import acting, calls_and_announcements, sagemaker_operations, volume_encryption


@dataclass(frozen=True, kw_only=True)
class PipelineRoleProps:
    """Whom the state machine calls, and as whom its jobs and models run.

    `ours` begins all names that it gives, but for `tuning`, which begins those of tuning jobs. `group` is the name of
    the algorithm's model group.
    """

    ours: str
    tuning: str
    group: str
    functions: Sequence[lambda_.IFunction]
    passed_roles: Sequence[iam.IRole]
    topic: sns.ITopic
    topic_key: kms.IKey


class PipelineRole(Construct):
    """Written by hand: the CDK derives no permissions from states written in Amazon States Language."""

    def __init__(self, scope: Construct, id: str, props: PipelineRoleProps) -> None:
        super().__init__(scope, id)
        self._props = props
        self._jobs, self._models, self._configs = (
            self._arn("sagemaker", kind, f"{props.ours}-*") for kind in ("training-job", "model", "endpoint-config")
        )
        self._preparations, self._batches = (
            self._arn("sagemaker", kind, f"{props.ours}-*") for kind in ("processing-job", "transform-job")
        )
        self._tunings = self._arn("sagemaker", "hyper-parameter-tuning-job", f"{props.tuning}*")
        self._tuned = self._arn("sagemaker", "training-job", f"{props.tuning}*")
        self._packages = self._arn("sagemaker", "model-package", f"{props.group}/*")
        self._endpoints = self._arn("sagemaker", "endpoint", "*")
        statements = [
            *calls_and_announcements(props.functions, props.topic, props.topic_key),
            *volume_encryption(props.topic_key),
            *self._training(),
            *self._other_jobs(),
            *self._deployment(),
        ]
        self.role = iam.Role(
            self,
            "Role",
            description=f"State machine of {props.ours}",
            assumed_by=acting("states.amazonaws.com"),
            inline_policies={"Pipeline": iam.PolicyDocument(statements=statements)},
        )
        self._acknowledge()

    def _training(self) -> list[iam.PolicyStatement]:
        return [
            sagemaker_operations(
                "Train",
                ["CreateTrainingJob", "DescribeTrainingJob", "StopTrainingJob", "AddTags", "ListTags"],
                [self._jobs],
            ),
            # How Step Functions learns that a job of each kind has ended.
            iam.PolicyStatement(
                sid="AwaitJob",
                actions=["events:PutTargets", "events:PutRule", "events:DescribeRule"],
                resources=[
                    self._arn("events", "rule", f"StepFunctionsGetEventsForSageMaker{what}JobsRule")
                    for what in ("Processing", "Training", "Transform", "Tuning")
                ],
            ),
            iam.PolicyStatement(
                sid="PassRoles",
                actions=["iam:PassRole"],
                resources=[role.role_arn for role in self._props.passed_roles],
                conditions={"StringEquals": {"iam:PassedToService": "sagemaker.amazonaws.com"}},
            ),
        ]

    def _other_jobs(self) -> list[iam.PolicyStatement]:
        return [
            sagemaker_operations(
                "Prepare",
                ["CreateProcessingJob", "DescribeProcessingJob", "StopProcessingJob", "AddTags", "ListTags"],
                [self._preparations],
            ),
            sagemaker_operations(
                "Tune",
                [
                    *("CreateHyperParameterTuningJob", "DescribeHyperParameterTuningJob"),
                    *("StopHyperParameterTuningJob", "AddTags", "ListTags"),
                ],
                [self._tunings],
            ),
            # The best of what a tuning job has trained.
            sagemaker_operations("FindBest", ["DescribeTrainingJob"], [self._tuned]),
            sagemaker_operations(
                "Batch",
                ["CreateTransformJob", "DescribeTransformJob", "StopTransformJob", "AddTags", "ListTags"],
                [self._batches],
            ),
        ]

    def _deployment(self) -> list[iam.PolicyStatement]:
        return [
            # The registry is told what a person has decided.
            sagemaker_operations("AcceptModel", ["UpdateModelPackage"], [self._packages]),
            sagemaker_operations("MakeModel", ["CreateModel", "AddTags"], [self._models]),
            sagemaker_operations("DeleteBatchModel", ["DeleteModel"], [self._models]),
            sagemaker_operations("MakeConfig", ["CreateEndpointConfig", "AddTags"], [self._configs]),
            sagemaker_operations("Deploy", ["CreateEndpoint", "UpdateEndpoint"], [self._endpoints, self._configs]),
            sagemaker_operations("TagEndpoint", ["AddTags"], [self._endpoints]),
        ]

    def _acknowledge(self) -> None:
        acknowledge(
            self.role,
            {
                wildcard(self, self._jobs): "Jobs are named after executions.",
                wildcard(self, self._preparations): "Jobs are named after executions.",
                wildcard(self, self._tunings): "Jobs are named after executions.",
                wildcard(self, self._tuned): "Jobs are named after executions.",
                wildcard(self, self._batches): "Jobs are named after executions.",
                wildcard(self, self._packages): "Versions of the algorithm's own model group.",
                wildcard(self, self._models): "Models are named after executions.",
                wildcard(self, self._configs): "Endpoint configurations are named after executions.",
                wildcard(self, self._endpoints): "The user names the endpoint in an execution's input.",
                "AwsSolutions-IAM5[Resource::*]": "The delivery of logs and X-Ray know no resource.",
            },
        )

    def _arn(self, service: str, resource: str, name: str) -> str:
        return cdk.Stack.of(self).format_arn(service=service, resource=resource, resource_name=name)
