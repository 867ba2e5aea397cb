"""docs/iam.md says what the templates say, and why."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from kindling import iam_matrix
from kindling.iam_matrix import PAGE, NoReasonError, Reasons, matrix_page, reasons
from kindling.policy_documents import Documents, Role, Template, UnknownValueError

ROLE = {
    "Type": "AWS::IAM::Role",
    "Properties": {
        "AssumeRolePolicyDocument": {
            "Statement": [
                {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": "lambda.amazonaws.com"}}
            ]
        },
        "Policies": [
            {
                "PolicyDocument": {
                    "Statement": [
                        {
                            "Sid": "Expire",
                            "Effect": "Allow",
                            "Action": "sagemaker:DeleteEndpoint",
                            "Resource": {"Fn::Sub": "arn:aws:sagemaker:*:${AWS::AccountId}:endpoint/a|b"},
                            "Condition": {
                                "Null": {"aws:ResourceTag/made-by": "false"},
                                "StringNotEqualsIgnoreCase": {"aws:ResourceTag/keep": "true"},
                                "DateLessThan": {"aws:CurrentTime": "2030-01-01"},
                            },
                        }
                    ]
                }
            }
        ],
    },
    "Metadata": {"aws:cdk:path": "Stack/Reaper/Role/Resource"},
}
MARKED = f"before\n{iam_matrix.BEGIN}\n{iam_matrix.END}\nafter"


def test_the_page_is_what_the_templates_and_the_reasons_give(widest: dict[str, Template]) -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert page == matrix_page(page, widest), "run `make docs`"


def test_every_reason_is_a_statements(widest: dict[str, Template]) -> None:
    known = reasons()
    used = {known.of(role, one) for role in Documents(widest).roles() for one in role.statements}
    assert {(table, key) for table, keys in known.tables.items() for key in keys} == used


def test_every_statement_that_the_cdk_does_not_write_has_a_sid(widest: dict[str, Template]) -> None:
    roles = Documents(widest).roles()
    assert {one["Action"][0].partition(":")[0] for role in roles for one in role.statements if "Sid" not in one} == {
        *("logs", "xray")
    }


def test_a_statement_without_a_reason_is_named_with_its_role_and_its_file() -> None:
    role = Role("Stack/Plan/Role", "arn:aws:iam::123456789012:role/plan", {}, ())
    known = Reasons({"Plan": {"Look": "Looks."}, "any": {"Write": "Writes."}, "cdk": {"xray:Put": "Traces."}})
    for statement, sentence in (
        ({"Sid": "Look"}, "Looks."),
        ({"Sid": "Write"}, "Writes."),
        ({"Action": ["xray:Put", "xray:Get"]}, "Traces."),
    ):
        assert known.sentence(role, statement) == sentence
    other = replace(role, path="Stack/Evaluate/Role")
    for statement, key in (({"Sid": "Look"}, "Look"), ({"Action": "s3:*"}, "s3:*"), ({"NotAction": "s3:*"}, "none")):
        with pytest.raises(NoReasonError, match=r"in stacks/reasons\.toml under \[") as error:
            known.sentence(other, statement)
        assert str(error.value).startswith(f"{key} of Stack/Evaluate/Role has no reason")


def test_a_row_has_its_conditions_and_foreign_resources_in_full(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(iam_matrix, "reasons", lambda: Reasons({"Reaper": {"Expire": "Because."}}))
    page = matrix_page(MARKED, {"Stack": {"Resources": {"Reaper": ROLE}}})
    assert "### Stack / Reaper\n\nAssumed by `lambda.amazonaws.com`.\n" in page
    assert (
        "| `Expire` | `sagemaker:DeleteEndpoint` | `arn:aws:sagemaker:*:123456789012:endpoint/a\\|b` "
        "| `aws:ResourceTag/made-by` is there; `aws:ResourceTag/keep` is not `true`; "
        "`aws:CurrentTime` DateLessThan `2030-01-01` | Because. |"
    ) in page


def test_what_a_role_is_denied_is_no_permission(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(iam_matrix, "reasons", lambda: Reasons({"Reaper": {"Expire": "Because."}}))
    role: dict[str, Any] = json.loads(json.dumps(ROLE))
    role["Properties"]["Policies"][0]["PolicyDocument"]["Statement"][0]["Effect"] = "Deny"
    assert "| **denied:** `sagemaker:DeleteEndpoint` |" in matrix_page(MARKED, {"Stack": {"Resources": {"R": role}}})


def test_a_role_with_a_policy_that_no_template_holds_is_refused() -> None:
    role: dict[str, Any] = json.loads(json.dumps(ROLE))
    role["Properties"]["ManagedPolicyArns"] = ["arn:aws:iam::aws:policy/AdministratorAccess"]
    with pytest.raises(ValueError, match="Stack/Reaper/Role/Resource has managed policies"):
        Documents({"Stack": {"Resources": {"Reaper": role}}}).roles()


@pytest.mark.parametrize(
    ("resource", "sentence"),
    [
        ({"Fn::FindInMap": ["a", "b", "c"]}, "has Fn::FindInMap, which is not resolved here"),
        ({"Fn::GetAtt": ["Reaper", "RoleId"]}, "has Reaper.RoleId, which is not resolved here"),
        ({"Fn::GetAtt": ["Other", "Arn"]}, "names Other; the ARNs of AWS::X::Y are not known here"),
    ],
)
def test_what_cannot_be_resolved_is_named_and_not_guessed(resource: dict[str, Any], sentence: str) -> None:
    role: dict[str, Any] = json.loads(json.dumps(ROLE))
    role["Properties"]["Policies"][0]["PolicyDocument"]["Statement"][0]["Resource"] = resource
    template = {"Resources": {"Reaper": role, "Other": {"Type": "AWS::X::Y"}}}
    with pytest.raises(UnknownValueError, match=re.escape(sentence)):
        Documents({"Stack": template}).roles()


def test_the_command_ends_with_one_sentence_when_a_reason_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = tmp_path / "iam.md"
    page.write_text(MARKED)
    monkeypatch.setattr(iam_matrix, "PAGE", page)
    monkeypatch.setattr(iam_matrix, "reasons", lambda: Reasons({}))
    monkeypatch.setattr(iam_matrix, "synthesised", lambda: {"Stack": {"Resources": {"Reaper": ROLE}}})
    with pytest.raises(SystemExit, match=r"^Expire of Stack/Reaper/Role has no reason"):
        iam_matrix.main()
    assert page.read_text() == MARKED
