"""One Lambda function of the pipelines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from stacks.acknowledgements import acknowledge, wildcard
from stacks.base import HouseStack
from stacks.constructs.function_code import function_modules, laid_out
from stacks.constructs.log_group import log_group
from stacks.settings import Settings

# The public layer of Powertools 3 (its documentation names this version), with pydantic and the X-Ray SDK in it.
_POWERTOOLS_LAYER = "arn:${AWS::Partition}:lambda:${AWS::Region}:017000801446:layer:" + (
    "AWSLambdaPowertoolsPythonV3-python311-x86_64:27"
)


@dataclass(frozen=True, kw_only=True)
class PipelineFunctionProps:
    """A function: its folder below lambdas/, the other folders it imports, and the only calls that it makes.

    `wildcards` gives the reason for each ARN with a wildcard in `statements`, `findings` for findings named otherwise;
    `page` documents its input and output.
    """

    settings: Settings
    folder: str
    imports: Sequence[str] = ()
    statements: Sequence[iam.PolicyStatement]
    wildcards: Mapping[str, str]
    findings: Mapping[str, str] = field(default_factory=dict)
    layers: Sequence[lambda_.ILayerVersion] = ()
    memory_mb: int = 256
    timeout_s: int = 60
    page: str = "docs/pipeline.md"


class PipelineFunction(Construct):
    """A function with a role and a log group of its own, traced, logging in JSON."""

    def __init__(self, scope: Construct, id: str, props: PipelineFunctionProps) -> None:
        super().__init__(scope, id)
        self._logs = log_group(self, "Logs", props.settings)
        self.role = self._role(props)
        self.function = self._function(props)
        self._acknowledge(props)

    def _role(self, props: PipelineFunctionProps) -> iam.Role:
        logs = iam.PolicyStatement(
            sid="WriteLogs",
            actions=["logs:CreateLogStream", "logs:PutLogEvents"],
            resources=[self._logs.log_group_arn],
        )
        return iam.Role(
            self,
            "Role",
            description=f"Lambda function {props.folder} ({props.page})",
            assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"),
            inline_policies={"Function": iam.PolicyDocument(statements=[logs, *props.statements])},
        )

    def _function(self, props: PipelineFunctionProps) -> lambda_.Function:
        stack = cdk.Stack.of(self)
        powertools = lambda_.LayerVersion.from_layer_version_arn(self, "Powertools", cdk.Fn.sub(_POWERTOOLS_LAYER))
        with laid_out(function_modules(props.folder, *props.imports)) as code:
            return lambda_.Function(
                self,
                "Function",
                description=f"{props.settings.name}: {props.folder} ({props.page})",
                # The version that the house is tested with.
                runtime=lambda_.Runtime.PYTHON_3_11,
                architecture=lambda_.Architecture.X86_64,
                handler=f"lambdas.{props.folder}.handler.handler",
                code=lambda_.Code.from_asset(code),
                layers=[powertools, *props.layers],
                role=self.role,
                log_group=self._logs,
                logging_format=lambda_.LoggingFormat.JSON,
                tracing=lambda_.Tracing.ACTIVE,
                memory_size=props.memory_mb,
                timeout=cdk.Duration.seconds(props.timeout_s),
                environment={
                    "POWERTOOLS_SERVICE_NAME": f"{props.settings.name}-{props.folder.replace('_', '-')}",
                    "POWERTOOLS_LOG_LEVEL": "INFO",
                },
                environment_encryption=stack.logs_key if isinstance(stack, HouseStack) else None,
            )

    def _acknowledge(self, props: PipelineFunctionProps) -> None:
        acknowledge(
            self.function, {"AwsSolutions-L1": "The code is written for, locked to and tested with Python 3.11."}
        )
        acknowledge(
            self.role,
            {
                wildcard(self, self._logs.log_group_arn): "The streams of the function's own log group.",
                "AwsSolutions-IAM5[Resource::*]": "X-Ray's operations know no resource.",
                **{wildcard(self, arn): reason for arn, reason in props.wildcards.items()},
                **props.findings,
            },
        )
