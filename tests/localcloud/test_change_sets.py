"""Change sets as `cdk diff` and `cdk deploy` use them."""

from __future__ import annotations

import json
from typing import Any


def body(value: str) -> str:
    properties = {"Type": "String", "Value": value}
    return json.dumps({"Resources": {"Parameter": {"Type": "AWS::SSM::Parameter", "Properties": properties}}})


def test_a_change_set_of_a_stack_is_told_from_that_of_another_by_the_same_name(aws: Any) -> None:
    stacks, name = aws("cloudformation"), "cdk-deploy-change-set"
    for stack in ("one", "other"):
        stacks.create_stack(StackName=stack, TemplateBody=body("old"))
    for stack in ("one", "other"):
        stacks.delete_change_set(StackName=stack, ChangeSetName=name)  # there is none, and that is no error
        request = {"StackName": stack, "ChangeSetName": name, "ChangeSetType": "UPDATE"}
        stacks.create_change_set(**request, TemplateBody=body(f"new of {stack}"))

    def value(stack: str) -> str:
        [resource] = stacks.describe_stack_resources(StackName=stack)["StackResources"]
        found = aws("ssm").get_parameter(Name=resource["PhysicalResourceId"])["Parameter"]
        return str(found["Value"])

    for stack in ("one", "other"):
        described = stacks.describe_change_set(StackName=stack, ChangeSetName=name)
        assert (described["StackName"], described["Status"]) == (stack, "CREATE_COMPLETE")
        [change] = described["Changes"]
        change = change["ResourceChange"]
        assert (change["Action"], change["Replacement"]) == ("Modify", "False")
        assert [one["Target"]["Name"] for one in change["Details"]] == ["Value"]
    stacks.execute_change_set(StackName="one", ChangeSetName=name)
    assert (value("one"), value("other")) == ("new of one", "old")
    stacks.delete_change_set(StackName="other", ChangeSetName=name)
    assert (value("one"), value("other")) == ("new of one", "old")
    for stack in ("one", "other"):
        stacks.delete_stack(StackName=stack)


def test_a_change_set_for_a_look_alone_leaves_the_stack_as_it_is(aws: Any) -> None:
    stacks = aws("cloudformation")
    stacks.create_stack(StackName="looked-at", TemplateBody=body("old"))
    request = {"StackName": "looked-at", "ChangeSetName": "look"}
    stacks.create_change_set(**request, ChangeSetType="UPDATE", TemplateBody=body("new"))
    assert stacks.describe_change_set(**request)["Changes"]
    stacks.delete_change_set(**request)
    found = stacks.get_template(StackName="looked-at")["TemplateBody"]
    assert (found if isinstance(found, dict) else json.loads(found)) == json.loads(body("old"))
    assert stacks.describe_stacks(StackName="looked-at")["Stacks"][0]["StackStatus"] == "CREATE_COMPLETE"
    stacks.delete_stack(StackName="looked-at")


def test_a_change_set_tells_what_would_be_replaced_and_what_follows_it(aws: Any) -> None:
    def template(topic: str, text: str) -> str:
        resources = {
            "Topic": {"Type": "AWS::SNS::Topic", "Properties": {"TopicName": topic}},
            "Parameter": {
                "Type": "AWS::SSM::Parameter",
                "Properties": {"Type": "String", "Value": {"Fn::Sub": "${Topic} of ${Word}"}, "Description": text},
            },
            "Untouched": {"Type": "AWS::SSM::Parameter", "Properties": {"Type": "String", "Value": "as it is"}},
        }
        return json.dumps({"Resources": resources, "Parameters": {"Word": {"Type": "String", "Default": "hello"}}})

    stacks, request = aws("cloudformation"), {"StackName": "told", "ChangeSetName": "replacing"}
    stacks.create_stack(StackName="told", TemplateBody=template("told-first", "old"))
    stacks.create_change_set(**request, ChangeSetType="UPDATE", TemplateBody=template("told-second", "new"))
    told = [change["ResourceChange"] for change in stacks.describe_change_set(**request)["Changes"]]
    found = {
        (change["LogicalResourceId"], change["Replacement"], detail["Target"]["Name"], detail["ChangeSource"])
        for change in told
        for detail in change["Details"]
    }
    assert found == {
        ("Topic", "True", "TopicName", "DirectModification"),
        ("Parameter", "False", "Value", "ResourceAttribute"),
        ("Parameter", "False", "Description", "DirectModification"),
    }
    parameters = [{"ParameterKey": "Word", "ParameterValue": "farewell"}]
    request["ChangeSetName"] = "by-parameter"
    stacks.create_change_set(
        **request, ChangeSetType="UPDATE", TemplateBody=template("told-first", "old"), Parameters=parameters
    )
    [change] = stacks.describe_change_set(**request)["Changes"]
    assert change["ResourceChange"]["LogicalResourceId"] == "Parameter"
    stacks.delete_stack(StackName="told")
