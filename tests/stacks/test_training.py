"""The training stack's template: who may do what, and that nothing is left out."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from containers import catalogue
from stacks.constructs.function_code import ROOT, contract_modules, function_modules, laid_out
from tests.stacks.synthesis import Assembly, Template

STACK = "KindlingTraining"


@pytest.fixture(scope="module")
def template(assembly: Assembly) -> Template:
    return assembly.templates[STACK]


def statements(assembly: Assembly, description: str) -> list[dict[str, Any]]:
    """What the role whose description begins so may do."""
    roles = [
        role["Properties"]
        for role in assembly.resources("AWS::IAM::Role", STACK)
        if role["Properties"].get("Description", "").startswith(description)
    ]
    assert roles, description
    return [found for policy in roles[0]["Policies"] for found in policy["PolicyDocument"]["Statement"]]


def test_every_algorithm_has_a_state_machine_and_its_output(assembly: Assembly, template: Template) -> None:
    machines = list(assembly.resources("AWS::StepFunctions::StateMachine", STACK))
    assert len(machines) == len(catalogue.algorithms())
    for name in catalogue.algorithms():
        camel = "".join(part.capitalize() for part in name.split("_"))
        assert f"{camel}StateMachineArn" in template["Outputs"]


def test_executions_are_logged_and_traced(assembly: Assembly) -> None:
    for machine in assembly.resources("AWS::StepFunctions::StateMachine", STACK):
        assert machine["Properties"]["LoggingConfiguration"]["Level"] == "ALL"
        assert machine["Properties"]["TracingConfiguration"] == {"Enabled": True}


def test_every_placeholder_of_a_definition_is_substituted(assembly: Assembly) -> None:
    for machine in assembly.resources("AWS::StepFunctions::StateMachine", STACK):
        used = set(re.findall(r"\$\{(\w+)\}", machine["Properties"]["DefinitionString"]))
        assert used <= set(machine["Properties"]["DefinitionSubstitutions"])


def test_functions_are_traced_log_in_json_and_have_a_role_each(assembly: Assembly) -> None:
    functions = [function["Properties"] for function in assembly.resources("AWS::Lambda::Function", STACK)]
    assert len(functions) == len({json.dumps(function["Role"]) for function in functions}) == 11
    for function in functions:
        assert function["Runtime"] == "python3.11"
        assert function["TracingConfig"] == {"Mode": "Active"}
        assert function["LoggingConfig"]["LogFormat"] == "JSON"
        assert function["Environment"]["Variables"]["POWERTOOLS_SERVICE_NAME"].startswith("kindling-")


def test_log_groups_are_not_kept_for_ever(assembly: Assembly) -> None:
    groups = list(assembly.resources("AWS::Logs::LogGroup", STACK))
    assert groups
    assert all("RetentionInDays" in group["Properties"] for group in groups)


def test_roles_are_passed_to_sagemaker_only(assembly: Assembly) -> None:
    (passing,) = (found for found in statements(assembly, "State machine of") if found["Action"] == "iam:PassRole")
    assert passing["Condition"] == {"StringEquals": {"iam:PassedToService": "sagemaker.amazonaws.com"}}
    assert "*" not in json.dumps(passing["Resource"])


def test_a_pipeline_makes_only_what_bears_its_name(assembly: Assembly) -> None:
    for found in statements(assembly, "State machine of kindling-blazingtext"):
        if found["Sid"] in ("Train", "MakeModel", "MakeConfig"):
            assert "/kindling-blazingtext-*" in json.dumps(found["Resource"])


def test_a_training_role_reads_and_writes_its_own_algorithms_part(assembly: Assembly) -> None:
    objects = [
        found
        for found in statements(assembly, "Training jobs of blazingtext")
        if any(
            action.startswith("s3:")
            for action in ([found["Action"]] if isinstance(found["Action"], str) else found["Action"])
        )
    ]
    assert len(objects) == 5
    for found in objects:
        limited = json.dumps(found["Resource"]) + json.dumps(found.get("Condition", ""))
        assert ("blazingtext/checkpoints/*" if found["Sid"] == "RemoveCheckpoints" else "blazingtext/*") in limited


def test_metrics_may_be_written_to_sagemakers_namespace_only(assembly: Assembly) -> None:
    for found in statements(assembly, "Training jobs of"):
        if found["Action"] == "cloudwatch:PutMetricData":
            assert found["Condition"] == {"StringEquals": {"cloudwatch:namespace": "/aws/sagemaker/TrainingJobs"}}


def test_code_holds_modules_and_nothing_else() -> None:
    found = {**function_modules("rollback", "hosting"), **contract_modules()}
    assert {Path(name).suffix for name in found} == {".py"}
    assert "lambdas/rollback/handler.py" in found
    assert "lambdas/hosting/endpoints.py" in found


@pytest.mark.wide
@pytest.mark.parametrize(
    ("folder", "imports"),
    [
        ("plan", ()),
        ("evaluate", ("hosting",)),
        ("endpoint", ("hosting",)),
        ("smoke_test", ()),
        ("retire", ("hosting",)),
        ("rollback", ("guard", "hosting")),
        ("spot", ("hosting",)),
        ("register", ()),
        ("compare", ("evaluate", "hosting")),
        ("guard", ()),
        ("clean_up", ()),
    ],
)
def test_a_function_starts_with_its_code_and_layers_alone(folder: str, imports: tuple[str, ...]) -> None:
    code = {**function_modules(folder, *imports), **(contract_modules() if folder == "plan" else {})}
    with laid_out(code) as task:
        # Installed packages stand for the layer of Powertools; the house's own folders are not among them.
        program = (
            f"import sys; sys.path[:0] = [{task!r}, {task + '/python'!r}]\n"
            f"import lambdas.{folder}.handler\n"
            "files = [getattr(module, '__file__', None) or '' for module in sys.modules.values()]\n"
            f"assert not [file for file in files if file.startswith({str(ROOT / 'lambdas')!r})]"
        )
        process = subprocess.run(
            [sys.executable, "-c", program],
            cwd=task,
            env={"AWS_DEFAULT_REGION": "us-east-1", "POWERTOOLS_TRACE_DISABLED": "true"},
            capture_output=True,
            text=True,
            check=False,
        )
    assert process.returncode == 0, process.stderr
