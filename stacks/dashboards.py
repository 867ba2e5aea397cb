"""How everything does, at a glance, where the settings want it."""

from __future__ import annotations

from collections.abc import Sequence

import aws_cdk as cdk
from aws_cdk import aws_cloudwatch as cloudwatch
from constructs import Construct

from containers import catalogue
from stacks.base import HouseStack
from stacks.constructs.dashboards import Dashboards, DashboardsProps
from stacks.constructs.pipeline_function import PipelineFunction
from stacks.experiments import ExperimentsStack
from stacks.settings import Settings
from stacks.training import TrainingStack


class DashboardsStack(HouseStack):
    """CloudWatch dashboards of all algorithms, pipelines and endpoints: docs/dashboards.md."""

    def __init__(
        self, scope: Construct, id: str, *, settings: Settings, training: TrainingStack, experiments: ExperimentsStack
    ) -> None:
        super().__init__(scope, id, settings=settings, description="Kindling: dashboards")
        shown: Sequence[cdk.Stack] = (training, experiments)
        found = [construct for stack in shown for construct in stack.node.find_all()]
        dashboards = Dashboards(
            self,
            "Dashboards",
            DashboardsProps(
                settings=settings,
                algorithms=catalogue.algorithms(),
                pipelines=training.pipelines,
                experiments=experiments.state_machine,
                functions=[one for one in found if isinstance(one, PipelineFunction)],
                alarms=[one for one in found if isinstance(one, cloudwatch.Alarm)],
            ),
        )
        cdk.CfnOutput(self, "Names", value=",".join(dashboards.names))
