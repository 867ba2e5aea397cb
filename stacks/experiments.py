"""Experiments over the training pipelines."""

from __future__ import annotations

from collections.abc import Mapping

import aws_cdk as cdk
from aws_cdk import aws_ecr as ecr
from aws_cdk import aws_sns as sns
from constructs import Construct

from stacks.base import HouseStack
from stacks.constructs.buckets import Buckets
from stacks.constructs.experiment import Experiment, ExperimentProps
from stacks.constructs.network import Network
from stacks.constructs.training_pipeline import TrainingPipeline
from stacks.settings import Settings


class ExperimentsStack(HouseStack):
    """The state machine that runs a pipeline under several distributions of its data, and compares the arms."""

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        settings: Settings,
        pipelines: Mapping[str, TrainingPipeline],
        repository: ecr.IRepository,
        buckets: Buckets,
        topic: sns.ITopic,
        network: Network | None,
    ) -> None:
        super().__init__(scope, id, settings=settings, description="Kindling: experiments")
        self.logs_key = buckets.key
        experiment = Experiment(
            self,
            "DataDistribution",
            ExperimentProps(
                settings=settings,
                pipelines=pipelines,
                repository=repository,
                buckets=buckets,
                topic=topic,
                network=network,
            ),
        )
        self.state_machine = experiment.state_machine
        cdk.CfnOutput(self, "DataDistributionArn", value=self.state_machine.state_machine_arn)
