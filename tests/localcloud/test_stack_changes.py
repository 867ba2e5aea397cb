"""What `kindling bootstrap` does with CloudFormation: looking and changing by change sets, again and again."""

from __future__ import annotations

import json
from typing import Any

import pytest

from kindling.bootstrap.stack_changes import Change, Stack
from kindling.errors import UserError


def body(**values: str) -> str:
    resources = {
        name: {"Type": "AWS::SSM::Parameter", "Properties": {"Type": "String", "Value": value}}
        for name, value in values.items()
    }
    return json.dumps(
        {"Parameters": {"Words": {"Type": "CommaDelimitedList", "Default": "a,b"}}, "Resources": resources}
    )


def stack(aws: Any, name: str) -> Stack:
    return Stack(aws("cloudformation"), name)


def test_a_look_at_a_stack_that_is_not_there_leaves_nothing_behind(aws: Any) -> None:
    new = stack(aws, "look-at-new")
    assert new.preview(body(One="1")) == [Change("Add", "One", "AWS::SSM::Parameter")]
    assert new.status() is None
    assert new.content() is None


def test_a_look_that_fails_leaves_nothing_behind_either(aws: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    failed = stack(aws, "look-that-fails")
    told = {"Status": "FAILED", "StatusReason": "Parameters: [ssm:/x] not found."}
    monkeypatch.setattr(failed.client, "describe_change_set", lambda **_: told)
    with pytest.raises(UserError, match=r"refuses the template of stack look-that-fails: Parameters"):
        failed.preview(body(One="1"))
    assert failed.status() is None


def test_a_template_is_brought_about_and_then_left_alone(aws: Any) -> None:
    made = stack(aws, "brought-about")
    assert made.apply(body(One="1"), {"Words": "c,d"}, {"team": "nlp"}) == "made"
    assert made.parameters() == {"Words": "c,d"}, "as it was given, not as a list"
    assert made.apply(body(One="1"), {"Words": "c,d"}, {"team": "nlp"}) == "unchanged"
    assert made.preview(body(One="1"), {"Words": "c,d"}) == []
    assert made.preview(body(One="2", Two="2"), {"Words": "c,d"}) == [
        Change("Add", "Two", "AWS::SSM::Parameter"),
        Change("Modify", "One", "AWS::SSM::Parameter"),
    ]
    before = made.content()
    assert made.apply(body(One="2"), {"Words": "c,d"}) == "changed"
    assert made.content() != before
    made.delete()
    assert made.status() is None
    made.delete()  # that it is gone is no error


def test_what_an_interrupted_run_left_is_gone_on_with(aws: Any) -> None:
    planned = stack(aws, "interrupted")
    planned.client.create_change_set(
        StackName="interrupted", ChangeSetName="left", ChangeSetType="CREATE", TemplateBody=body(One="1")
    )
    assert planned.status() == "REVIEW_IN_PROGRESS"
    assert planned.content() is None
    assert planned.preview(body(One="1")) == [Change("Add", "One", "AWS::SSM::Parameter")]
    assert planned.status() == "REVIEW_IN_PROGRESS", "it was there before the look"
    assert planned.apply(body(One="1")) == "made"
    planned.delete()


def test_the_parameters_of_a_template_are_told(aws: Any) -> None:
    assert stack(aws, "any").parameters_of(body(One="1")) == {"Words"}


class Told:
    """A client of CloudFormation that tells of a stack in one status, and keeps what is asked of it."""

    def __init__(self, *statuses: str) -> None:
        self.statuses = list(statuses)
        self.calls: list[str] = []
        self.change_set = {"Status": "CREATE_COMPLETE"}

    def describe_stacks(self, StackName: str) -> dict[str, Any]:  # noqa: N803
        status = self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0]
        return {"Stacks": [{"StackStatus": status, "StackId": "id"}]}

    def get_template_summary(self, TemplateBody: str) -> dict[str, Any]:  # noqa: N803
        return {"ResourceTypes": ["AWS::SSM::Parameter"]}

    def delete_stack(self, StackName: str) -> None:  # noqa: N803
        self.calls.append(f"delete {StackName}")

    def create_change_set(self, **_request: Any) -> dict[str, Any]:
        return {"Id": "change set"}

    def describe_change_set(self, **_request: Any) -> dict[str, Any]:
        return self.change_set

    def delete_change_set(self, ChangeSetName: str, **_request: Any) -> None:  # noqa: N803
        self.calls.append(f"delete {ChangeSetName}")

    def execute_change_set(self, ChangeSetName: str, **_request: Any) -> None:  # noqa: N803
        self.calls.append(f"execute {ChangeSetName}")

    def describe_stack_events(self, StackName: str) -> dict[str, Any]:  # noqa: N803
        events = (
            ("Stack", "UPDATE_ROLLBACK_COMPLETE", ""),
            ("Other", "UPDATE_FAILED", "Resource update cancelled"),
            ("Policy1", "UPDATE_FAILED", "The policy is too long."),
        )
        names = ("LogicalResourceId", "ResourceStatus", "ResourceStatusReason")
        return {"StackEvents": [dict(zip(names, event, strict=True)) for event in events]}


@pytest.mark.parametrize(
    ("status", "words"),
    [
        ("UPDATE_IN_PROGRESS", "is UPDATE_IN_PROGRESS: wait until that change has ended, then run this again."),
        ("DELETE_FAILED", "is DELETE_FAILED: a change failed and was not taken back; delete it, or continue"),
        ("UPDATE_ROLLBACK_FAILED", "is UPDATE_ROLLBACK_FAILED: a change failed"),
    ],
)
def test_a_stack_that_is_being_changed_or_is_stuck_is_refused_by_name(status: str, words: str) -> None:
    for work in (Stack.preview, Stack.apply):
        with pytest.raises(UserError, match=f"stack stuck {words}".replace(".", r"\.")):
            work(Stack(Told(status), "stuck"), body(One="1"))


def test_a_stack_of_which_nothing_was_made_is_looked_at_as_new_and_deleted_first() -> None:
    told = Told("ROLLBACK_COMPLETE")
    assert Stack(told, "failed").preview("{}") == [Change("Add", "", "AWS::SSM::Parameter")]
    assert told.calls == []
    told = Told(*["ROLLBACK_COMPLETE"] * 3, "DELETE_IN_PROGRESS", "DELETE_COMPLETE")
    told.change_set = {"Status": "FAILED", "StatusReason": "Invalid template."}
    with pytest.raises(UserError, match=r"refuses the template of stack failed: Invalid template\.$"):
        Stack(told, "failed").apply("{}")
    assert told.calls == ["delete id", "delete change set"]


def test_a_change_that_fails_is_told_with_the_first_reason() -> None:
    told = Told(*["CREATE_COMPLETE"] * 4, "UPDATE_IN_PROGRESS", "UPDATE_ROLLBACK_COMPLETE")
    with pytest.raises(UserError, match=r"stack policies could not be changed: Policy1: The policy is too long\.$"):
        Stack(told, "policies").apply("{}")
    assert told.calls == ["execute change set"]
