"""One algorithm's pipeline."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import aws_cdk as cdk
from aws_cdk import aws_ecr as ecr
from aws_cdk import aws_iam as iam
from aws_cdk import aws_sagemaker as sagemaker
from aws_cdk import aws_sns as sns
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from contract.specification import Algorithm
from stacks.base import removal_policy
from stacks.constructs.batch_role import BatchRole, BatchRoleProps
from stacks.constructs.buckets import Buckets
from stacks.constructs.network import Network, let_join
from stacks.constructs.pipeline_functions import PipelineFunctions
from stacks.constructs.pipeline_role import PipelineRole, PipelineRoleProps
from stacks.constructs.pipeline_states import definition
from stacks.constructs.preparation_role import PreparationRole
from stacks.constructs.state_machine import state_machine
from stacks.constructs.training_role import JobRoleProps, TrainingRole
from stacks.settings import Settings

# Of the 32 characters that a tuning job's name may have; the rest tells executions apart.
_TUNING_PREFIX = 22


@dataclass(frozen=True, kw_only=True)
class TrainingPipelineProps:
    """What one algorithm's pipeline needs. `image` is its pinned URI, `repository` where it lies."""

    settings: Settings
    algorithm: Algorithm
    image: str
    repository: ecr.IRepository
    buckets: Buckets
    functions: PipelineFunctions
    topic: sns.ITopic
    hosting_role: iam.IRole
    network: Network | None


class TrainingPipeline(Construct):
    """From Plan to Notify (docs/pipeline.md), with every failure rolled back and named."""

    def __init__(self, scope: Construct, id: str, props: TrainingPipelineProps) -> None:
        super().__init__(scope, id)
        self._props = props
        self._ours = name_prefix(props.settings, props.algorithm)
        whose = JobRoleProps(algorithm=props.algorithm.name, buckets=props.buckets, repository=props.repository)
        self.training_role = TrainingRole(self, "Training", whose).role
        self.preparation_role = PreparationRole(self, "Preparation", whose).role
        self.batch_role = BatchRole(
            self,
            "Batch",
            BatchRoleProps(
                buckets=props.buckets,
                repository=props.repository,
                records=f"{props.algorithm.name}/*",
                answers=f"{props.algorithm.name}/batch/*",
                reasons=("The algorithm's own part of the data.", "Answers are named after executions."),
            ),
        ).role
        if props.network is not None:
            for role in (self.training_role, self.preparation_role, self.batch_role):
                let_join(role, props.network)
        self.model_group = sagemaker.CfnModelPackageGroup(
            self,
            "Models",
            model_package_group_name=self._ours,
            model_package_group_description=f"{props.settings.name}: models of {props.algorithm.name}",
        )
        self.model_group.apply_removal_policy(removal_policy(props.settings))
        self.state_machine = self._state_machine()

    def _state_machine(self) -> sfn.StateMachine:
        props = self._props
        role = PipelineRole(
            self,
            "Pipeline",
            PipelineRoleProps(
                ours=self._ours,
                tuning=self._tuning,
                group=self._ours,
                functions=[function.function for function in props.functions.all()],
                passed_roles=[self.training_role, self.preparation_role, self.batch_role, props.hosting_role],
                topic=props.topic,
                topic_key=props.buckets.key,
            ),
        ).role
        return state_machine(
            self,
            settings=props.settings,
            comment=f"train, evaluate and deploy {props.algorithm.name}",
            definition=definition(props.algorithm, self._site()),
            substitutions={
                **props.functions.substitutions(),
                **self._later(),
                "Topic": props.topic.topic_arn,
            },
            role=role,
        )

    def _later(self) -> dict[str, str]:
        """What the site's placeholders stand for."""
        props = self._props
        return {
            "Image": props.image,
            "TrainingRole": self.training_role.role_arn,
            "HostingRole": props.hosting_role.role_arn,
            "PreparationRole": self.preparation_role.role_arn,
            "BatchRole": self.batch_role.role_arn,
            "ModelGroup": self.model_group.ref,
            "Region": cdk.Aws.REGION,
            "DataBucket": props.buckets.data.bucket_name,
            "ModelBucket": props.buckets.models.bucket_name,
            "Key": props.buckets.key.key_arn,
            **(props.network.substitutions() if props.network else {}),
        }

    def _site(self) -> dict[str, Any]:
        """lambdas/plan/site.py"""
        return {
            "name_prefix": self._ours,
            "image": "${Image}",
            "data_bucket": "${DataBucket}",
            "model_bucket": "${ModelBucket}",
            "key_arn": "${Key}",
            "inter_container_encryption": self._props.settings.inter_container_encryption,
            "tuning_prefix": self._tuning,
            "training_role": "${TrainingRole}",
            "prices_usd_per_hour": self._props.settings.prices_usd_per_hour,
            "max_cost_usd": self._props.settings.max_cost_usd,
            "endpoint_alarms": self._props.settings.endpoint_alarms,
            **({"vpc": self._props.network.vpc_config()} if self._props.network else {}),
        }

    @property
    def _tuning(self) -> str:
        """What the names of tuning jobs begin with, which SageMaker wants short: the start of all names."""
        return f"{self._ours[:_TUNING_PREFIX]}-"


def name_prefix(settings: Settings, algorithm: Algorithm) -> str:
    """What the names of the algorithm's jobs, models and endpoint configurations begin with: kindling-blazingtext."""
    return f"{settings.name}-{algorithm.name.replace('_', '-')}"
