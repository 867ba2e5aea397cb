"""The most that a role of the app may ever do, whatever its own policies say."""

from __future__ import annotations

from collections.abc import Sequence

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from constructs import Construct

from stacks.acknowledgements import acknowledge, wildcard
from stacks.constructs.image_repository import PULLING
from stacks.settings import Settings

# What changes something in IAM, CreateRole and DeleteRolePermissionsBoundary among it. PassRole does not: what may be
# passed, and to whom, is said below.
_CHANGES_OF_IAM = [
    f"iam:{verb}*"
    for verb in (
        *("Add", "Attach", "Change", "Create", "Deactivate", "Delete", "Detach", "Enable", "Put", "Remove", "Reset"),
        *("Resync", "Set", "Tag", "Untag", "Update", "Upload"),
    )
]
# AWS makes this role when the first endpoint is scaled, in the name of who asks for it; its permissions are AWS's own.
_SCALING_ROLE = "role/aws-service-role/sagemaker.application-autoscaling.amazonaws.com/*"


class PermissionBoundary(Construct):
    """The managed policy `<name>-boundary`, for the setting `permissions_boundary`.

    It allows what the app's roles have need of, on the app's own names where AWS gives names that can be known
    beforehand, and denies to change IAM, to leave the organisation, and with that to change or to shed the boundary.
    """

    def __init__(self, scope: Construct, id: str, settings: Settings) -> None:
        super().__init__(scope, id)
        self.name = f"{settings.name}-boundary"
        # What CloudFormation names begins with its stack's name; what the app names, with the deployment's.
        allowed = [*_named(f"{settings.prefix}*", f"{settings.name}-*"), *_of_the_account()]
        policy = iam.ManagedPolicy(
            self,
            "Policy",
            managed_policy_name=self.name,
            description=f"The most that the roles of {settings.name} may do (docs/account.md)",
            statements=[*allowed, *_denied()],
        )
        reason = "A boundary gives nothing: it says how far the policies of roles, which are narrow, have effect."
        actions = {f"AwsSolutions-IAM5[Action::{action}]" for one in allowed for action in one.actions if "*" in action}
        resources = {wildcard(self, arn) for one in allowed for arn in one.resources if "*" in arn}
        acknowledge(policy, dict.fromkeys(sorted(actions | resources), reason))


def _named(made: str, given: str) -> list[iam.PolicyStatement]:
    """What bears the names of the app's stacks (`made`), or of the deployment (`given`)."""
    return [
        _allow(
            "Jobs",
            [f"sagemaker:*{one}" for one in ("EndpointConfig", "Job", "Model", "ModelPackage")]
            + ["sagemaker:AddTags", "sagemaker:ListTags"],
            [_arn("sagemaker", f"*/{given}")],
        ),
        _allow(
            "Objects",
            [f"s3:{one}" for one in ("AbortMultipartUpload", "DeleteObject", "GetObject", "ListBucket", "PutObject")],
            [f"arn:{cdk.Aws.PARTITION}:s3:::{made.lower()}"],
        ),
        _allow("Functions", ["lambda:InvokeFunction"], [_arn("lambda", f"function:{made}")]),
        _allow("Topics", ["sns:Publish"], [_arn("sns", made)]),
        _allow("Images", PULLING, [_arn("ecr", f"repository/{given}")]),
        _allow(
            "Logs",
            [f"logs:{one}" for one in ("CreateLogGroup", "CreateLogStream", "DescribeLogStreams", "PutLogEvents")]
            + ["logs:ListTagsForResource", "logs:PutRetentionPolicy"],
            [_arn("logs", f"log-group:{group}") for group in (made, "/aws/sagemaker/*")],
        ),
        _allow(
            "Alarms",
            ["cloudwatch:DeleteAlarms", "cloudwatch:PutMetricAlarm", "cloudwatch:TagResource"],
            # Those of endpoints that are scaled are named by AWS.
            [_arn("cloudwatch", f"alarm:{alarm}") for alarm in (given, "TargetTracking-endpoint/*")],
        ),
        iam.PolicyStatement(
            sid="Roles",
            actions=["iam:PassRole"],
            resources=[_global_arn(f"role/{made}")],
            conditions={"StringEquals": {"iam:PassedToService": "sagemaker.amazonaws.com"}},
        ),
    ]


def _of_the_account() -> list[iam.PolicyStatement]:
    """What has no name that is known beforehand, and what knows no resource at all."""
    return [
        # Users name their endpoints; what stands behind one may have been made by hand.
        _allow(
            "Endpoints",
            [f"sagemaker:{one}" for one in ("AddTags", "CreateEndpoint", "DeleteEndpoint", "DescribeEndpoint*")]
            + [f"sagemaker:{one}" for one in ("DescribeModel", "InvokeEndpoint", "ListTags", "UpdateEndpoint*")],
            [_arn("sagemaker", f"{kind}/*") for kind in ("endpoint", "endpoint-config", "model")],
        ),
        _allow("Keys", ["kms:Decrypt", "kms:DescribeKey", "kms:GenerateDataKey"], [_arn("kms", "key/*")]),
        iam.PolicyStatement(
            sid="Grants",
            actions=["kms:CreateGrant"],
            resources=[_arn("kms", "key/*")],
            conditions={"Bool": {"kms:GrantIsForAWSResource": "true"}},
        ),
        _allow(
            "Interfaces",
            ["ec2:CreateNetworkInterface", "ec2:CreateNetworkInterfacePermission", "ec2:DeleteNetworkInterface"],
            [_arn("ec2", f"{kind}/*") for kind in ("network-interface", "security-group", "subnet")],
        ),
        _allow(
            "Executions",
            [f"states:{one}" for one in ("DescribeExecution", "StartExecution", "StopExecution")],
            [_arn("states", f"{kind}:*") for kind in ("execution", "stateMachine")],
        ),
        _allow(
            "Ends",
            [f"events:{one}" for one in ("DescribeRule", "PutRule", "PutTargets")],
            [_arn("events", "rule/StepFunctionsGetEventsFor*")],
        ),
        _allow(
            "Scaling",
            [
                f"application-autoscaling:{one}"
                for one in ("DeregisterScalableTarget", "PutScalingPolicy", "RegisterScalableTarget")
            ],
            [_arn("application-autoscaling", "scalable-target/*")],
        ),
        _allow("ScalingRole", ["iam:CreateServiceLinkedRole"], [_global_arn(_SCALING_ROLE)]),
        _allow(
            "Anything",
            [
                *("application-autoscaling:Describe*", "cloudwatch:DescribeAlarms", "cloudwatch:GetMetricStatistics"),
                *(
                    "cloudwatch:PutMetricData",
                    "ecr:GetAuthorizationToken",
                    "sagemaker:ListEndpoints",
                    "xray:GetSampling*",
                ),
                *("xray:PutTelemetryRecords", "xray:PutTraceSegments"),
                *("ec2:DeleteNetworkInterfacePermission", "ec2:Describe*"),
                *("logs:*LogDelivery", "logs:ListLogDeliveries", "logs:DescribeLogGroups"),
                *("logs:DescribeResourcePolicies", "logs:PutResourcePolicy"),
            ],
            ["*"],
        ),
    ]


def _denied() -> list[iam.PolicyStatement]:
    """Said outright, so that it stays denied whatever somebody adds to what is allowed."""
    return [
        iam.PolicyStatement(
            sid="NoChangeOfIam",
            effect=iam.Effect.DENY,
            actions=_CHANGES_OF_IAM,
            not_resources=[_global_arn(_SCALING_ROLE)],
        ),
        iam.PolicyStatement(
            sid="NothingOfTheOrganisation",
            effect=iam.Effect.DENY,
            actions=["account:*", "organizations:*"],
            resources=["*"],
        ),
    ]


def _allow(sid: str, actions: Sequence[str], resources: Sequence[str]) -> iam.PolicyStatement:
    return iam.PolicyStatement(sid=sid, actions=list(actions), resources=list(resources))


def _arn(service: str, what: str) -> str:
    """What is in this account, in whatever region."""
    return f"arn:{cdk.Aws.PARTITION}:{service}:*:{cdk.Aws.ACCOUNT_ID}:{what}"


def _global_arn(what: str) -> str:
    return f"arn:{cdk.Aws.PARTITION}:iam::{cdk.Aws.ACCOUNT_ID}:{what}"
