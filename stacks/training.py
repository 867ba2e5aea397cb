"""The training pipelines: one state machine per algorithm of the catalogue."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import aws_cdk as cdk
from aws_cdk import aws_ecr_assets as ecr_assets
from aws_cdk import aws_iam as iam
from aws_cdk import aws_sns as sns
from constructs import Construct

from containers import catalogue
from stacks.base import HouseStack, camel
from stacks.constructs.buckets import Buckets
from stacks.constructs.network import Network
from stacks.constructs.pipeline_functions import PipelineFunctions, PipelineFunctionsProps
from stacks.constructs.training_pipeline import TrainingPipeline, TrainingPipelineProps
from stacks.constructs.triggers import Triggers, TriggersProps
from stacks.settings import Settings


@dataclass(frozen=True, kw_only=True)
class TrainingStackProps:
    """What the pipelines use of the other stacks; `images` by algorithm name."""

    settings: Settings
    buckets: Buckets
    images: Mapping[str, ecr_assets.DockerImageAsset]
    topic: sns.ITopic
    hosting_role: iam.IRole
    network: Network | None


class TrainingStack(HouseStack):
    """Every algorithm's pipeline, the functions that they share, and what starts pipelines by itself."""

    def __init__(self, scope: Construct, id: str, *, props: TrainingStackProps) -> None:
        super().__init__(scope, id, settings=props.settings, description="Kindling: training pipelines")
        self.logs_key = props.buckets.key
        functions = PipelineFunctions(
            self, "Functions", PipelineFunctionsProps(settings=props.settings, buckets=props.buckets)
        )
        self.pipelines: dict[str, TrainingPipeline] = {}
        for name, algorithm in catalogue.algorithms().items():
            pipeline = TrainingPipeline(
                self,
                camel(name),
                TrainingPipelineProps(
                    settings=props.settings,
                    algorithm=algorithm,
                    image=props.images[name].image_uri,
                    repository=props.images[name].repository,
                    buckets=props.buckets,
                    functions=functions,
                    topic=props.topic,
                    hosting_role=props.hosting_role,
                    network=props.network,
                ),
            )
            self.pipelines[name] = pipeline
            cdk.CfnOutput(self, f"{camel(name)}StateMachineArn", value=pipeline.state_machine.state_machine_arn)
        # In this stack and none of its own, which would go on starting runs when the settings have no trigger any more.
        if props.settings.triggers:
            Triggers(
                self,
                "Triggers",
                TriggersProps(
                    settings=props.settings,
                    machines={name: pipeline.state_machine for name, pipeline in self.pipelines.items()},
                    data=props.buckets.data,
                    topic=props.topic,
                ),
            )
