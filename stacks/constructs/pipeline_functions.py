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
from stacks.constructs.statements import sagemaker_operations, volume_encryption
from stacks.settings import Settings

_MODEL_ARCHIVES, _EVALUATIONS = "*/output/model.tar.gz", "*/output/evaluation.json"
_PREPARED = "*/prepared/*"
_OF_SAGEMAKER = {"StringEquals": {"application-autoscaling:service-namespace": "sagemaker"}}
# What a function imports of other functions' folders.
_IMPORTS: Mapping[str, tuple[str, ...]] = {
    **dict.fromkeys(("evaluate", "endpoint", "retire", "spot"), ("hosting",)),
    "compare": ("evaluate", "hosting"),
    "rollback": ("guard", "hosting"),
}


@dataclass(frozen=True, kw_only=True)
class PipelineFunctionsProps:
    """What the functions read and write."""

    settings: Settings
    buckets: Buckets


class PipelineFunctions(Construct):
    """One for each kind of work, each with just the permissions of its calls."""

    def __init__(self, scope: Construct, id: str, props: PipelineFunctionsProps) -> None:
        super().__init__(scope, id)
        self._props = props
        ours = f"{props.settings.name}-*"
        self._jobs, self._models, self._configs = (
            self._arn(kind, ours) for kind in ("training-job", "model", "endpoint-config")
        )
        self._packages, self._groups = self._arn("model-package", ours), self._arn("model-package-group", ours)
        self._preparations, self._tunings, self._batches = (
            self._arn(kind, ours) for kind in ("processing-job", "hyper-parameter-tuning-job", "transform-job")
        )
        self._alarms = self._arn_of("cloudwatch", "alarm", ours)
        self._scaling_alarms = self._arn_of("cloudwatch", "alarm", "TargetTracking-endpoint/*")
        self._scalable = self._arn_of("application-autoscaling", "scalable-target", "*", separator="/")
        self._any_model, self._any_config = self._arn("model", "*"), self._arn("endpoint-config", "*")
        self._endpoints = self._arn("endpoint", "*")
        self.plan = self._plan()
        self.evaluate = self._evaluation("Evaluate", "evaluate")
        self.compare = self._evaluation("Compare", "compare")
        self.endpoint = self._make(
            "Endpoint",
            "endpoint",
            [
                sagemaker_operations("Look", ["DescribeEndpoint"], [self._endpoints]),
                sagemaker_operations("LookAtConfig", ["DescribeEndpointConfig"], [self._any_config]),
            ],
            timeout_s=30,
        )
        self.smoke_test = self._make(
            "SmokeTest",
            "smoke_test",
            [
                sagemaker_operations("Ask", ["InvokeEndpoint"], [self._endpoints]),
                iam.PolicyStatement(sid="CountCopies", actions=["cloudwatch:GetMetricStatistics"], resources=["*"]),
            ],
            # As long as it takes until CloudWatch tells of a shadow's requests.
            timeout_s=420,
        )
        self.spot = self._make(
            "Spot",
            "spot",
            [sagemaker_operations("WatchJob", ["DescribeTrainingJob", "StopTrainingJob"], [self._jobs])],
        )
        self.register = self._register()
        self.guard = self._guard()
        self.clean_up = self._clean_up()
        self.retire = self._retire()
        self.rollback = self._rollback()

    def substitutions(self) -> dict[str, str]:
        """The functions' ARNs by their names in the pipeline's definition."""
        return {f"{function.node.id}Function": function.function.function_arn for function in self.all()}

    def all(self) -> Sequence[PipelineFunction]:
        """Every function."""
        return (
            *(self.plan, self.spot, self.evaluate, self.compare, self.register, self.endpoint, self.guard),
            *(self.smoke_test, self.retire, self.clean_up, self.rollback),
        )

    def _plan(self) -> PipelineFunction:
        look = iam.PolicyStatement(
            sid="LookForData", actions=["s3:ListBucket"], resources=[self._props.buckets.data.bucket_arn]
        )
        return self._make("Plan", "plan", [look], layers=[contract_layer(self)], memory_mb=512)

    def _evaluation(self, id: str, folder: str) -> PipelineFunction:
        """A function that reads models' archives, and looks at what an endpoint serves."""
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
        return self._make(id, folder, read, findings=findings, memory_mb=1024, timeout_s=600)

    def _register(self) -> PipelineFunction:
        buckets = self._props.buckets
        statements = [
            iam.PolicyStatement(
                sid="KeepEvaluation",
                actions=["s3:PutObject"],
                resources=[buckets.models.arn_for_objects(_EVALUATIONS)],
            ),
            iam.PolicyStatement(
                sid="EncryptEvaluation", actions=["kms:Decrypt", "kms:GenerateDataKey"], resources=[buckets.key.key_arn]
            ),
            sagemaker_operations("Register", ["CreateModelPackage"], [self._groups, self._packages]),
        ]
        findings = {objects_wildcard(buckets.models, _EVALUATIONS): "Training jobs name the folders of their models."}
        return self._make("Register", "register", statements, findings=findings)

    def _guard(self) -> PipelineFunction:
        return self._make("Guard", "guard", [self._put_alarms(), *self._scale(), *self._unscale()])

    def _put_alarms(self) -> iam.PolicyStatement:
        return iam.PolicyStatement(
            sid="PutAlarms", actions=["cloudwatch:PutMetricAlarm", "cloudwatch:TagResource"], resources=[self._alarms]
        )

    def _unscale(self) -> list[iam.PolicyStatement]:
        return [
            iam.PolicyStatement(
                sid="Unscale",
                actions=["application-autoscaling:DeregisterScalableTarget"],
                resources=[self._scalable],
                conditions=_OF_SAGEMAKER,
            ),
            iam.PolicyStatement(
                sid="LookAtScaling", actions=["application-autoscaling:DescribeScalableTargets"], resources=["*"]
            ),
        ]

    def _scale(self) -> list[iam.PolicyStatement]:
        """Registering a variant makes the service-linked role that scales it, and asks SageMaker about it."""
        service = "sagemaker.application-autoscaling.amazonaws.com"
        role = cdk.Stack.of(self).format_arn(
            service="iam",
            region="",
            resource="role",
            resource_name=f"aws-service-role/{service}/AWSServiceRoleForApplicationAutoScaling_SageMakerEndpoint",
        )
        return [
            iam.PolicyStatement(
                sid="Scale",
                actions=[
                    "application-autoscaling:RegisterScalableTarget",
                    "application-autoscaling:PutScalingPolicy",
                ],
                resources=[self._scalable],
                conditions=_OF_SAGEMAKER,
            ),
            sagemaker_operations(
                "LookAtVariants", ["DescribeEndpoint", "DescribeEndpointConfig"], [self._endpoints, self._any_config]
            ),
            sagemaker_operations("ChangeCapacity", ["UpdateEndpointWeightsAndCapacities"], [self._endpoints]),
            iam.PolicyStatement(
                sid="PutScalingAlarms",
                actions=["cloudwatch:PutMetricAlarm", "cloudwatch:DescribeAlarms", "cloudwatch:DeleteAlarms"],
                resources=[self._scaling_alarms],
            ),
            iam.PolicyStatement(
                sid="MakeScalingRole",
                actions=["iam:CreateServiceLinkedRole"],
                resources=[role],
                conditions={"StringEquals": {"iam:AWSServiceName": service}},
            ),
        ]

    def _clean_up(self) -> PipelineFunction:
        buckets = self._props.buckets
        places = [
            buckets.data.arn_for_objects(_PREPARED),
            *(buckets.models.arn_for_objects(pattern) for pattern in self._left()),
        ]
        statements = [
            iam.PolicyStatement(
                sid="FindLeftovers",
                actions=["s3:ListBucket"],
                resources=[buckets.data.bucket_arn, buckets.models.bucket_arn],
            ),
            iam.PolicyStatement(sid="DeleteLeftovers", actions=["s3:DeleteObject"], resources=places),
        ]
        findings = {
            objects_wildcard(buckets.data, _PREPARED): "What preparations make, named after executions.",
            **{
                objects_wildcard(buckets.models, pattern): "Checkpoints and models of tuning, named after executions."
                for pattern in self._left()
            },
        }
        return self._make("CleanUp", "clean_up", statements, findings=findings, timeout_s=600)

    def _left(self) -> tuple[str, str]:
        return "*/checkpoints/*", f"*/{self._props.settings.name}-*"

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
            sagemaker_operations(
                "StopPreparation", ["DescribeProcessingJob", "StopProcessingJob"], [self._preparations]
            ),
            sagemaker_operations(
                "StopTuning", ["DescribeHyperParameterTuningJob", "StopHyperParameterTuningJob"], [self._tunings]
            ),
            sagemaker_operations("StopBatch", ["DescribeTransformJob", "StopTransformJob"], [self._batches]),
            sagemaker_operations("RejectModel", ["UpdateModelPackage"], [self._packages]),
            iam.PolicyStatement(sid="DeleteAlarms", actions=["cloudwatch:DeleteAlarms"], resources=[self._alarms]),
            *self._unscale(),
            sagemaker_operations("LookAtEndpoint", ["DescribeEndpoint", "DeleteEndpoint"], [self._endpoints]),
            # Back to a configuration that this pipeline need not have made.
            sagemaker_operations("PutEndpointBack", ["UpdateEndpoint"], [self._endpoints, self._any_config]),
            *volume_encryption(self._props.buckets.key),
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
                imports=_IMPORTS.get(folder, ()),
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
            **dict.fromkeys(
                (self._preparations, self._tunings, self._batches, self._packages, self._groups, self._alarms),
                "Named after executions, algorithms and endpoints.",
            ),
            **dict.fromkeys(
                (self._scalable, self._scaling_alarms),
                "The service names them after endpoints, whose names are the user's.",
            ),
        }
        used = {arn for statement in statements for arn in statement.resources}
        return {arn: reason for arn, reason in reasons.items() if arn in used}

    def _arn(self, kind: str, name: str) -> str:
        return self._arn_of("sagemaker", kind, name, separator="/")

    def _arn_of(self, service: str, kind: str, name: str, *, separator: str = ":") -> str:
        form = cdk.ArnFormat.SLASH_RESOURCE_NAME if separator == "/" else cdk.ArnFormat.COLON_RESOURCE_NAME
        return cdk.Stack.of(self).format_arn(service=service, resource=kind, resource_name=name, arn_format=form)
