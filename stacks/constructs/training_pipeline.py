"""One algorithm's pipeline."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from aws_cdk import aws_ecr as ecr
from aws_cdk import aws_iam as iam
from aws_cdk import aws_sns as sns
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from contract.specification import Algorithm
from stacks.constructs.buckets import Buckets
from stacks.constructs.pipeline_functions import PipelineFunctions
from stacks.constructs.pipeline_role import PipelineRole, PipelineRoleProps
from stacks.constructs.pipeline_states import definition
from stacks.constructs.state_machine import state_machine
from stacks.constructs.training_role import TrainingRole, TrainingRoleProps
from stacks.settings import Settings


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


class TrainingPipeline(Construct):
    """Plan -> Train -> Evaluate -> Gate -> Deploy -> Smoke test -> Notify, with every failure rolled back and named."""

    def __init__(self, scope: Construct, id: str, props: TrainingPipelineProps) -> None:
        super().__init__(scope, id)
        self._props = props
        self._ours = name_prefix(props.settings, props.algorithm)
        self.training_role = TrainingRole(
            self,
            "Training",
            TrainingRoleProps(algorithm=props.algorithm.name, buckets=props.buckets, repository=props.repository),
        ).role
        self.state_machine = self._state_machine()

    def _state_machine(self) -> sfn.StateMachine:
        props = self._props
        role = PipelineRole(
            self,
            "Pipeline",
            PipelineRoleProps(
                ours=self._ours,
                functions=[function.function for function in props.functions.all()],
                training_role=self.training_role,
                hosting_role=props.hosting_role,
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
            "DataBucket": props.buckets.data.bucket_name,
            "ModelBucket": props.buckets.models.bucket_name,
            "Key": props.buckets.key.key_arn,
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
        }


def name_prefix(settings: Settings, algorithm: Algorithm) -> str:
    """What the names of the algorithm's jobs, models and endpoint configurations begin with: kindling-blazingtext."""
    return f"{settings.name}-{algorithm.name.replace('_', '-')}"
