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
        assert change["ResourceChange"]["Action"] == "Modify"
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
