"""cfn-lint over every template, its rules for state machines included; exceptions stand in .cfnlintrc, with reasons."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.stacks.synthesis import ROOT, Assembly


def cfn_lint(*templates: Path) -> list[str]:
    """What cfn-lint has to say of templates, a line for each finding."""
    command = [str(Path(sys.executable).parent / "cfn-lint"), "--format", "json", "-t", *map(str, templates)]
    process = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert process.stdout, process.stderr
    return [
        f"{Path(finding['Filename']).name}:{finding['Location']['Start']['LineNumber']} "
        f"{finding['Rule']['Id']} {finding['Message']}"
        for finding in json.loads(process.stdout)
    ]


def test_templates_have_no_finding(assembly: Assembly, account_assembly: Assembly) -> None:
    templates = [path for each in (assembly, account_assembly) for path in sorted(each.path.glob("*.template.json"))]
    findings = cfn_lint(*templates)
    assert not findings, "\n".join(findings)


@pytest.mark.wide
def test_a_state_machine_that_cannot_run_is_found(tmp_path: Path) -> None:
    template = tmp_path / "machine.template.json"
    machine = {
        "Type": "AWS::StepFunctions::StateMachine",
        "Properties": {
            "RoleArn": "arn:aws:iam::123456789012:role/runner",
            "Definition": {"StartAt": "Nowhere", "States": {"Here": {"Type": "Succeed"}}},
        },
    }
    template.write_text(json.dumps({"Resources": {"Machine": machine}}))
    assert any("E3601" in finding for finding in cfn_lint(template))
