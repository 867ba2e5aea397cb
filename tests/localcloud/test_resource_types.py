"""Every type of resource that the stacks have: made, changed in place, rolled back and removed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.localcloud.conftest import zipped

ROOT = Path(__file__).resolve().parents[2]
STACK = "every-type"
_BY_REFERENCE = ("Key", "Bucket", "Topic", "Queue", "Layer", "Machine", "ManagedPolicy", "Subscription", "Permission")


def trust(service: str) -> dict[str, Any]:
    statement = {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}
    return {"Version": "2012-10-17", "Statement": [statement]}


def allow(action: str, resource: Any = "*", **more: Any) -> dict[str, Any]:
    statement = {"Effect": "Allow", "Action": action, "Resource": resource, **more}
    return {"Version": "2012-10-17", "Statement": [statement]}


def every(days: int) -> str:
    return "rate(1 day)" if days == 1 else f"rate({days} days)"


def machine(result: str) -> str:
    return json.dumps({"StartAt": "Say", "States": {"Say": {"Type": "Pass", "Result": result, "End": True}}})


def template(word: str, days: int, extra: dict[str, Any] | None = None) -> dict[str, Any]:
    """A stack with one resource of each type; whatever may change in place carries the word or the days."""
    root = {"AWS": "arn:aws:iam::123456789012:root"}
    rule = {"Id": "old", "Status": "Enabled", "ExpirationInDays": days}
    resources = {
        "Key": (
            "AWS::KMS::Key",
            {"Description": word, "EnableKeyRotation": True, "KeyPolicy": allow("kms:*", Principal=root)},
        ),
        "Bucket": (
            "AWS::S3::Bucket",
            {
                "VersioningConfiguration": {"Status": "Enabled" if days == 1 else "Suspended"},
                "Tags": [{"Key": "word", "Value": word}],
                **({"LifecycleConfiguration": {"Rules": [rule]}} if days == 1 else {}),
                **({"NotificationConfiguration": {"EventBridgeConfiguration": {}}} if days == 1 else {}),
            },
        ),
        "BucketPolicy": (
            "AWS::S3::BucketPolicy",
            {
                "Bucket": {"Ref": "Bucket"},
                "PolicyDocument": allow("s3:GetObject", {"Fn::Sub": "${Bucket.Arn}/*"}, Principal=root, Sid=word),
            },
        ),
        "Repository": (
            "AWS::ECR::Repository",
            {"RepositoryName": "every/type", "ImageScanningConfiguration": {"ScanOnPush": days == 1}},
        ),
        "Topic": ("AWS::SNS::Topic", {"TopicName": "every-type", "DisplayName": word}),
        "TopicPolicy": (
            "AWS::SNS::TopicPolicy",
            {
                "Topics": [{"Ref": "Topic"}],
                "PolicyDocument": allow("sns:Publish", {"Ref": "Topic"}, Principal=root, Sid=word),
            },
        ),
        "Queue": ("AWS::SQS::Queue", {"QueueName": "every-type", "VisibilityTimeout": days}),
        "QueuePolicy": (
            "AWS::SQS::QueuePolicy",
            {
                "Queues": [{"Ref": "Queue"}],
                "PolicyDocument": allow("sqs:SendMessage", {"Fn::GetAtt": ["Queue", "Arn"]}, Principal=root, Sid=word),
            },
        ),
        "ModelGroup": (
            "AWS::SageMaker::ModelPackageGroup",
            {"ModelPackageGroupName": "every-type", "ModelPackageGroupDescription": "models"},
        ),
        "Parameter": ("AWS::SSM::Parameter", {"Name": "/every/type", "Type": "String", "Value": word}),
        "LogGroup": ("AWS::Logs::LogGroup", {"LogGroupName": "/every/type", "RetentionInDays": days}),
        "Role": (
            "AWS::IAM::Role",
            {
                "RoleName": "every-type",
                "Description": word,
                "AssumeRolePolicyDocument": trust("lambda.amazonaws.com" if days == 1 else "states.amazonaws.com"),
                "Policies": [{"PolicyName": "inline", "PolicyDocument": allow(f"s3:{word}")}],
            },
        ),
        "Policy": (
            "AWS::IAM::Policy",
            {"PolicyName": "attached", "Roles": [{"Ref": "Role"}], "PolicyDocument": allow(f"sns:{word}")},
        ),
        "Layer": (
            "AWS::Lambda::LayerVersion",
            {"LayerName": "every-type", "Content": {"S3Bucket": "every-type-code", "S3Key": f"{word}.zip"}},
        ),
        "Function": (
            "AWS::Lambda::Function",
            {
                "FunctionName": "every-type",
                "Runtime": "python3.11",
                "Handler": "index.handler",
                "Role": {"Fn::GetAtt": ["Role", "Arn"]},
                "Layers": [{"Ref": "Layer"}],
                "Code": {"ZipFile": f"def handler(event, context):\n    return '{word}'\n"},
            },
        ),
        "Machine": (
            "AWS::StepFunctions::StateMachine",
            {
                "StateMachineName": "every-type",
                "RoleArn": {"Fn::GetAtt": ["Role", "Arn"]},
                "DefinitionString": machine(word),
            },
        ),
        "ManagedPolicy": (
            "AWS::IAM::ManagedPolicy",
            {"ManagedPolicyName": "every-type", "PolicyDocument": allow(f"sqs:{word}")},
        ),
        "Subscription": (
            "AWS::SNS::Subscription",
            {"TopicArn": {"Ref": "Topic"}, "Protocol": "email", "Endpoint": f"{word}@example.org"},
        ),
        "Permission": (
            "AWS::Lambda::Permission",
            {
                "FunctionName": {"Ref": "Function"},
                "Action": "lambda:InvokeFunction",
                "Principal": f"{word}.amazonaws.com",
            },
        ),
        "Rule": (
            "AWS::Events::Rule",
            {
                "Name": "every-type",
                "ScheduleExpression": every(days),
                "Targets": [{"Id": word, "Arn": {"Fn::GetAtt": ["Function", "Arn"]}, "Input": json.dumps(word)}],
            },
        ),
        "Alarm": (
            "AWS::CloudWatch::Alarm",
            {
                "AlarmName": "every-type",
                "AlarmDescription": word,
                "Namespace": "every",
                "MetricName": "type",
                "Statistic": "Sum",
                "Period": 60,
                "EvaluationPeriods": 1,
                "Threshold": days,
                "ComparisonOperator": "GreaterThanThreshold",
            },
        ),
        "Budget": (
            "AWS::Budgets::Budget",
            {
                "Budget": {
                    "BudgetName": "every-type",
                    "BudgetType": "COST",
                    "TimeUnit": "MONTHLY",
                    "BudgetLimit": {"Amount": days, "Unit": "USD"},
                },
                "NotificationsWithSubscribers": [
                    {
                        "Notification": {
                            "NotificationType": "ACTUAL",
                            "ComparisonOperator": "GREATER_THAN",
                            "Threshold": days,
                        },
                        "Subscribers": [{"SubscriptionType": "SNS", "Address": {"Ref": "Topic"}}],
                    }
                ],
            },
        ),
        "Scanning": (
            "AWS::ECR::RegistryScanningConfiguration",
            {
                "ScanType": "BASIC",
                "Rules": [
                    {
                        "ScanFrequency": "SCAN_ON_PUSH",
                        "RepositoryFilters": [{"Filter": f"{word}*", "FilterType": "WILDCARD"}],
                    }
                ],
            },
        ),
        "Analyzer": ("AWS::AccessAnalyzer::Analyzer", {"AnalyzerName": "every-type", "Type": "ACCOUNT"}),
    }
    asked = {
        "QueueArn": ("Queue", "Arn"),
        "RuleArn": ("Rule", "Arn"),
        "AlarmArn": ("Alarm", "Arn"),
        "AnalyzerArn": ("Analyzer", "Arn"),
        "KeyArn": ("Key", "Arn"),
        "BucketArn": ("Bucket", "Arn"),
        "RepositoryArn": ("Repository", "Arn"),
        "RoleArn": ("Role", "Arn"),
        "FunctionArn": ("Function", "Arn"),
        "LogGroupArn": ("LogGroup", "Arn"),
    }
    outputs: dict[str, Any] = {name: {"Value": {"Fn::GetAtt": list(one)}} for name, one in asked.items()}
    outputs |= {name: {"Value": {"Ref": name}} for name in _BY_REFERENCE}
    return {
        "Resources": {name: {"Type": kind, "Properties": properties} for name, (kind, properties) in resources.items()}
        | (extra or {}),
        "Outputs": outputs,
    }


def outputs(aws: Any) -> dict[str, str]:
    found = aws("cloudformation").describe_stacks(StackName=STACK)["Stacks"][0]
    return {one["OutputKey"]: one["OutputValue"] for one in found["Outputs"]}


def seen(aws: Any) -> dict[str, Any]:
    """What each resource's own service says of it."""
    made = outputs(aws)
    bucket = {"Bucket": made["Bucket"]}
    iam, role = aws("iam"), {"RoleName": "every-type"}
    described = iam.get_role(**role)["Role"]
    sns = aws("sns").get_topic_attributes(TopicArn=made["Topic"])["Attributes"]
    function = aws("lambda").get_function_configuration(FunctionName="every-type")
    answer = aws("lambda").invoke(FunctionName="every-type", Payload=b"{}")["Payload"].read()
    statement = json.loads(aws("s3").get_bucket_policy(**bucket)["Policy"])["Statement"][0]
    try:
        lifecycle = aws("s3").get_bucket_lifecycle_configuration(**bucket)["Rules"][0]["Expiration"]["Days"]
    except ClientError:
        lifecycle = None
    state = aws("stepfunctions").describe_state_machine(stateMachineArn=made["Machine"])
    inline = [
        iam.get_role_policy(**role, PolicyName=name)["PolicyDocument"]["Statement"][0]["Action"]
        for name in ("inline", "attached")
    ]
    repository = aws("ecr").describe_repositories(repositoryNames=["every/type"])["repositories"][0]
    group = aws("logs").describe_log_groups(logGroupNamePrefix="/every/type")["logGroups"][0]
    managed = iam.get_policy(PolicyArn=made["ManagedPolicy"])["Policy"]["DefaultVersionId"]
    managed = iam.get_policy_version(PolicyArn=made["ManagedPolicy"], VersionId=managed)["PolicyVersion"]["Document"]
    subscribed = aws("sns").list_subscriptions_by_topic(TopicArn=made["Topic"])["Subscriptions"]
    permissions = json.loads(aws("lambda").get_policy(FunctionName="every-type")["Policy"])["Statement"]
    queue = aws("sqs").get_queue_attributes(QueueUrl=made["Queue"], AttributeNames=["All"])["Attributes"]
    sender = json.loads(queue["Policy"])["Statement"][0]
    rule = aws("events").describe_rule(Name="every-type")["ScheduleExpression"]
    targets = aws("events").list_targets_by_rule(Rule="every-type")["Targets"]
    alarm = aws("cloudwatch").describe_alarms(AlarmNames=["every-type"])["MetricAlarms"][0]
    budget = {"AccountId": "123456789012", "BudgetName": "every-type"}
    told = aws("budgets").describe_notifications_for_budget(**budget)["Notifications"]
    scanning = aws("ecr").get_registry_scanning_configuration()["scanningConfiguration"]["rules"]
    return {
        "managed policy": managed["Statement"][0]["Action"],
        "subscriptions": [one["Endpoint"] for one in subscribed],
        "permissions": [one["Principal"]["Service"] for one in permissions],
        "queue": (queue["QueueArn"], queue["VisibilityTimeout"], sender["Sid"], sender["Resource"]),
        "notifications": "EventBridgeConfiguration" in aws("s3").get_bucket_notification_configuration(**bucket),
        "rule": (rule, [(one["Id"], one["Input"]) for one in targets]),
        "alarm": (alarm["AlarmDescription"], alarm["Threshold"]),
        "budget": (
            aws("budgets").describe_budget(**budget)["Budget"]["BudgetLimit"]["Amount"],
            [one["Threshold"] for one in told],
        ),
        "scanning": [one["repositoryFilters"][0]["filter"] for one in scanning],
        "key": aws("kms").describe_key(KeyId=made["Key"])["KeyMetadata"]["Description"],
        "versioning": aws("s3").get_bucket_versioning(**bucket)["Status"],
        "lifecycle": lifecycle,
        "tags": aws("s3").get_bucket_tagging(**bucket)["TagSet"],
        "bucket policy": (statement["Sid"], statement["Resource"]),
        "scan": repository["imageScanningConfiguration"]["scanOnPush"],
        "topic": (sns["DisplayName"], json.loads(sns["Policy"])["Statement"][0]["Sid"]),
        "parameter": aws("ssm").get_parameter(Name="/every/type")["Parameter"]["Value"],
        "retention": group["retentionInDays"],
        "role": described["Description"],
        "trust": described["AssumeRolePolicyDocument"]["Statement"][0]["Principal"]["Service"],
        "policies": inline,
        "function": json.loads(answer),
        "layers": [one["Arn"] for one in function["Layers"]],
        "machine": json.loads(state["definition"])["States"]["Say"]["Result"],
    }


def expected(word: str, days: int, made: dict[str, str]) -> dict[str, Any]:
    return {
        "managed policy": f"sqs:{word}",
        "subscriptions": [f"{word}@example.org"],
        "permissions": [f"{word}.amazonaws.com"],
        "queue": (made["QueueArn"], str(days), word, "arn:aws:sqs:us-east-1:123456789012:every-type"),
        "notifications": days == 1,
        "rule": (every(days), [(word, json.dumps(word))]),
        "alarm": (word, days),
        "budget": (str(days), [days]),
        "scanning": [f"{word}*"],
        "key": word,
        "versioning": "Enabled" if days == 1 else "Suspended",
        "lifecycle": 1 if days == 1 else None,
        "tags": [{"Key": "word", "Value": word}],
        "bucket policy": (word, f"{made['BucketArn']}/*"),
        "scan": days == 1,
        "topic": (word, word),
        "parameter": word,
        "retention": days,
        "role": word,
        "trust": "lambda.amazonaws.com" if days == 1 else "states.amazonaws.com",
        "policies": [f"s3:{word}", f"sns:{word}"],
        "function": word,
        "layers": [made["Layer"]],
        "machine": word,
    }


def test_every_type_is_made_changed_rolled_back_and_removed(aws: Any) -> None:
    aws("s3").create_bucket(Bucket="every-type-code")
    for word in ("hello", "farewell", "never"):
        archive = zipped({"python/layered.py": f"WORD = '{word}'"})
        aws("s3").put_object(Bucket="every-type-code", Key=f"{word}.zip", Body=archive)
    stacks = aws("cloudformation")
    stacks.create_stack(StackName=STACK, TemplateBody=json.dumps(template("hello", 1)))
    first = outputs(aws)
    assert seen(aws) == expected("hello", 1, first)
    assert first["RoleArn"] == "arn:aws:iam::123456789012:role/every-type"
    assert first["LogGroupArn"].endswith(":log-group:/every/type:*")

    stacks.update_stack(StackName=STACK, TemplateBody=json.dumps(template("farewell", 3)))
    second = outputs(aws)
    assert seen(aws) == expected("farewell", 3, second)
    replaced = {name for name in first if first[name] != second[name]}
    assert replaced == {"Layer", "Subscription", "Permission"}, "these are never changed, all else is"

    # It refers to what changes last, so that all the others have changed before it fails.
    target = {"ServiceNamespace": "dynamodb", "ScalableDimension": "dynamodb:table:ReadCapacityUnits"}
    capacities = {"ResourceId": "table/every-type", "MinCapacity": 1, "MaxCapacity": 2}
    last: dict[str, Any] = {
        "Type": "AWS::ApplicationAutoScaling::ScalableTarget",
        "DependsOn": [name for name in template(word="", days=1)["Resources"] if name != "Layer"],
        "Properties": {**target, **capacities},
    }
    stacks.update_stack(StackName=STACK, TemplateBody=json.dumps(template("farewell", 3, {"Last": last})))
    failing = {**last, "Properties": {**last["Properties"], "ScheduledActions": [{}]}}
    with pytest.raises(ClientError, match=r"Last \(AWS::ApplicationAutoScaling::ScalableTarget\)"):
        stacks.update_stack(StackName=STACK, TemplateBody=json.dumps(template("never", 1, {"Last": failing})))
    assert seen(aws) == expected("farewell", 3, second)
    assert outputs(aws) == second
    assert stacks.describe_stacks(StackName=STACK)["Stacks"][0]["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE"

    stacks.delete_stack(StackName=STACK)
    assert_gone(aws, second)


def assert_gone(aws: Any, made: dict[str, str]) -> None:
    for service, call, request in (
        ("s3", "head_bucket", {"Bucket": made["Bucket"]}),
        ("ecr", "describe_repositories", {"repositoryNames": ["every/type"]}),
        ("sns", "get_topic_attributes", {"TopicArn": made["Topic"]}),
        ("ssm", "get_parameter", {"Name": "/every/type"}),
        ("iam", "get_role", {"RoleName": "every-type"}),
        ("lambda", "get_function", {"FunctionName": "every-type"}),
        ("stepfunctions", "describe_state_machine", {"stateMachineArn": made["Machine"]}),
        ("iam", "get_policy", {"PolicyArn": made["ManagedPolicy"]}),
        ("events", "describe_rule", {"Name": "every-type"}),
        ("budgets", "describe_budget", {"AccountId": "123456789012", "BudgetName": "every-type"}),
    ):
        with pytest.raises(ClientError) as caught:
            getattr(aws(service), call)(**request)
        code = caught.value.response["Error"]["Code"]
        assert any(word in code for word in ("NotFound", "NoSuch", "DoesNotExist", "404")), (service, code)
    assert aws("logs").describe_log_groups(logGroupNamePrefix="/every/type")["logGroups"] == []
    assert aws("cloudwatch").describe_alarms(AlarmNames=["every-type"])["MetricAlarms"] == []
    assert aws("ecr").get_registry_scanning_configuration()["scanningConfiguration"]["rules"] == []
    assert aws("lambda").list_layer_versions(LayerName="every-type")["LayerVersions"] == []
    assert aws("kms").describe_key(KeyId=made["Key"])["KeyMetadata"]["KeyState"] == "PendingDeletion"
