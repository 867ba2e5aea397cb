"""Change sets as `cdk diff` and `cdk deploy` use them."""

from __future__ import annotations

import json
from typing import Any

import pytest


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


def test_a_stack_that_only_has_change_sets_takes_more_of_them_and_is_there_once(aws: Any) -> None:
    stacks, name = aws("cloudformation"), "to-be-made"
    made = [
        stacks.create_change_set(StackName=name, ChangeSetName=f"set-{value}", TemplateBody=body(value))
        for value in ("first", "second")
    ]
    assert made[0]["StackId"] == made[1]["StackId"]
    [stack] = [one for one in stacks.describe_stacks()["Stacks"] if one["StackName"] == name]
    assert (stack["StackStatus"], stack["StackId"]) == ("REVIEW_IN_PROGRESS", made[0]["StackId"])
    stacks.execute_change_set(StackName=name, ChangeSetName="set-first")
    [resource] = stacks.describe_stack_resources(StackName=name)["StackResources"]
    assert resource["StackId"] == made[0]["StackId"]
    assert aws("ssm").get_parameter(Name=resource["PhysicalResourceId"])["Parameter"]["Value"] == "first"
    already = "already exists and cannot be created again with the changeSet \\[set-third\\]"
    with pytest.raises(stacks.exceptions.ClientError, match=already):
        stacks.create_change_set(StackName=name, ChangeSetName="set-third", TemplateBody=body("third"))
    stacks.delete_stack(StackName=name)


def test_a_change_set_that_is_not_there_is_told_by_its_own_error(aws: Any) -> None:
    stacks = aws("cloudformation")
    stacks.create_stack(StackName="without", TemplateBody=body("old"))
    for look in (stacks.describe_change_set, stacks.execute_change_set):
        with pytest.raises(stacks.exceptions.ChangeSetNotFoundException, match=r"ChangeSet \[nowhere\] does not exist"):
            look(StackName="without", ChangeSetName="nowhere")
    stacks.delete_stack(StackName="without")


def test_a_previous_value_is_what_was_given_and_not_what_it_names(aws: Any) -> None:
    """The CDK gives its templates a parameter that names one of SSM, and keeps it at every update."""

    def template(description: str) -> str:
        resource = {"Type": "String", "Value": {"Ref": "Named"}, "Description": description}
        return json.dumps(
            {
                "Parameters": {"Named": {"Type": "AWS::SSM::Parameter::Value<String>", "Default": "/named"}},
                "Resources": {"Copy": {"Type": "AWS::SSM::Parameter", "Properties": {"Name": "/copy"} | resource}},
            }
        )

    stacks, ssm = aws("cloudformation"), aws("ssm")
    ssm.put_parameter(Name="/named", Value="what it holds", Type="String")
    ssm.put_parameter(Name="/other", Value="something else", Type="String")
    request = {"StackName": "copied", "Parameters": [{"ParameterKey": "Named", "UsePreviousValue": True}]}

    def execute(name: str, text: str, **more: Any) -> str:
        stacks.create_change_set(
            **(request | more), ChangeSetName=name, ChangeSetType="UPDATE", TemplateBody=template(text)
        )
        stacks.execute_change_set(StackName="copied", ChangeSetName=name)
        return str(ssm.get_parameter(Name="/copy")["Parameter"]["Value"])

    stacks.create_stack(StackName="copied", TemplateBody=template("first"))
    assert execute("second", "second") == "what it holds"
    assert execute("third", "second", Parameters=[{"ParameterKey": "Named", "ParameterValue": "/other"}]) == (
        "something else"
    )
    assert execute("fourth", "fourth") == "something else"
    stacks.create_change_set(
        **request, ChangeSetName="nothing", ChangeSetType="UPDATE", TemplateBody=template("fourth")
    )
    nothing = stacks.describe_change_set(StackName="copied", ChangeSetName="nothing")
    assert (nothing["Status"], nothing["Changes"]) == ("FAILED", [])
    stacks.delete_stack(StackName="copied")
