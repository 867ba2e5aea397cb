"""Stacks with SageMaker's resources: made, changed, rolled back and removed, on the embedded SageMaker."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from kindling.localcloud import cloudformation
from tests.localcloud.sagemaker.conftest import Account, new_name, until
from tests.localcloud.sagemaker.embedded import IMAGE, is_running

Resources = dict[str, Any]


@pytest.fixture(scope="session")
def stacks(account: Account) -> Any:
    cloudformation.install(account.cloud)
    return account.client("cloudformation")


def body(resources: Resources, **more: Any) -> str:
    return json.dumps({"Resources": resources, **more})


def hosting(account: Account, greeting: Any = "hello", **environment: str) -> Resources:
    """A model, its configuration and its endpoint, which refer to each other."""
    container = {"Image": IMAGE, "Environment": {"GREETING": greeting, **environment}}
    variant = {
        "VariantName": "AllTraffic",
        "ModelName": {"Fn::GetAtt": ["Model", "ModelName"]},
        "InstanceType": "ml.m5.large",
        "InitialInstanceCount": "1",  # templates often have text where the API wants a number
        "InitialVariantWeight": 1,
    }
    config = {"Fn::GetAtt": ["Config", "EndpointConfigName"]}
    return {
        "Endpoint": {"Type": "AWS::SageMaker::Endpoint", "Properties": {"EndpointConfigName": config}},
        "Config": {"Type": "AWS::SageMaker::EndpointConfig", "Properties": {"ProductionVariants": [variant]}},
        "Model": {
            "Type": "AWS::SageMaker::Model",
            "Properties": {"ExecutionRoleArn": account.role, "PrimaryContainer": container},
        },
    }


OUTPUTS = {
    "Endpoint": {"Value": {"Fn::GetAtt": ["Endpoint", "EndpointName"]}},
    "Config": {"Value": {"Fn::GetAtt": ["Config", "EndpointConfigName"]}},
    "Model": {"Value": {"Fn::GetAtt": ["Model", "ModelName"]}},
    "ModelArn": {"Value": {"Ref": "Model"}},
}
TARGET = {"ServiceNamespace": "sagemaker", "ScalableDimension": "sagemaker:variant:DesiredInstanceCount"}
# A resource that cannot be made: the function that it is of does not exist.
BROKEN = {
    "Type": "AWS::Lambda::Alias",
    "Properties": {"FunctionName": "no-such-function", "FunctionVersion": "1", "Name": "live"},
}


def outputs(stacks: Any, name: str) -> dict[str, str]:
    found = stacks.describe_stacks(StackName=name)["Stacks"][0]
    return {one["OutputKey"]: one["OutputValue"] for one in found.get("Outputs", [])}


def present(account: Account) -> set[str]:
    """The names of every model, configuration and endpoint."""
    sagemaker = account.sagemaker
    pages = (
        (sagemaker.get_paginator("list_models"), "Models", "ModelName"),
        (sagemaker.get_paginator("list_endpoint_configs"), "EndpointConfigs", "EndpointConfigName"),
        (sagemaker.get_paginator("list_endpoints"), "Endpoints", "EndpointName"),
    )
    return {one[name] for pager, many, name in pages for found in pager.paginate() for one in found[many]}


def refused(call: Callable[..., Any], **request: Any) -> str:
    with pytest.raises(ClientError) as caught:
        call(**request)
    return str(caught.value.response["Error"]["Message"])


def test_an_endpoint_is_made_changed_without_a_new_one_and_removed(account: Account, stacks: Any) -> None:
    before, stack = present(account), new_name("Stack")
    stacks.create_stack(StackName=stack, TemplateBody=body(hosting(account), Outputs=OUTPUTS))
    first = outputs(stacks, stack)
    assert first["ModelArn"].endswith(f":model/{first['Model'].lower()}")
    assert account.ask(first["Endpoint"])["greeting"] == "hello"
    assert present(account) - before == {first["Endpoint"], first["Config"], first["Model"]}

    stacks.update_stack(StackName=stack, TemplateBody=body(hosting(account, "good day"), Outputs=OUTPUTS))
    second = outputs(stacks, stack)
    assert second["Endpoint"] == first["Endpoint"]
    assert second["Config"] != first["Config"]
    assert second["Model"] != first["Model"]
    assert account.ask(first["Endpoint"])["greeting"] == "good day"
    assert present(account) - before == {second["Endpoint"], second["Config"], second["Model"]}

    stacks.delete_stack(StackName=stack)
    assert present(account) == before


def test_a_failed_update_leaves_every_resource_as_it_was(account: Account, stacks: Any) -> None:
    stack, template = new_name("Stack"), body(hosting(account), Outputs=OUTPUTS)
    stacks.create_stack(StackName=stack, TemplateBody=template)
    first, before = outputs(stacks, stack), present(account)
    # The endpoint has already gone over to another model when the alias fails.
    changed = hosting(account, "good day") | {"Alias": {**BROKEN, "DependsOn": "Endpoint"}}
    changed["Later"] = {
        "Type": "AWS::SSM::Parameter",
        "Properties": {"Type": "String", "Value": {"Fn::GetAtt": ["Endpoint", "EndpointName"]}},
    }
    broken = {**hosting(account), "Alias": BROKEN}
    for attempt in (changed, broken):
        assert "Alias (AWS::Lambda::Alias)" in refused(
            stacks.update_stack, StackName=stack, TemplateBody=body(attempt, Outputs=OUTPUTS)
        )
        described = stacks.describe_stacks(StackName=stack)["Stacks"][0]
        assert described["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE"
        assert outputs(stacks, stack) == first
        assert present(account) == before
        assert account.ask(first["Endpoint"])["greeting"] == "hello"
    found = stacks.get_template(StackName=stack)["TemplateBody"]
    assert (found if isinstance(found, dict) else json.loads(found)) == json.loads(template)
    stacks.delete_stack(StackName=stack)


def test_an_endpoint_that_has_gone_over_goes_back_when_a_later_change_fails(account: Account, stacks: Any) -> None:
    def template(greeting: str, **more: Any) -> str:
        # Changed after the endpoint, for it refers to it.
        resource = {"Fn::Sub": "endpoint/${Endpoint.EndpointName}/variant/AllTraffic"}
        properties = {**TARGET, "ResourceId": resource, "MinCapacity": 1, "MaxCapacity": 2, **more}
        target = {"Type": "AWS::ApplicationAutoScaling::ScalableTarget", "Properties": properties}
        return body({"Target": target, **hosting(account, greeting)}, Outputs=OUTPUTS)

    stack = new_name("Stack")
    stacks.create_stack(StackName=stack, TemplateBody=template("hello"))
    first, before = outputs(stacks, stack), present(account)
    changed_at = account.endpoint(first["Endpoint"])["LastModifiedTime"]
    message = refused(stacks.update_stack, StackName=stack, TemplateBody=template("good day", ScheduledActions=[{}]))
    assert message.endswith("ScheduledActions is not implemented by the embedded cloud.")
    assert outputs(stacks, stack) == first
    assert present(account) == before
    assert account.ask(first["Endpoint"])["greeting"] == "hello"
    endpoint = account.endpoint(first["Endpoint"])
    assert endpoint["EndpointConfigName"] == first["Config"]
    assert endpoint["LastModifiedTime"] > changed_at, "it had not gone over"
    stacks.delete_stack(StackName=stack)


def test_an_endpoint_that_does_not_become_healthy_fails_the_stack_with_its_reason(
    account: Account, stacks: Any
) -> None:
    before, stack = present(account), new_name("Stack")
    message = refused(stacks.create_stack, StackName=stack, TemplateBody=body(hosting(account, EXIT="1")))
    assert "Endpoint (AWS::SageMaker::Endpoint)" in message
    assert "did not pass the ping health check" in message
    assert present(account) == before

    stacks.create_stack(StackName=stack, TemplateBody=body(hosting(account), Outputs=OUTPUTS))
    endpoint = outputs(stacks, stack)["Endpoint"]
    during = present(account)
    message = refused(stacks.update_stack, StackName=stack, TemplateBody=body(hosting(account, EXIT="1")))
    assert "did not pass the ping health check" in message
    assert present(account) == during
    assert account.ask(endpoint)["greeting"] == "hello"
    stacks.delete_stack(StackName=stack)


def test_a_second_deployment_without_a_change_is_none(account: Account, stacks: Any) -> None:
    stack = new_name("Stack")
    parameters = {"Greeting": {"Type": "String", "Default": "hello"}}
    template = body(hosting(account, {"Ref": "Greeting"}), Outputs=OUTPUTS, Parameters=parameters)
    stacks.create_stack(StackName=stack, TemplateBody=template)
    first, before = outputs(stacks, stack), present(account)

    assert refused(stacks.update_stack, StackName=stack, TemplateBody=template) == "No updates are to be performed."
    given = [{"ParameterKey": "Greeting", "ParameterValue": "hello"}]
    same = {"StackName": stack, "TemplateBody": template, "Parameters": given}
    assert refused(stacks.update_stack, **same) == "No updates are to be performed."
    assert present(account) == before

    other = [{"ParameterKey": "Greeting", "ParameterValue": "good day"}]
    stacks.update_stack(StackName=stack, TemplateBody=template, Parameters=other)
    assert account.ask(first["Endpoint"])["greeting"] == "good day"
    kept = [{"ParameterKey": "Greeting", "UsePreviousValue": True}]
    broken = body({**json.loads(template)["Resources"], "Alias": BROKEN}, Parameters=parameters)
    refused(stacks.update_stack, StackName=stack, TemplateBody=broken, Parameters=kept)
    assert account.ask(first["Endpoint"])["greeting"] == "good day"
    stacks.delete_stack(StackName=stack)


def test_a_change_set_tells_what_would_change_and_changes_it_when_executed(account: Account, stacks: Any) -> None:
    stack, group = new_name("Stack"), new_name("group")
    resources = {"Group": {"Type": "AWS::SageMaker::ModelPackageGroup", "Properties": {"ModelPackageGroupName": group}}}
    stacks.create_stack(StackName=stack, TemplateBody=body(resources))
    topic = {"Type": "AWS::SNS::Topic"}
    changed = {"Group": {**resources["Group"], "Properties": {"ModelPackageGroupName": f"{group}-2"}}, "Topic": topic}

    def change_set(name: str, template: str) -> dict[str, Any]:
        request = {"StackName": stack, "ChangeSetName": name}
        stacks.create_change_set(**request, TemplateBody=template, ChangeSetType="UPDATE")
        return dict(stacks.describe_change_set(**request))

    told = change_set("second", body(changed))["Changes"]
    actions = {one["ResourceChange"]["LogicalResourceId"]: one["ResourceChange"]["Action"] for one in told}
    assert actions == {"Group": "Modify", "Topic": "Add"}
    assert change_set("none", body(resources))["Status"] == "FAILED"
    stacks.execute_change_set(ChangeSetName="second", StackName=stack)
    groups = account.sagemaker.list_model_package_groups(NameContains=group)["ModelPackageGroupSummaryList"]
    assert [one["ModelPackageGroupName"] for one in groups] == [f"{group}-2"]

    change_set("broken", body({"Group": resources["Group"], "Alias": BROKEN}))
    assert "Alias" in refused(stacks.execute_change_set, ChangeSetName="broken", StackName=stack)
    groups = account.sagemaker.list_model_package_groups(NameContains=group)["ModelPackageGroupSummaryList"]
    assert [one["ModelPackageGroupName"] for one in groups] == [f"{group}-2"]
    stacks.delete_stack(StackName=stack)
    assert account.sagemaker.list_model_package_groups(NameContains=group)["ModelPackageGroupSummaryList"] == []


def test_a_package_is_approved_in_place_and_replaced_when_it_holds_another_model(account: Account, stacks: Any) -> None:
    stack, group = new_name("Stack"), new_name("group")

    def template(status: str, greeting: str, policy: str = "arn:aws:iam::123456789012:root") -> str:
        statement = {"Effect": "Allow", "Principal": {"AWS": policy}, "Action": "sagemaker:DescribeModelPackage"}
        package = {
            "ModelPackageGroupName": {"Ref": "Group"},
            "ModelApprovalStatus": status,
            "CustomerMetadataProperties": {status: "yes"},
            "InferenceSpecification": {
                "Containers": [{"Image": IMAGE, "Environment": {"GREETING": greeting}}],
                "SupportedContentTypes": ["text/plain"],
                "SupportedResponseMIMETypes": ["text/plain"],
            },
        }
        resources = {
            "Group": {
                "Type": "AWS::SageMaker::ModelPackageGroup",
                "Properties": {
                    "ModelPackageGroupName": group,
                    "ModelPackageGroupPolicy": {"Version": "2012-10-17", "Statement": [statement]},
                },
            },
            "Package": {"Type": "AWS::SageMaker::ModelPackage", "Properties": package},
        }
        shown = {
            "Package": {"Value": {"Ref": "Package"}},
            "Status": {"Value": {"Fn::GetAtt": ["Group", "ModelPackageGroupStatus"]}},
        }
        return body(resources, Outputs=shown)

    stacks.create_stack(StackName=stack, TemplateBody=template("PendingManualApproval", "hello"))
    made = outputs(stacks, stack)
    assert made["Package"].endswith(f":model-package/{group}/1")
    assert made["Status"] == "Completed"
    stacks.update_stack(StackName=stack, TemplateBody=template("Approved", "hello", "arn:aws:iam::210987654321:root"))
    assert outputs(stacks, stack)["Package"] == made["Package"]
    package = account.sagemaker.describe_model_package(ModelPackageName=made["Package"])
    assert package["ModelApprovalStatus"] == "Approved"
    assert package["CustomerMetadataProperties"] == {"Approved": "yes"}
    policy = account.sagemaker.get_model_package_group_policy(ModelPackageGroupName=group)["ResourcePolicy"]
    assert "210987654321" in policy
    stacks.update_stack(StackName=stack, TemplateBody=template("Approved", "good day"))
    assert outputs(stacks, stack)["Package"].endswith(f":model-package/{group}/2")
    listed = account.sagemaker.list_model_packages(ModelPackageGroupName=group)["ModelPackageSummaryList"]
    assert [one["ModelPackageVersion"] for one in listed] == [2]
    stacks.delete_stack(StackName=stack)
    assert "does not exist" in refused(account.sagemaker.describe_model_package_group, ModelPackageGroupName=group)


def test_what_cannot_be_made_whole_leaves_no_part(account: Account, stacks: Any) -> None:
    group, role = new_name("group"), new_name("role")
    half = {
        "AWS::SageMaker::ModelPackageGroup": {"ModelPackageGroupName": group, "ModelPackageGroupPolicy": "{"},
        "AWS::IAM::Role": {
            "RoleName": role,
            "AssumeRolePolicyDocument": {"Version": "2012-10-17", "Statement": []},
            "Policies": [
                {"PolicyName": "good", "PolicyDocument": {"Version": "2012-10-17", "Statement": []}},
                {"PolicyName": "bad", "PolicyDocument": "{"},
            ],
        },
    }
    for kind, properties in half.items():
        message = refused(
            stacks.create_stack,
            StackName=new_name("Stack"),
            TemplateBody=body({"Half": {"Type": kind, "Properties": properties}}),
        )
        assert f"Half ({kind})" in message
    assert "does not exist" in refused(account.sagemaker.describe_model_package_group, ModelPackageGroupName=group)
    assert "not found" in refused(account.client("iam").get_role, RoleName=role)


def test_a_variant_is_scaled_as_its_policy_says_until_the_stack_goes(account: Account, stacks: Any) -> None:
    scaling, stack = account.client("application-autoscaling"), new_name("Stack")

    def template(most: int, target: int) -> str:
        resource = {"Fn::Sub": "endpoint/${Endpoint.EndpointName}/variant/AllTraffic"}
        properties = {
            **TARGET,
            "ResourceId": resource,
            "MinCapacity": 1,
            "MaxCapacity": str(most),
        }
        metric = {"PredefinedMetricType": "SageMakerVariantInvocationsPerInstance"}
        policy = {
            "PolicyName": "invocations",
            "PolicyType": "TargetTrackingScaling",
            "ScalingTargetId": {"Ref": "Target"},
            "TargetTrackingScalingPolicyConfiguration": {
                "PredefinedMetricSpecification": metric,
                "TargetValue": target,
            },
        }
        resources = {
            "Target": {"Type": "AWS::ApplicationAutoScaling::ScalableTarget", "Properties": properties},
            "Policy": {"Type": "AWS::ApplicationAutoScaling::ScalingPolicy", "Properties": policy},
        }
        return body({**hosting(account), **resources}, Outputs=OUTPUTS)

    def found() -> tuple[list[int], list[float]]:
        targets = scaling.describe_scalable_targets(ServiceNamespace="sagemaker")["ScalableTargets"]
        policies = scaling.describe_scaling_policies(ServiceNamespace="sagemaker")["ScalingPolicies"]
        ours = [one for one in targets if one["ResourceId"] not in others]
        of_ours = [one for one in policies if one["ResourceId"] not in others]
        values = [one["TargetTrackingScalingPolicyConfiguration"]["TargetValue"] for one in of_ours]
        return [one["MaxCapacity"] for one in ours], values

    present = scaling.describe_scalable_targets(ServiceNamespace="sagemaker")["ScalableTargets"]
    others = {one["ResourceId"] for one in present}  # of other tests
    stacks.create_stack(StackName=stack, TemplateBody=template(2, 100))
    assert found() == ([2], [100])
    stacks.update_stack(StackName=stack, TemplateBody=template(3, 50))
    assert found() == ([3], [50])
    stacks.delete_stack(StackName=stack)
    assert found() == ([], [])


def test_what_moto_would_only_pretend_is_no_known_type(stacks: Any) -> None:
    notebook = {"Type": "AWS::SageMaker::NotebookInstance", "Properties": {"InstanceType": "ml.t3.medium"}}
    message = refused(stacks.create_stack, StackName=new_name("Stack"), TemplateBody=body({"Notebook": notebook}))
    assert message == "Template format error: Unrecognized resource types: [AWS::SageMaker::NotebookInstance]"


def test_the_endpoint_s_container_is_gone_with_the_stack(account: Account, stacks: Any) -> None:
    stack = new_name("Stack")
    stacks.create_stack(StackName=stack, TemplateBody=body(hosting(account), Outputs=OUTPUTS))
    instance = account.ask(outputs(stacks, stack)["Endpoint"])["instance"]
    assert is_running(instance)
    stacks.delete_stack(StackName=stack)
    assert until(lambda: not is_running(instance))
