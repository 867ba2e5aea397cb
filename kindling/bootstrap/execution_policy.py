"""What CloudFormation may do when it deploys our stacks, in place of AdministratorAccess: by type of resource.

For each type of the templates: the actions that CloudFormation makes, changes, reads and deletes it with
(https://docs.aws.amazon.com/cloudformation-cli/latest/userguide/resource-type-schema.html: each type's schema lists
its handlers' permissions), on our names where AWS gives names that can be known beforehand. What a name begins with is
the deployment's prefix (`Kindling...`, for what CloudFormation names) or its name (`kindling-...`, for what we name).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from kindling.bootstrap.toolkit import QUALIFIER
from stacks.settings import Settings

Document = dict[str, Any]
# IAM counts the characters of a managed policy without white space.
LONGEST_DOCUMENT: Final = 6144
# AWS's own account that the public layer of Powertools is in.
_POWERTOOLS_ACCOUNT = "017000801446"
# Whom CloudFormation hands our roles to. SageMaker's are handed over by the pipelines' roles, not by CloudFormation.
_PASSED_TO = ("events.amazonaws.com", "lambda.amazonaws.com", "states.amazonaws.com", "vpc-flow-logs.amazonaws.com")


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


def stack_name(settings: Settings) -> str:
    """The stack that the policies are in. Not one of the app's, which `kindling teardown` takes away."""
    return f"{settings.name}-deployment-policies"


def policy_arns(scope: Scope) -> list[str]:
    """The ARNs of the policies."""
    return [scope.global_arn("iam", f"policy/{name}") for name in documents(scope)]


def documents(scope: Scope) -> dict[str, Document]:
    """The managed policies by name: more than one, for each may have so many characters only.

    Raises:
        ValueError: one is longer than IAM takes.
    """
    name = f"{scope.settings.name}-deployment"
    parts = {
        f"{name}-{scope.region}": {
            **_always(scope),
            **_storage(scope),
            **_code(scope),
            **_models(scope),
            **_roles(scope),
        },
        f"{name}-account-{scope.region}": {**_messages(scope), **_events(scope), **_account(scope)},
    }
    if scope.settings.network == "private":
        parts[f"{name}-network-{scope.region}"] = _network(scope)
    found = {
        part: _document(grant for grants in part_of.values() for grant in grants) for part, part_of in parts.items()
    }
    for part, document in found.items():
        if (length := len(json.dumps(document, separators=(",", ":")))) > LONGEST_DOCUMENT:
            raise ValueError(f"the policy {part} has {length} characters; IAM takes {LONGEST_DOCUMENT}.")
    return found


def template(scope: Scope) -> str:
    """The CloudFormation template that makes the policies."""
    resources = {
        f"Policy{number}": {
            "Type": "AWS::IAM::ManagedPolicy",
            "Properties": {
                "ManagedPolicyName": name,
                "Description": f"What CloudFormation may do when it deploys {scope.settings.name} (docs/bootstrap.md)",
                "PolicyDocument": document,
            },
        }
        for number, (name, document) in enumerate(documents(scope).items(), start=1)
    }
    return json.dumps(
        {
            "AWSTemplateFormatVersion": "2010-09-09",
            "Description": "Kindling: what CloudFormation may do when it deploys",
            "Resources": resources,
        },
        indent=1,
    )


def table(scope: Scope) -> dict[str, list[Grant]]:
    """What CloudFormation needs, by type of resource."""
    network = _network(scope) if scope.settings.network == "private" else {}
    code, messages = {**_code(scope), **_models(scope)}, {**_messages(scope), **_events(scope)}
    return {**_storage(scope), **code, **_roles(scope), **messages, **_account(scope), **network}


def _always(scope: Scope) -> dict[str, list[Grant]]:
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


def _storage(scope: Scope) -> dict[str, list[Grant]]:
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


def _code(scope: Scope) -> dict[str, list[Grant]]:
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


def _messages(scope: Scope) -> dict[str, list[Grant]]:
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


def _models(scope: Scope) -> dict[str, list[Grant]]:
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


def _roles(scope: Scope) -> dict[str, list[Grant]]:
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


def _events(scope: Scope) -> dict[str, list[Grant]]:
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


def _network(scope: Scope) -> dict[str, list[Grant]]:
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


def _account(scope: Scope) -> dict[str, list[Grant]]:
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


def _document(grants: Iterable[Grant]) -> Document:
    """The grants as one document; those on the same resources under the same conditions are one statement."""
    statements: dict[str, tuple[Grant, dict[str, None]]] = {}
    for grant in grants:
        key = json.dumps([grant.service, list(grant.resources), grant.conditions], sort_keys=True)
        _, actions = statements.setdefault(key, (grant, {}))
        actions |= dict.fromkeys(f"{grant.service}:{action}" for action in grant.actions)
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Action": sorted(actions),
                "Resource": list(grant.resources),
                **({"Condition": dict(grant.conditions)} if grant.conditions else {}),
            }
            for grant, actions in statements.values()
        ],
    }
