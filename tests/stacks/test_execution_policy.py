"""What CloudFormation may do when it deploys: enough for every resource of the templates, and nothing far beyond."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import cfnlint
import pytest

from kindling.bootstrap import execution_policy, toolkit
from kindling.bootstrap.grants import Scope
from kindling.localcloud.policy_evaluation import Request, decide
from kindling.policy_documents import ACCOUNT, REGION
from stacks.settings import Settings
from tests.stacks.synthesis import Assembly

SCHEMAS = Path(cfnlint.__file__).parent / "data" / "schemas" / "resources"
BOUNDARY = f"arn:aws:iam::{ACCOUNT}:policy/kindling-boundary"
_HERE = f"{REGION}:{ACCOUNT}"
PASSED_TO = "iam:PassedToService"

# What CloudFormation's handlers may call for properties that no template here has; a reason each.
UNUSED: Mapping[str, tuple[str, ...]] = {
    "AWS::AccessAnalyzer::Analyzer": (
        *("access-analyzer:.*ArchiveRule", "organizations:.*"),  # no archive rules, an analyser of the account only
    ),
    "AWS::Budgets::Budget": ("billing:.*",),  # no billing views
    "AWS::EC2::FlowLog": ("autoscaling:.*", "iam:CreateServiceLinkedRole", "s3:.*"),  # into a log group
    "AWS::EC2::Subnet": ("ec2:(Ass|Disass)ociateSubnetCidrBlock",),  # no IPv6
    "AWS::EC2::VPC": ("ec2:.*VpcEncryptionControls?", "ec2:ModifyVpcTenancy"),
    "AWS::EC2::VPCEndpoint": ("vpc-lattice:.*", "vpce:.*"),  # of services, in this region
    "AWS::ECR::Repository": ("kms:.*",),  # encrypted with AWS's own key
    "AWS::IAM::ManagedPolicy": ("iam:(At|De)tach.*",),  # attached to nobody
    "AWS::IAM::Policy": ("iam:.*(User|Group)Policy",),  # of roles only
    "AWS::IAM::Role": ("iam:(At|De)tachRolePolicy", "iam:DeleteRolePermissionsBoundary"),  # inline policies only
    "AWS::KMS::Key": (),
    "AWS::Lambda::Function": (
        *("ec2:.*", "elasticfilesystem:.*", "s3files:.*"),  # no network, no file system
        *("lambda:.*CodeSigningConfig", "lambda:.*Concurrency", "lambda:PublishVersion"),
        *("lambda:.*ScalingConfig", "lambda:PassCapacityProvider", "lambda:AssociateRuntimeAlias"),
    ),
    "AWS::Logs::LogGroup": (
        *("firehose:.*", "s3:REST.*", "logs:CreateLogDelivery", "logs:(Put|Delete)ResourcePolicy"),
        *("logs:(Put|Delete)(DataProtection|Index)Policy", "logs:PutBearerToken.*", "logs:PutLogGroupDeletion.*"),
    ),
    "AWS::S3::Bucket": (
        *("iam:PassRole", "s3tables:.*", "s3:.*MetadataTable.*", "s3:.*Metadata(Annotation|Inventory|Journal).*"),
        *("s3:.*(Accelerate|Analytics|IntelligentTiering|Inventory|Metrics|Replication).*",),
        *("s3:.*(CORS|Cors|Website|ObjectLock|Abac).*", "s3:Put(Object|Bucket)Acl", "s3:DeleteObject"),
        *("s3:DeleteBucketEncryption", "s3:DeleteBucketLifecycle"),  # names of operations: IAM knows Put* for both
    ),
    "AWS::SNS::Subscription": ("iam:.*",),  # no Firehose
    "AWS::SNS::Topic": ("iam:.*", "sns:PutDataProtectionPolicy", "sns:(Uns|S)ubscribe"),
    "AWS::SageMaker::ModelPackageGroup": ("sagemaker:PutModelPackageGroupPolicy",),
    "AWS::StepFunctions::StateMachine": ("kms:.*", "s3:.*"),  # definitions in the template
}


def scope(**settings: Any) -> Scope:
    return Scope(settings=Settings(**settings), partition="aws", account=ACCOUNT, region=REGION)


# All that settings can add to the app.
EVERYTHING: Mapping[str, Any] = {
    "network": "private",
    "dashboards": True,
    "triggers": [
        {
            "name": "nightly",
            "algorithm": "blazingtext",
            "schedule": "rate(1 day)",
            "input": {"inputs": {"train": "s3://a/b"}},
        },
        {
            "name": "incoming",
            "algorithm": "blazingtext",
            "arrival": "blazingtext/in/",
            "input": {"inputs": {"train": "s3://{data}/{prefix}"}},
        },
    ],
}
DOCUMENTS = list(execution_policy.documents(scope(**EVERYTHING)).values())


@cache
def handlers() -> dict[str, set[str]]:
    """What CloudFormation's own registry says that making, reading, changing and deleting a type takes."""
    found: dict[str, set[str]] = {}
    wanted = set(execution_policy.table(scope(**EVERYTHING)))
    for path in SCHEMAS.glob("*.json"):
        schema = json.loads(path.read_text(encoding="utf-8"))
        if schema.get("typeName") in wanted:
            found.setdefault(schema["typeName"], set()).update(
                permission
                for handler in ("create", "read", "update", "delete")
                for permission in schema.get("handlers", {}).get(handler, {}).get("permissions", [])
            )
    return found


def resources(*assemblies: Assembly) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for assembly in assemblies:
        for stack, template in assembly.templates.items():
            for logical_id, resource in template["Resources"].items():
                yield stack, logical_id, resource


# ARNs by type, and the property that gives the name; without it CloudFormation makes one.
ARNS: Mapping[str, tuple[str, str]] = {
    "AWS::AccessAnalyzer::Analyzer": (f"arn:aws:access-analyzer:{_HERE}:analyzer/{{}}", "AnalyzerName"),
    "AWS::CloudWatch::Alarm": (f"arn:aws:cloudwatch:{_HERE}:alarm:{{}}", "AlarmName"),
    "AWS::CloudWatch::Dashboard": (f"arn:aws:cloudwatch::{ACCOUNT}:dashboard/{{}}", "DashboardName"),
    "AWS::EC2::FlowLog": (f"arn:aws:ec2:{_HERE}:vpc-flow-log/{{}}", ""),
    "AWS::EC2::RouteTable": (f"arn:aws:ec2:{_HERE}:route-table/{{}}", ""),
    "AWS::EC2::SecurityGroup": (f"arn:aws:ec2:{_HERE}:security-group/{{}}", ""),
    "AWS::EC2::SecurityGroupEgress": (f"arn:aws:ec2:{_HERE}:security-group-rule/{{}}", ""),
    "AWS::EC2::SecurityGroupIngress": (f"arn:aws:ec2:{_HERE}:security-group-rule/{{}}", ""),
    "AWS::EC2::Subnet": (f"arn:aws:ec2:{_HERE}:subnet/{{}}", ""),
    "AWS::EC2::SubnetRouteTableAssociation": (f"arn:aws:ec2:{_HERE}:route-table/{{}}", ""),
    "AWS::EC2::VPC": (f"arn:aws:ec2:{_HERE}:vpc/{{}}", ""),
    "AWS::EC2::VPCEndpoint": (f"arn:aws:ec2:{_HERE}:vpc-endpoint/{{}}", ""),
    "AWS::ECR::RegistryScanningConfiguration": ("*", ""),
    "AWS::ECR::Repository": (f"arn:aws:ecr:{_HERE}:repository/{{}}", "RepositoryName"),
    "AWS::Events::Rule": (f"arn:aws:events:{_HERE}:rule/{{}}", "Name"),
    "AWS::IAM::ManagedPolicy": (f"arn:aws:iam::{ACCOUNT}:policy/{{}}", "ManagedPolicyName"),
    "AWS::IAM::Policy": (f"arn:aws:iam::{ACCOUNT}:role/{{}}", ""),  # of a role
    "AWS::IAM::Role": (f"arn:aws:iam::{ACCOUNT}:role/{{}}", "RoleName"),
    "AWS::KMS::Key": (f"arn:aws:kms:{_HERE}:key/{{}}", ""),
    "AWS::Lambda::Function": (f"arn:aws:lambda:{_HERE}:function:{{}}", "FunctionName"),
    "AWS::Lambda::LayerVersion": (f"arn:aws:lambda:{_HERE}:layer:{{}}", "LayerName"),
    "AWS::Lambda::Permission": (f"arn:aws:lambda:{_HERE}:function:{{}}", ""),  # of a function
    "AWS::Logs::LogGroup": (f"arn:aws:logs:{_HERE}:log-group:{{}}", "LogGroupName"),
    "AWS::S3::Bucket": ("arn:aws:s3:::{}", "BucketName"),
    "AWS::S3::BucketPolicy": ("arn:aws:s3:::{}", ""),  # of a bucket
    "AWS::SNS::Subscription": (f"arn:aws:sns:{_HERE}:{{}}", ""),  # to a topic
    "AWS::SNS::Topic": (f"arn:aws:sns:{_HERE}:{{}}", "TopicName"),
    "AWS::SNS::TopicPolicy": (f"arn:aws:sns:{_HERE}:{{}}", ""),  # of a topic
    "AWS::SQS::Queue": (f"arn:aws:sqs:{_HERE}:{{}}", "QueueName"),
    "AWS::SQS::QueuePolicy": (f"arn:aws:sqs:{_HERE}:{{}}", ""),  # of a queue
    "AWS::SSM::Parameter": (f"arn:aws:ssm:{_HERE}:parameter{{}}", "Name"),
    "AWS::SageMaker::ModelPackageGroup": (
        f"arn:aws:sagemaker:{_HERE}:model-package-group/{{}}",
        "ModelPackageGroupName",
    ),
    "AWS::StepFunctions::StateMachine": (f"arn:aws:states:{_HERE}:stateMachine:{{}}", "StateMachineName"),
}
# CloudFormation makes their names of the logical id alone.
WITHOUT_STACK = ("AWS::Lambda::LayerVersion", "AWS::StepFunctions::StateMachine")


def arn_of(stack: str, logical_id: str, resource: dict[str, Any]) -> str:
    """A resource's ARN with the name that the template gives it, or one such as CloudFormation makes."""
    kind, properties = resource["Type"], resource.get("Properties", {})
    if kind == "AWS::Budgets::Budget":
        name = properties["Budget"]["BudgetName"]["Fn::Sub"].replace("${AWS::Region}", REGION)
        return f"arn:aws:budgets::{ACCOUNT}:budget/{name}"
    arn, name_property = ARNS[kind]
    made = f"{logical_id[:24]}-1A2B3C4D5E6F" if kind in WITHOUT_STACK else f"{stack}-{logical_id[:24]}-1A2B3C4D5E6F"
    made = made.lower() if kind.startswith("AWS::S3::") else made
    return arn.format(properties.get(name_property, made))


# Actions that are about something else than the resource whose handler calls them.
ELSEWHERE: Mapping[str, tuple[str, dict[str, list[str]]]] = {
    "kms:CreateKey": ("*", {}),
    "s3:GetObject": (f"arn:aws:s3:::cdk-hnb659fds-assets-{ACCOUNT}-{REGION}/code.zip", {}),
    "s3:GetObjectVersion": (f"arn:aws:s3:::cdk-hnb659fds-assets-{ACCOUNT}-{REGION}/code.zip", {}),
    "lambda:GetLayerVersion": (f"arn:aws:lambda:{REGION}:017000801446:layer:AWSLambdaPowertools:27", {}),
    "access-analyzer:ListAnalyzers": ("*", {}),
    "logs:CreateLogDelivery": ("*", {}),
    "logs:DeleteLogDelivery": ("*", {}),
    "logs:DescribeLogGroups": ("*", {}),
    "logs:DescribeResourcePolicies": ("*", {}),
    "inspector2:Enable": ("*", {}),
    "inspector2:Disable": ("*", {}),
    "inspector2:ListAccountPermissions": ("*", {}),
}


def request_of(action: str, kind: str, arn: str) -> Request:
    if action == "iam:CreateServiceLinkedRole":
        service = "inspector2.amazonaws.com" if kind.startswith("AWS::ECR") else "access-analyzer.amazonaws.com"
        role = f"arn:aws:iam::{ACCOUNT}:role/aws-service-role/{service}/AWSServiceRoleForIt"
        return Request(action, role, {"iam:AWSServiceName": [service]})
    if action == "iam:PassRole":
        services = {"AWS::StepFunctions": "states", "AWS::Events": "events", "AWS::EC2": "vpc-flow-logs"}
        to = services.get(kind.rpartition("::")[0], "lambda")
        role = f"arn:aws:iam::{ACCOUNT}:role/KindlingTraining-Role-1A2B"
        return Request(action, role, {PASSED_TO: [f"{to}.amazonaws.com"]})
    if action.startswith("kms:") and kind.startswith("AWS::Lambda"):
        return Request(action, f"arn:aws:kms:{_HERE}:key/1234", {"kms:ViaService": [f"lambda.{REGION}.amazonaws.com"]})
    where, context = ELSEWHERE.get(action, (arn, {}))
    return Request(action, where, context)


def needed(kind: str) -> set[str]:
    """What CloudFormation calls for the properties that our templates have."""
    unused = [re.compile(pattern) for pattern in UNUSED.get(kind, ())]
    return {action for action in handlers()[kind] if not any(pattern.fullmatch(action) for pattern in unused)}


def test_every_type_of_the_templates_is_in_the_table(widest_assembly: Assembly, account_assembly: Assembly) -> None:
    used = {resource["Type"] for _, _, resource in resources(widest_assembly, account_assembly)}
    assert len(used) > 30
    assert used <= set(execution_policy.table(scope(**EVERYTHING)))


def test_a_network_is_allowed_only_where_the_settings_want_one() -> None:
    plain = list(execution_policy.documents(scope()).values())
    assert len(plain) == len(DOCUMENTS) - 1
    request = Request("ec2:CreateVpc", f"arn:aws:ec2:{_HERE}:vpc/vpc-1")
    assert decide(DOCUMENTS, request) == "allowed"
    assert decide(plain, request) == "implicitDeny"


def test_what_cloudformation_calls_for_each_resource_is_allowed_on_its_name(
    widest_assembly: Assembly, account_assembly: Assembly
) -> None:
    refused, asked = [], 0
    for stack, logical_id, resource in resources(widest_assembly, account_assembly):
        for action in needed(resource["Type"]):
            asked += 1
            request = request_of(action, resource["Type"], arn_of(stack, logical_id, resource))
            if decide(DOCUMENTS, request) != "allowed":
                refused.append((action, request.resource))
    assert asked > 1000
    assert refused == []


def test_no_pattern_of_what_is_unused_has_become_idle() -> None:
    idle = [
        (kind, pattern)
        for kind, patterns in UNUSED.items()
        for pattern in patterns
        if not any(re.fullmatch(pattern, action) for action in handlers()[kind])
    ]
    assert idle == []


_ROLE = f"arn:aws:iam::{ACCOUNT}:role"
_FOREIGN = "999999999999"


@pytest.mark.parametrize(
    "request_",
    [
        Request("iam:CreateUser", f"arn:aws:iam::{ACCOUNT}:user/eve"),
        Request("iam:CreateAccessKey", f"arn:aws:iam::{ACCOUNT}:user/eve"),
        Request(
            "iam:AttachRolePolicy",
            f"{_ROLE}/KindlingAny",
            {"iam:PolicyARN": ["arn:aws:iam::aws:policy/AdministratorAccess"]},
        ),
        Request("iam:AttachUserPolicy", f"arn:aws:iam::{ACCOUNT}:user/eve"),
        Request("iam:CreateRole", f"{_ROLE}/Admin"),
        Request("iam:PutRolePolicy", f"{_ROLE}/Admin"),
        Request("iam:PutRolePolicy", f"{_ROLE}/cdk-hnb659fds-cfn-exec-role-{ACCOUNT}-{REGION}"),
        Request("iam:UpdateAssumeRolePolicy", f"{_ROLE}/cdk-hnb659fds-deploy-role-{ACCOUNT}-{REGION}"),
        Request("iam:CreatePolicyVersion", f"arn:aws:iam::{ACCOUNT}:policy/kindling-deployment-{REGION}"),
        Request("iam:PassRole", f"{_ROLE}/KindlingAny", {PASSED_TO: ["ec2.amazonaws.com"]}),
        Request("iam:PassRole", f"{_ROLE}/Admin", {PASSED_TO: ["lambda.amazonaws.com"]}),
        Request("iam:CreateServiceLinkedRole", f"{_ROLE}/aws-service-role/x/y", {"iam:AWSServiceName": ["x"]}),
        Request("sts:AssumeRole", f"{_ROLE}/Admin"),
        Request("organizations:LeaveOrganization"),
        Request("organizations:CreateAccount"),
        Request("account:CloseAccount"),
        Request("ec2:RunInstances"),
        Request("cloudtrail:StopLogging", f"arn:aws:cloudtrail:{_HERE}:trail/audit"),
        Request("kms:Decrypt", f"arn:aws:kms:{_HERE}:key/1234"),
        Request("kms:CreateGrant", f"arn:aws:kms:{_HERE}:key/1234"),
        Request("kms:ScheduleKeyDeletion", f"arn:aws:kms:{REGION}:{_FOREIGN}:key/1234"),
        Request("s3:DeleteBucket", "arn:aws:s3:::somebody-elses"),
        Request("s3:GetObject", "arn:aws:s3:::kindlingstorage-bucketsdata-1a/blazingtext/corpus"),
        Request("lambda:UpdateFunctionCode", f"arn:aws:lambda:{_HERE}:function:other"),
        Request("lambda:InvokeFunction", f"arn:aws:lambda:{_HERE}:function:KindlingTraining-Plan"),
        Request("ssm:GetParameters", f"arn:aws:ssm:{_HERE}:parameter/prod/password"),
        Request("sagemaker:CreateTrainingJob", f"arn:aws:sagemaker:{_HERE}:training-job/any"),
        Request("states:StartExecution", f"arn:aws:states:{_HERE}:stateMachine:any"),
        Request("cloudformation:CreateStack", f"arn:aws:cloudformation:{_HERE}:stack/any/1"),
        Request("iam:CreateRole", f"arn:aws:iam::{_FOREIGN}:role/KindlingAny"),
        Request("lambda:CreateFunction", f"arn:aws:lambda:us-west-2:{ACCOUNT}:function:KindlingAny"),
    ],
    ids=lambda request: f"{request.action} {request.resource}",
)
def test_what_no_deployment_needs_is_not_allowed(request_: Request) -> None:
    assert decide(DOCUMENTS, request_) != "allowed"


def test_with_a_boundary_no_role_is_made_or_changed_without_it_and_none_sheds_it() -> None:
    bounded = list(execution_policy.documents(scope(permissions_boundary="kindling-boundary")).values())
    role = f"{_ROLE}/KindlingTraining-Role-1A"
    for action in ("iam:CreateRole", "iam:PutRolePolicy", "iam:PutRolePermissionsBoundary"):
        allowed = Request(action, role, {"iam:PermissionsBoundary": [BOUNDARY]})
        assert decide(bounded, allowed) == "allowed"
        for context in ({}, {"iam:PermissionsBoundary": [f"arn:aws:iam::{ACCOUNT}:policy/wide"]}):
            assert decide(bounded, Request(action, role, context)) == "implicitDeny"
        assert decide(DOCUMENTS, Request(action, role)) == "allowed"
    assert decide(bounded, Request("iam:DeleteRolePermissionsBoundary", role)) == "implicitDeny"
    by_arn = execution_policy.documents(scope(permissions_boundary="arn:aws:iam::aws:policy/Some"))
    assert "arn:aws:iam::aws:policy/Some" in json.dumps(by_arn)


def test_assets_are_read_under_the_key_of_the_bootstrap_bucket() -> None:
    via_s3 = {"kms:ViaService": [f"s3.{REGION}.amazonaws.com"]}
    assert decide(DOCUMENTS, Request("kms:Decrypt", f"arn:aws:kms:{_HERE}:key/1234", via_s3)) == "allowed"
    for bucket in (f"cdk-hnb659fds-assets-{_FOREIGN}-{REGION}", "any"):
        assert decide(DOCUMENTS, Request("s3:GetObject", f"arn:aws:s3:::{bucket}/code.zip")) != "allowed"


def test_the_longest_names_fit_and_what_would_not_is_refused() -> None:
    longest = Scope(
        settings=Settings(name="a" * 20, permissions_boundary="b" * 128, **EVERYTHING),
        partition="aws-us-gov",
        account=ACCOUNT,
        region="ap-southeast-99",
    )
    lengths = [len(json.dumps(one, separators=(",", ":"))) for one in execution_policy.documents(longest).values()]
    assert max(lengths) <= execution_policy.LONGEST_DOCUMENT
    template = json.loads(execution_policy.template(longest))
    assert [one["Type"] for one in template["Resources"].values()] == ["AWS::IAM::ManagedPolicy"] * 3


def test_the_bootstrap_version_asked_for_is_that_of_the_templates_rule(assembly: Assembly) -> None:
    rules = [template["Rules"]["CheckBootstrapVersion"] for template in assembly.templates.values()]
    too_old = [rule["Assertions"][0]["Assert"]["Fn::Not"][0]["Fn::Contains"][0] for rule in rules]
    assert all(max(map(int, versions)) + 1 == toolkit.REQUIRED_VERSION for versions in too_old)
    parameters = {template["Parameters"]["BootstrapVersion"]["Default"] for template in assembly.templates.values()}
    assert parameters == {toolkit.VERSION_PARAMETER}
