"""The Lambda functions that every algorithm's pipeline shares."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from constructs import Construct

from stacks.acknowledgements import objects_wildcard
from stacks.constructs.buckets import Buckets
from stacks.constructs.function_code import contract_layer
from stacks.constructs.pipeline_function import PipelineFunction, PipelineFunctionProps
from stacks.constructs.statements import sagemaker_operations
from stacks.settings import Settings

_MODEL_ARCHIVES = "*/output/model.tar.gz"
_USES_HOSTING = ("evaluate", "endpoint", "retire", "rollback")


@dataclass(frozen=True, kw_only=True)
class PipelineFunctionsProps:
    """What the functions read."""

    settings: Settings
    buckets: Buckets


class PipelineFunctions(Construct):
    """Plan, Evaluate, Endpoint, SmokeTest, Retire and Rollback, each with just the permissions of its calls."""

    def __init__(self, scope: Construct, id: str, props: PipelineFunctionsProps) -> None:
        super().__init__(scope, id)
        self._props = props
        ours = f"{props.settings.name}-*"
        self._jobs, self._models, self._configs = (
            self._arn(kind, ours) for kind in ("training-job", "model", "endpoint-config")
        )
        self._any_model, self._any_config = self._arn("model", "*"), self._arn("endpoint-config", "*")
        self._endpoints = self._arn("endpoint", "*")
        self.plan = self._plan()
        self.evaluate = self._evaluate()
        self.endpoint = self._make(
            "Endpoint",
            "endpoint",
            [sagemaker_operations("Look", ["DescribeEndpoint"], [self._endpoints])],
            timeout_s=30,
        )
        self.smoke_test = self._make(
            "SmokeTest",
            "smoke_test",
            [sagemaker_operations("Ask", ["InvokeEndpoint"], [self._endpoints])],
            timeout_s=90,
        )
        self.retire = self._retire()
        self.rollback = self._rollback()

    def substitutions(self) -> dict[str, str]:
        """The functions' ARNs by their names in the pipeline's definition."""
        return {f"{function.node.id}Function": function.function.function_arn for function in self.all()}

    def all(self) -> Sequence[PipelineFunction]:
        """Every function."""
        return (self.plan, self.evaluate, self.endpoint, self.smoke_test, self.retire, self.rollback)

    def _plan(self) -> PipelineFunction:
        look = iam.PolicyStatement(
            sid="LookForData", actions=["s3:ListBucket"], resources=[self._props.buckets.data.bucket_arn]
        )
        return self._make("Plan", "plan", [look], layers=[contract_layer(self)], memory_mb=512)

    def _evaluate(self) -> PipelineFunction:
        buckets = self._props.buckets
        read = [
            iam.PolicyStatement(
                sid="ReadModels", actions=["s3:GetObject"], resources=[buckets.models.arn_for_objects(_MODEL_ARCHIVES)]
            ),
            # Without it a missing archive would look like a forbidden one.
            iam.PolicyStatement(sid="FindModels", actions=["s3:ListBucket"], resources=[buckets.models.bucket_arn]),
            iam.PolicyStatement(sid="DecryptModels", actions=["kms:Decrypt"], resources=[buckets.key.key_arn]),
            sagemaker_operations("LookAtEndpoint", ["DescribeEndpoint"], [self._endpoints]),
            sagemaker_operations("LookAtConfig", ["DescribeEndpointConfig"], [self._any_config]),
            sagemaker_operations("LookAtModel", ["DescribeModel"], [self._any_model]),
            sagemaker_operations("LookAtJob", ["DescribeTrainingJob"], [self._jobs]),
        ]
        findings = {
            objects_wildcard(buckets.models, _MODEL_ARCHIVES): "Training jobs name the folders of their models."
        }
        # As long as it takes to read a model of some gigabytes to its end.
        return self._make("Evaluate", "evaluate", read, findings=findings, memory_mb=1024, timeout_s=600)

    def _retire(self) -> PipelineFunction:
        statements = [
            sagemaker_operations("LookAtConfig", ["DescribeEndpointConfig"], [self._any_config]),
            sagemaker_operations("DeleteConfig", ["DeleteEndpointConfig"], [self._configs]),
            sagemaker_operations("DeleteModel", ["DeleteModel"], [self._models]),
        ]
        return self._make("Retire", "retire", statements)

    def _rollback(self) -> PipelineFunction:
        statements = [
            sagemaker_operations("StopJob", ["DescribeTrainingJob", "StopTrainingJob"], [self._jobs]),
            sagemaker_operations("LookAtEndpoint", ["DescribeEndpoint", "DeleteEndpoint"], [self._endpoints]),
            # Back to a configuration that this pipeline need not have made.
            sagemaker_operations("PutEndpointBack", ["UpdateEndpoint"], [self._endpoints, self._any_config]),
            sagemaker_operations("LookAtConfig", ["DescribeEndpointConfig"], [self._any_config]),
            sagemaker_operations("DeleteConfig", ["DeleteEndpointConfig"], [self._configs]),
            sagemaker_operations("DeleteModel", ["DeleteModel"], [self._models]),
        ]
        return self._make("Rollback", "rollback", statements)

    def _make(
        self,
        id: str,
        folder: str,
        statements: Sequence[iam.PolicyStatement],
        *,
        findings: Mapping[str, str] | None = None,
        **more: Any,
    ) -> PipelineFunction:
        return PipelineFunction(
            self,
            id,
            PipelineFunctionProps(
                settings=self._props.settings,
                folder=folder,
                imports=("hosting",) if folder in _USES_HOSTING else (),
                statements=statements,
                wildcards=self._reasons(statements),
                findings=findings or {},
                **more,
            ),
        )

    def _reasons(self, statements: Sequence[iam.PolicyStatement]) -> dict[str, str]:
        reasons = {
            self._jobs: "Jobs are named after executions.",
            self._models: "Models are named after executions.",
            self._configs: "Endpoint configurations are named after executions.",
            self._endpoints: "The user names the endpoint in an execution's input.",
            self._any_config: "The endpoint may have been made by hand, with a configuration of any name.",
            self._any_model: "The endpoint may have been made by hand, with a model of any name.",
        }
        used = {arn for statement in statements for arn in statement.resources}
        return {arn: reason for arn, reason in reasons.items() if arn in used}

    def _arn(self, kind: str, name: str) -> str:
        return cdk.Stack.of(self).format_arn(service="sagemaker", resource=kind, resource_name=name)
