"""What CloudFormation takes to make, change, read and delete a resource, by type.

Each type's schema lists its handlers' permissions
(https://docs.aws.amazon.com/cloudformation-cli/latest/userguide/resource-type-schema.html). They are granted on our
names where AWS gives names that can be known beforehand. What a name begins with is the deployment's prefix
(`Kindling...`, for what CloudFormation names) or its name (`kindling-...`, for what we name).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from kindling.bootstrap.toolkit import QUALIFIER
from stacks.settings import Settings

# AWS's own account that the public layer of Powertools is in.
_POWERTOOLS_ACCOUNT = "017000801446"
# Whom CloudFormation hands our roles to. SageMaker's are handed over by the pipelines' roles, not by CloudFormation.
_PASSED_TO = ("events.amazonaws.com", "lambda.amazonaws.com", "states.amazonaws.com", "vpc-flow-logs.amazonaws.com")

Grants = dict[str, "list[Grant]"]  # by type of resource


@dataclass(frozen=True)
class Grant:
    """Actions of one service on resources. `conditions` as in IAM's documents."""

    service: str
    actions: Sequence[str]
    resources: Sequence[str]
    conditions: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Scope:
    """Where the policies hold, and for which deployment. IAM is global, so the region is part of their names."""

    settings: Settings
    partition: str
    account: str
    region: str

    def arn(self, service: str, what: str) -> str:
        """Something in this account and region."""
        return f"arn:{self.partition}:{service}:{self.region}:{self.account}:{what}"

    def global_arn(self, service: str, what: str) -> str:
        """Something in this account that belongs to no region."""
        return f"arn:{self.partition}:{service}::{self.account}:{what}"

    @property
    def boundary(self) -> str | None:
        """The ARN of the permissions boundary that every role must have, if the settings name one."""
        named = self.settings.permissions_boundary
        return named if named is None or named.startswith("arn:") else self.global_arn("iam", f"policy/{named}")


def of_assets(scope: Scope) -> Grants:
    """What every deployment needs: the assets of the bootstrap bucket, and the bootstrap's version."""
    bucket = f"arn:{scope.partition}:s3:::cdk-{QUALIFIER}-assets-{scope.account}-{scope.region}"
    via_s3 = {"StringEquals": {"kms:ViaService": f"s3.{scope.region}.amazonaws.com"}}
    return {
        "assets": [
            Grant("s3", ["GetObject", "GetObjectVersion"], [f"{bucket}/*"]),
            Grant("kms", ["Decrypt"], [scope.arn("kms", "key/*")], via_s3),
            Grant("ssm", ["GetParameters"], [scope.arn("ssm", f"parameter/cdk-bootstrap/{QUALIFIER}/*")]),
        ]
    }


def of_storage(scope: Scope) -> Grants:
    buckets = [f"arn:{scope.partition}:s3:::{scope.settings.prefix.lower()}*"]
    # Keys have no names; those of others are as far away as their own policies keep them.
    keys = [scope.arn("kms", "key/*")]
    return {
        "AWS::S3::Bucket": [
            Grant(
                "s3",
                [
                    *("CreateBucket", "DeleteBucket", "ListBucket", "GetBucket*", "Get*Configuration"),
                    *("PutBucketTagging", "PutBucketVersioning", "PutBucketLogging", "PutBucketPublicAccessBlock"),
                    *("PutBucketNotification",),
                    *("PutBucketOwnershipControls", "PutEncryptionConfiguration", "PutLifecycleConfiguration"),
                    *("TagResource", "UntagResource", "ListTagsForResource"),
                ],
                buckets,
            )
        ],
        "AWS::S3::BucketPolicy": [
            Grant("s3", ["PutBucketPolicy", "GetBucketPolicy", "DeleteBucketPolicy"], buckets),
        ],
        "AWS::KMS::Key": [
            Grant("kms", ["CreateKey"], ["*"]),
            Grant(
                "kms",
                [
                    *("DescribeKey", "EnableKey", "DisableKey", "EnableKeyRotation", "DisableKeyRotation"),
                    *("GetKeyPolicy", "GetKeyRotationStatus", "ListResourceTags", "PutKeyPolicy"),
                    *("ScheduleKeyDeletion", "TagResource", "UntagResource", "UpdateKeyDescription"),
                ],
                keys,
            ),
        ],
        "AWS::ECR::Repository": [
            Grant(
                "ecr",
                [
                    *("CreateRepository", "DeleteRepository", "DescribeRepositories"),
                    *("PutLifecyclePolicy", "GetLifecyclePolicy", "DeleteLifecyclePolicy"),
                    *("SetRepositoryPolicy", "GetRepositoryPolicy", "DeleteRepositoryPolicy"),
                    *("PutImageScanningConfiguration", "PutImageTagMutability"),
                    *("TagResource", "UntagResource", "ListTagsForResource"),
                ],
                [scope.arn("ecr", f"repository/{scope.settings.name}-*")],
            )
        ],
    }


def of_code(scope: Scope) -> Grants:
    made = f"{scope.settings.prefix}*"
    # CloudFormation names layers and state machines after their logical ids alone.
    layers = scope.arn("lambda", "layer:*")
    public = f"arn:{scope.partition}:lambda:{scope.region}:{_POWERTOOLS_ACCOUNT}:layer:*"
    return {
        "AWS::Lambda::Function": [
            Grant(
                "lambda",
                [
                    *("CreateFunction", "DeleteFunction", "UpdateFunctionCode", "UpdateFunctionConfiguration"),
                    *("GetFunction*", "GetRuntimeManagementConfig", "PutFunctionRecursionConfig"),
                    *("PutRuntimeManagementConfig", "TagResource", "UntagResource", "ListTags"),
                ],
                [scope.arn("lambda", f"function:{made}")],
            ),
            Grant("lambda", ["GetLayerVersion"], [layers, public]),
            # Environments are encrypted with the buckets' key, which Lambda uses in the name of who deploys.
            Grant(
                "kms",
                ["CreateGrant", "Decrypt", "DescribeKey", "Encrypt", "GenerateDataKey"],
                [scope.arn("kms", "key/*")],
                {"StringEquals": {"kms:ViaService": f"lambda.{scope.region}.amazonaws.com"}},
            ),
            _passing(scope),
        ],
        "AWS::Lambda::LayerVersion": [
            Grant("lambda", ["PublishLayerVersion", "DeleteLayerVersion", "GetLayerVersion"], [layers])
        ],
        "AWS::Lambda::Permission": [
            Grant(
                "lambda", ["AddPermission", "RemovePermission", "GetPolicy"], [scope.arn("lambda", f"function:{made}")]
            )
        ],
        "AWS::StepFunctions::StateMachine": [
            Grant(
                "states",
                [
                    *("CreateStateMachine", "UpdateStateMachine", "DeleteStateMachine", "DescribeStateMachine"),
                    *("TagResource", "UntagResource", "ListTagsForResource"),
                ],
                [scope.arn("states", "stateMachine:*")],
            ),
            _passing(scope),
        ],
        "AWS::Logs::LogGroup": [
            Grant(
                "logs",
                [
                    *("CreateLogGroup", "DeleteLogGroup", "PutRetentionPolicy", "DeleteRetentionPolicy"),
                    *("AssociateKmsKey", "DisassociateKmsKey", "TagResource", "UntagResource", "ListTagsForResource"),
                    *("GetDataProtectionPolicy", "DescribeIndexPolicies"),
                ],
                [scope.arn("logs", f"log-group:{made}")],
            ),
            Grant("logs", ["DescribeLogGroups", "DescribeResourcePolicies"], ["*"]),
        ],
    }


def of_messages(scope: Scope) -> Grants:
    topics = [scope.arn("sns", f"{scope.settings.prefix}*")]
    return {
        "AWS::SNS::Topic": [
            Grant(
                "sns",
                [
                    *("CreateTopic", "DeleteTopic", "GetTopicAttributes", "SetTopicAttributes"),
                    *("ListSubscriptionsByTopic", "GetDataProtectionPolicy"),
                    *("TagResource", "UntagResource", "ListTagsForResource"),
                ],
                topics,
            )
        ],
        "AWS::SNS::TopicPolicy": [Grant("sns", ["SetTopicAttributes"], topics)],
        "AWS::SNS::Subscription": [
            Grant(
                "sns",
                ["Subscribe", "Unsubscribe", "GetSubscriptionAttributes", "SetSubscriptionAttributes"],
                topics,
            )
        ],
        "AWS::SSM::Parameter": [
            Grant(
                "ssm",
                [
                    *("PutParameter", "DeleteParameter", "GetParameters"),
                    *("AddTagsToResource", "RemoveTagsFromResource", "ListTagsForResource"),
                ],
                [scope.arn("ssm", f"parameter/{scope.settings.name}/*")],
            )
        ],
    }


def of_models(scope: Scope) -> Grants:
    return {
        "AWS::SageMaker::ModelPackageGroup": [
            Grant(
                "sagemaker",
                [
                    *("CreateModelPackageGroup", "DeleteModelPackageGroup", "DescribeModelPackageGroup"),
                    *("GetModelPackageGroupPolicy", "DeleteModelPackageGroupPolicy"),
                    *("AddTags", "DeleteTags", "ListTags"),
                ],
                [scope.arn("sagemaker", f"model-package-group/{scope.settings.name}-*")],
            )
        ]
    }


def of_roles(scope: Scope) -> Grants:
    """Our roles only; with a boundary in the settings, only roles that have it, and nothing takes it from them."""
    roles = [scope.global_arn("iam", f"role/{scope.settings.prefix}*")]
    bounded = ["CreateRole", "PutRolePermissionsBoundary"]
    loosened = [] if scope.boundary else ["DeleteRolePermissionsBoundary"]
    within: Mapping[str, Any] = {}
    if scope.boundary:
        within = {"StringEquals": {"iam:PermissionsBoundary": scope.boundary}}
    return {
        "AWS::IAM::Role": [
            Grant(
                "iam",
                [
                    *("GetRole", "UpdateRole", "UpdateRoleDescription", "UpdateAssumeRolePolicy", "DeleteRole"),
                    *("GetRolePolicy", "DeleteRolePolicy", "ListRolePolicies", "ListAttachedRolePolicies"),
                    *("TagRole", "UntagRole", "ListRoleTags", *loosened),
                ],
                roles,
            ),
            Grant("iam", [*bounded, "PutRolePolicy"], roles, within),
        ],
        "AWS::IAM::Policy": [
            Grant("iam", ["GetRolePolicy", "DeleteRolePolicy"], roles),
            Grant("iam", ["PutRolePolicy"], roles, within),
        ],
    }


def of_events(scope: Scope) -> Grants:
    """Rules and alarms are CloudFormation's to name, or ours where people look for them."""
    names = (f"{scope.settings.prefix}*", f"{scope.settings.name}-*")
    tagging = ("TagResource", "UntagResource", "ListTagsForResource")
    return {
        "AWS::Events::Rule": [
            Grant(
                "events",
                [
                    *("PutRule", "DeleteRule", "DescribeRule", "PutTargets", "RemoveTargets", "ListTargetsByRule"),
                    *tagging,
                ],
                [scope.arn("events", f"rule/{name}") for name in names],
            ),
            _passing(scope),
        ],
        "AWS::CloudWatch::Alarm": [
            Grant(
                "cloudwatch",
                ["PutMetricAlarm", "DeleteAlarms", "DescribeAlarms", *tagging],
                [scope.arn("cloudwatch", f"alarm:{name}") for name in names],
            )
        ],
        "AWS::CloudWatch::Dashboard": [
            Grant(
                "cloudwatch",
                ["PutDashboard", "GetDashboard", "DeleteDashboards", *tagging],
                [scope.global_arn("cloudwatch", f"dashboard/{name}") for name in (scope.settings.name, names[1])],
            )
        ],
        "AWS::SQS::Queue": [
            Grant(
                "sqs",
                [
                    *("CreateQueue", "DeleteQueue", "GetQueueAttributes", "SetQueueAttributes", "GetQueueUrl"),
                    *("TagQueue", "UntagQueue", "ListQueueTags"),
                ],
                [scope.arn("sqs", names[0])],
            )
        ],
        "AWS::SQS::QueuePolicy": [
            Grant("sqs", ["SetQueueAttributes", "GetQueueAttributes"], [scope.arn("sqs", names[0])])
        ],
    }


def of_network(scope: Scope) -> Grants:
    """Parts of a network have no names; what can be said is of which kinds they are, and that no instance is."""
    kinds = ("vpc", "subnet", "route-table", "security-group", "security-group-rule", "vpc-endpoint", "vpc-flow-log")
    parts = [scope.arn("ec2", f"{kind}/*") for kind in kinds]

    def of(*actions: str) -> list[Grant]:
        return [Grant("ec2", [*actions, "CreateTags", "DeleteTags"], parts), Grant("ec2", ["Describe*"], ["*"])]

    ingress = ("AuthorizeSecurityGroupIngress", "RevokeSecurityGroupIngress", "UpdateSecurityGroupRuleDescriptions*")
    egress = ("AuthorizeSecurityGroupEgress", "RevokeSecurityGroupEgress", "UpdateSecurityGroupRuleDescriptions*")
    return {
        "AWS::EC2::VPC": of("CreateVpc", "DeleteVpc", "ModifyVpcAttribute"),
        "AWS::EC2::Subnet": of("CreateSubnet", "DeleteSubnet", "ModifySubnetAttribute"),
        "AWS::EC2::RouteTable": of("CreateRouteTable", "DeleteRouteTable"),
        "AWS::EC2::SubnetRouteTableAssociation": of(
            "AssociateRouteTable", "DisassociateRouteTable", "ReplaceRouteTableAssociation"
        ),
        "AWS::EC2::SecurityGroup": of("CreateSecurityGroup", "DeleteSecurityGroup", *ingress, *egress),
        "AWS::EC2::SecurityGroupIngress": of(*ingress),
        "AWS::EC2::SecurityGroupEgress": of(*egress),
        "AWS::EC2::VPCEndpoint": [
            *of("CreateVpcEndpoint", "DeleteVpcEndpoints", "ModifyVpcEndpoint"),
            # The endpoints' names resolve within the network by a zone that AWS keeps.
            Grant("route53", ["AssociateVPCWithHostedZone"], ["*"]),
        ],
        "AWS::EC2::FlowLog": [
            *of("CreateFlowLogs", "DeleteFlowLogs"),
            Grant("logs", ["CreateLogDelivery", "DeleteLogDelivery"], ["*"]),
            _passing(scope),
        ],
    }


def of_account(scope: Scope) -> Grants:
    name = scope.settings.name
    tagging = ("TagResource", "UntagResource", "ListTagsForResource")
    return {
        "AWS::IAM::ManagedPolicy": [
            Grant(
                "iam",
                [
                    *("CreatePolicy", "DeletePolicy", "CreatePolicyVersion", "DeletePolicyVersion"),
                    *("GetPolicy", "GetPolicyVersion", "ListPolicyVersions", "ListEntitiesForPolicy"),
                ],
                [scope.global_arn("iam", f"policy/{name}-boundary")],
            )
        ],
        "AWS::Budgets::Budget": [
            Grant(
                "budgets", ["ModifyBudget", "ViewBudget", *tagging], [scope.global_arn("budgets", f"budget/{name}-*")]
            )
        ],
        "AWS::AccessAnalyzer::Analyzer": [
            Grant(
                "access-analyzer",
                [
                    *("CreateAnalyzer", "DeleteAnalyzer", "GetAnalyzer", "UpdateAnalyzer", "ListArchiveRules"),
                    *("TagResource", "UntagResource"),
                ],
                [scope.arn("access-analyzer", f"analyzer/{name}-*")],
            ),
            Grant("access-analyzer", ["ListAnalyzers"], ["*"]),
            _service_role(scope, "access-analyzer.amazonaws.com"),
        ],
        "AWS::ECR::RegistryScanningConfiguration": [
            # These know no resources: they are about the account's registry as a whole.
            Grant("ecr", ["GetRegistryScanningConfiguration", "PutRegistryScanningConfiguration"], ["*"]),
            Grant("inspector2", ["Enable", "Disable", "ListAccountPermissions"], ["*"]),
            _service_role(scope, "inspector2.amazonaws.com"),
        ],
    }


def _passing(scope: Scope) -> Grant:
    """Handing our roles to the services that act with them, and to no others."""
    to = {"StringEquals": {"iam:PassedToService": list(_PASSED_TO)}}
    return Grant("iam", ["PassRole"], [scope.global_arn("iam", f"role/{scope.settings.prefix}*")], to)


def _service_role(scope: Scope, service: str) -> Grant:
    """Having a service make the role that is its own, whose permissions are AWS's."""
    role = scope.global_arn("iam", f"role/aws-service-role/{service}/*")
    return Grant("iam", ["CreateServiceLinkedRole"], [role], {"StringEquals": {"iam:AWSServiceName": service}})
