"""Experiments: training pipelines run side by side and compared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import aws_cdk as cdk
from aws_cdk import aws_ecr as ecr
from aws_cdk import aws_iam as iam
from aws_cdk import aws_sns as sns
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from containers import catalogue
from contract.specification import Algorithm
from stacks.acknowledgements import objects_wildcard
from stacks.base import camel
from stacks.constructs.batch_role import BatchRole, BatchRoleProps
from stacks.constructs.buckets import Buckets
from stacks.constructs.experiment_role import ExperimentRole, ExperimentRoleProps
from stacks.constructs.experiment_states import definition
from stacks.constructs.function_code import contract_layer
from stacks.constructs.network import Network, let_join
from stacks.constructs.pipeline_function import PipelineFunction, PipelineFunctionProps
from stacks.constructs.state_machine import state_machine
from stacks.constructs.statements import sagemaker_operations
from stacks.constructs.training_pipeline import TrainingPipeline, name_prefix
from stacks.settings import Settings

_RESULTS = "experiments/*"
_NAMES = {"experiment_plan": "ExperimentPlan", "experiment_arm": "ExperimentArm"} | {
    "experiment_clean_up": "ExperimentCleanUp",
    "experiment_compare": "ExperimentCompare",
}


@dataclass(frozen=True, kw_only=True)
class ExperimentProps:
    """What experiments run: the pipelines by algorithm, their images' repository, and where data and results lie."""

    settings: Settings
    pipelines: Mapping[str, TrainingPipeline]
    repository: ecr.IRepository
    buckets: Buckets
    topic: sns.ITopic
    network: Network | None


class Experiment(Construct):
    """Plan -> for each arm: Run -> Measure -> Transform -> Ask -> and then: Clean up -> Compare -> Notify."""

    def __init__(self, scope: Construct, id: str, props: ExperimentProps) -> None:
        super().__init__(scope, id)
        self._props = props
        self._ours = f"{props.settings.name}-experiment"
        self.functions = [self._plan(), self._arm(), self._clean_up(), self._compare()]
        self.evaluation_role = self._evaluation_role()
        self.state_machine = self._state_machine()

    def _state_machine(self) -> sfn.StateMachine:
        props = self._props
        role = ExperimentRole(
            self,
            "Machine",
            ExperimentRoleProps(
                ours=self._ours,
                functions=[function.function for function in self.functions],
                pipelines=[pipeline.state_machine for pipeline in props.pipelines.values()],
                evaluation_role=self.evaluation_role,
                topic=props.topic,
                topic_key=props.buckets.key,
            ),
        ).role
        return state_machine(
            self,
            settings=props.settings,
            comment="experiments",
            definition=definition(self._site(), props.network.vpc_config() if props.network else None),
            substitutions={
                **{f"{function.node.id}Function": function.function.function_arn for function in self.functions},
                **{
                    f"{camel(name)}Machine": pipeline.state_machine.state_machine_arn
                    for name, pipeline in props.pipelines.items()
                },
                "EvaluationRole": self.evaluation_role.role_arn,
                "DataBucket": props.buckets.data.bucket_name,
                "ModelBucket": props.buckets.models.bucket_name,
                "Key": props.buckets.key.key_arn,
                "Topic": props.topic.topic_arn,
                **(props.network.substitutions() if props.network else {}),
            },
            role=role,
        )

    def _site(self) -> dict[str, Any]:
        """lambdas/experiment_plan/plan.py"""
        return {
            "name_prefix": self._ours,
            "data_bucket": "${DataBucket}",
            "model_bucket": "${ModelBucket}",
            "algorithms": {name: self._pipeline(catalogue.algorithms()[name]) for name in self._props.pipelines},
        }

    def _pipeline(self, algorithm: Algorithm) -> dict[str, Any]:
        return {
            "state_machine": f"${{{camel(algorithm.name)}Machine}}",
            "name_prefix": name_prefix(self._props.settings, algorithm),
            "instance_count": algorithm.resources.instance_count,
            "distributions": list(algorithm.channels["train"].distribution),
            "distributed": algorithm.distributed,
            "seeded": "seed" in algorithm.hyperparameters,
            "answers": list(algorithm.serving.content_types),
            "metrics": {metric.name: metric.goal for metric in algorithm.metrics},
        }

    def _evaluation_role(self) -> iam.Role:
        """As whom models of batch transforms run."""
        role = BatchRole(
            self,
            "Evaluation",
            BatchRoleProps(
                buckets=self._props.buckets,
                repository=self._props.repository,
                records="*",
                answers=_RESULTS,
                reasons=(
                    "Test data lie in any algorithm's part of the data.",
                    "Answers lie beside the experiment's result.",
                ),
            ),
        ).role
        if self._props.network is not None:
            let_join(role, self._props.network)
        return role

    def _plan(self) -> PipelineFunction:
        look = iam.PolicyStatement(
            sid="LookForData", actions=["s3:ListBucket"], resources=[self._props.buckets.data.bucket_arn]
        )
        return self._make("experiment_plan", [look], imports=("plan",), layers=[contract_layer(self)], memory_mb=512)

    def _arm(self) -> PipelineFunction:
        buckets = self._props.buckets
        jobs, endpoints = self._any("training-job"), self._any("endpoint")
        statements = [
            sagemaker_operations("LookAtJob", ["DescribeTrainingJob"], [jobs]),
            sagemaker_operations("Ask", ["InvokeEndpoint"], [endpoints]),
            iam.PolicyStatement(
                sid="ReadTest", actions=["s3:GetObject"], resources=[buckets.data.arn_for_objects("*")]
            ),
            iam.PolicyStatement(sid="FindTest", actions=["s3:ListBucket"], resources=[buckets.data.bucket_arn]),
            *self._results(),
        ]
        findings = {
            objects_wildcard(buckets.data, "*"): "Test data lie in any algorithm's part of the data.",
            objects_wildcard(buckets.models, _RESULTS): "Results are named after executions.",
        }
        wildcards = {jobs: "Jobs are named after executions.", endpoints: "Endpoints are named after executions."}
        # As long as it takes to ask for a year of events; what is kept of each record is four bytes.
        return self._make(
            "experiment_arm", statements, wildcards=wildcards, findings=findings, memory_mb=2048, timeout_s=600
        )

    def _clean_up(self) -> PipelineFunction:
        arns = {kind: self._any(kind) for kind in ("endpoint", "endpoint-config", "model")}
        statements = [
            sagemaker_operations("DeleteEndpoint", ["DescribeEndpoint", "DeleteEndpoint"], [arns["endpoint"]]),
            sagemaker_operations("DeleteConfig", ["DeleteEndpointConfig"], [arns["endpoint-config"]]),
            sagemaker_operations("DeleteModel", ["DeleteModel"], [arns["model"]]),
        ]
        wildcards = dict.fromkeys(arns.values(), "All that an arm makes is named after executions.")
        return self._make("experiment_clean_up", statements, imports=("hosting", "rollback"), wildcards=wildcards)

    def _compare(self) -> PipelineFunction:
        findings = {objects_wildcard(self._props.buckets.models, _RESULTS): "Results are named after executions."}
        return self._make(
            "experiment_compare",
            self._results(),
            findings=findings,
            memory_mb=2048,
            timeout_s=600,
        )

    def _results(self) -> list[iam.PolicyStatement]:
        buckets = self._props.buckets
        return [
            iam.PolicyStatement(
                sid="KeepResults",
                actions=["s3:GetObject", "s3:PutObject"],
                resources=[buckets.models.arn_for_objects(_RESULTS)],
            ),
            iam.PolicyStatement(
                sid="UseKey", actions=["kms:Decrypt", "kms:GenerateDataKey"], resources=[buckets.key.key_arn]
            ),
        ]

    def _make(
        self,
        folder: str,
        statements: Sequence[iam.PolicyStatement],
        *,
        wildcards: Mapping[str, str] | None = None,
        **more: Any,
    ) -> PipelineFunction:
        return PipelineFunction(
            self,
            _NAMES[folder],
            PipelineFunctionProps(
                settings=self._props.settings,
                folder=folder,
                statements=statements,
                wildcards=wildcards or {},
                **more,
            ),
        )

    def _any(self, kind: str) -> str:
        """What the deployment's pipelines and experiments have named."""
        return cdk.Stack.of(self).format_arn(
            service="sagemaker", resource=kind, resource_name=f"{self._props.settings.name}-*"
        )
