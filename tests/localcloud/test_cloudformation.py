"""Stacks on the embedded cloud, without the CDK."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError


def create(aws: Any, name: str, resources: dict[str, Any], outputs: dict[str, Any] | None = None) -> dict[str, str]:
    """Create a stack and give its outputs."""
    body = {"Resources": resources} | ({"Outputs": outputs} if outputs else {})
    aws("cloudformation").create_stack(StackName=name, TemplateBody=json.dumps(body))
    return outputs_of(aws, name)


def outputs_of(aws: Any, name: str) -> dict[str, str]:
    """A stack's outputs by name."""
    found = aws("cloudformation").describe_stacks(StackName=name)["Stacks"][0]
    return {one["OutputKey"]: one["OutputValue"] for one in found.get("Outputs", [])}


def stacks(aws: Any) -> list[str]:
    """The names of all stacks."""
    return [one["StackName"] for one in aws("cloudformation").describe_stacks()["Stacks"]]


def test_an_unknown_type_fails_the_deployment_with_its_name(aws: Any) -> None:
    with pytest.raises(ClientError, match=r"Unrecognized resource types: \[AWS::Nowhere::Thing\]"):
        create(aws, "unknown", {"Topic": {"Type": "AWS::SNS::Topic"}, "Thing": {"Type": "AWS::Nowhere::Thing"}})
    assert "unknown" not in stacks(aws)


def test_what_cannot_be_made_is_named_and_nothing_is_left_of_the_stack(aws: Any) -> None:
    resources = {
        "Bucket": {"Type": "AWS::S3::Bucket", "Properties": {"BucketName": "half-made"}},
        "Alias": {
            "Type": "AWS::Lambda::Alias",
            "DependsOn": "Bucket",
            "Properties": {"FunctionName": "no-such-function", "FunctionVersion": "1", "Name": "live"},
        },
    }
    with pytest.raises(ClientError, match=r"Alias \(AWS::Lambda::Alias\)"):
        create(aws, "half", resources)
    assert "half" not in stacks(aws)
    assert "half-made" not in [one["Name"] for one in aws("s3").list_buckets()["Buckets"]]


def test_an_update_that_fails_puts_the_stack_back(aws: Any) -> None:
    parameter = {"Type": "AWS::SSM::Parameter", "Properties": {"Name": "/kept", "Type": "String", "Value": "old"}}
    create(aws, "kept", {"Parameter": parameter})
    changed = {**parameter, "Properties": {**parameter["Properties"], "Value": "new"}}
    bad = {
        "Type": "AWS::Lambda::Alias",
        "Properties": {"FunctionName": "no-such-function", "FunctionVersion": "1", "Name": {"Ref": "Parameter"}},
    }
    with pytest.raises(ClientError):
        aws("cloudformation").update_stack(
            StackName="kept", TemplateBody=json.dumps({"Resources": {"Parameter": changed, "Bad": bad}})
        )
    assert aws("ssm").get_parameter(Name="/kept")["Parameter"]["Value"] == "old"


def test_what_refers_to_a_replaced_resource_follows_it(aws: Any) -> None:
    def template(topic: str) -> dict[str, Any]:
        return {
            "Topic": {"Type": "AWS::SNS::Topic", "Properties": {"TopicName": topic}},
            "Parameter": {
                "Type": "AWS::SSM::Parameter",
                "Properties": {"Name": "/topic", "Type": "String", "Value": {"Ref": "Topic"}},
            },
        }

    create(aws, "follows", template("first"))
    body = json.dumps({"Resources": template("second")})
    aws("cloudformation").update_stack(StackName="follows", TemplateBody=body)
    assert aws("ssm").get_parameter(Name="/topic")["Parameter"]["Value"].endswith(":second")


def test_an_export_that_is_in_use_cannot_be_deleted(aws: Any) -> None:
    value = {"Value": {"Fn::GetAtt": ["Topic", "TopicArn"]}, "Export": {"Name": "shared-topic"}}
    create(aws, "exporting", {"Topic": {"Type": "AWS::SNS::Topic"}}, {"Topic": value})
    properties = {"Name": "/imported", "Type": "String", "Value": {"Fn::ImportValue": "shared-topic"}}
    create(aws, "importing", {"Parameter": {"Type": "AWS::SSM::Parameter", "Properties": properties}})
    with pytest.raises(ClientError, match="shared-topic cannot be deleted as it is in use by importing"):
        aws("cloudformation").delete_stack(StackName="exporting")
    aws("cloudformation").delete_stack(StackName="importing")
    aws("cloudformation").delete_stack(StackName="exporting")
    assert not {"importing", "exporting"} & set(stacks(aws))


def test_a_bucket_with_objects_is_not_deleted_and_its_stack_stays(aws: Any) -> None:
    create(aws, "full", {"Bucket": {"Type": "AWS::S3::Bucket", "Properties": {"BucketName": "full-bucket"}}})
    aws("s3").put_object(Bucket="full-bucket", Key="k", Body=b"x")
    with pytest.raises(ClientError, match="full cannot be deleted"):
        aws("cloudformation").delete_stack(StackName="full")
    assert "full" in stacks(aws)
    aws("s3").delete_object(Bucket="full-bucket", Key="k")
    aws("cloudformation").delete_stack(StackName="full")
    assert "full" not in stacks(aws)


def test_a_bucket_that_demands_tls_takes_objects_and_a_plain_denial_holds(aws: Any) -> None:
    def deny(condition: dict[str, Any] | None) -> str:
        statement = {"Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": "arn:aws:s3:::guarded/*"}
        return json.dumps(
            {"Version": "2012-10-17", "Statement": [statement | ({"Condition": condition} if condition else {})]}
        )

    aws("s3").create_bucket(Bucket="guarded")
    aws("s3").put_bucket_policy(Bucket="guarded", Policy=deny({"Bool": {"aws:SecureTransport": "false"}}))
    aws("s3").put_object(Bucket="guarded", Key="k", Body=b"x")
    aws("s3").put_bucket_policy(Bucket="guarded", Policy=deny(None))
    with pytest.raises(ClientError, match="403"):
        aws("s3").put_object(Bucket="guarded", Key="k", Body=b"x")


def test_a_protected_stack_is_deleted_only_after_its_protection_is_lifted(aws: Any) -> None:
    cloudformation = aws("cloudformation")
    body = json.dumps({"Resources": {"Topic": {"Type": "AWS::SNS::Topic"}}})
    cloudformation.create_stack(StackName="protected", TemplateBody=body, EnableTerminationProtection=True)
    assert cloudformation.describe_stacks(StackName="protected")["Stacks"][0]["EnableTerminationProtection"] is True
    with pytest.raises(ClientError, match=r"\[protected\] cannot be deleted while TerminationProtection is enabled"):
        cloudformation.delete_stack(StackName="protected")
    assert "protected" in stacks(aws)
    cloudformation.update_termination_protection(StackName="protected", EnableTerminationProtection=False)
    cloudformation.delete_stack(StackName="protected")
    assert "protected" not in stacks(aws)


def test_an_alarm_is_made_and_removed(aws: Any) -> None:
    alarm = {
        "Type": "AWS::CloudWatch::Alarm",
        "Properties": {
            "AlarmName": "errors",
            "MetricName": "Errors",
            "Namespace": "Tests",
            "Statistic": "Sum",
            "ComparisonOperator": "GreaterThanThreshold",
            "EvaluationPeriods": 1,
            "Period": 60,
            "Threshold": 0,
        },
    }
    made = create(aws, "alarms", {"Errors": alarm}, {"Arn": {"Value": {"Fn::GetAtt": ["Errors", "Arn"]}}})
    assert made["Arn"].endswith(":alarm:errors")
    assert [one["AlarmName"] for one in aws("cloudwatch").describe_alarms()["MetricAlarms"]] == ["errors"]
    aws("cloudformation").delete_stack(StackName="alarms")
    assert aws("cloudwatch").describe_alarms()["MetricAlarms"] == []


def test_an_element_that_comes_to_no_value_is_left_out_of_its_list(aws: Any) -> None:
    allow = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": "lambda.amazonaws.com"}}
    maybe = {"Fn::If": ["Never", {**allow, "Action": "sts:TagSession"}, {"Ref": "AWS::NoValue"}]}
    document = {"Version": "2012-10-17", "Statement": [allow, maybe]}
    role = {"Type": "AWS::IAM::Role", "Properties": {"RoleName": "no-value", "AssumeRolePolicyDocument": document}}
    template = {"Conditions": {"Never": {"Fn::Equals": ["a", "b"]}}, "Resources": {"Role": role}}
    aws("cloudformation").create_stack(StackName="no-value", TemplateBody=json.dumps(template))
    made = aws("iam").get_role(RoleName="no-value")["Role"]["AssumeRolePolicyDocument"]
    assert made["Statement"] == [allow]
    aws("cloudformation").delete_stack(StackName="no-value")


def test_a_parameter_that_is_said_to_be_what_it_is_by_default_changes_nothing(aws: Any) -> None:
    stacks = aws("cloudformation")
    parameter = {"Type": "AWS::SSM::Parameter", "Properties": {"Type": "String", "Value": {"Ref": "Word"}}}
    template = {"Parameters": {"Word": {"Type": "String", "Default": "a"}}, "Resources": {"Parameter": parameter}}
    stacks.create_stack(StackName="by-default", TemplateBody=json.dumps(template))
    for word, expected in (("a", []), ("b", ["Parameter"])):
        # The same template in other words, so that the change set is made at all.
        body = json.dumps({**template, "Description": word})
        stacks.create_change_set(
            StackName="by-default",
            ChangeSetName="look",
            ChangeSetType="UPDATE",
            TemplateBody=body,
            Parameters=[{"ParameterKey": "Word", "ParameterValue": word}],
        )
        changes = stacks.describe_change_set(StackName="by-default", ChangeSetName="look")["Changes"]
        assert [one["ResourceChange"]["LogicalResourceId"] for one in changes] == expected
        stacks.delete_change_set(StackName="by-default", ChangeSetName="look")
    stacks.delete_stack(StackName="by-default")
