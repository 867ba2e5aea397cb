"""The experiment's state machine: it can be read, every failure is seen to, and it may do only its part."""

from __future__ import annotations

import json
import re
from typing import Any

from moto.stepfunctions.parser.asl.parse.asl_parser import AmazonStateLanguageParser

from lambdas.experiment_plan.plan import Site
from stacks.constructs.experiment_states import definition
from tests.stacks.synthesis import Assembly

STACK = "KindlingExperiments"


def machine(assembly: Assembly) -> dict[str, Any]:
    (found,) = assembly.resources("AWS::StepFunctions::StateMachine", STACK)
    properties: dict[str, Any] = found["Properties"]
    return properties


def states_of(assembly: Assembly) -> dict[str, Any]:
    states: dict[str, Any] = json.loads(machine(assembly)["DefinitionString"])["States"]
    return states


def test_the_site_is_what_the_plan_reads(assembly: Assembly) -> None:
    site = Site.model_validate(states_of(assembly)["Plan"]["Parameters"]["site"])
    assert site.algorithms["linear_learner"].distributions == ("FullyReplicated", "ShardedByS3Key")
    assert "text/csv" in site.algorithms["linear_learner"].answers
    assert site.algorithms["blazingtext"].distributions == ("FullyReplicated",)
    assert all(pipeline.metrics for pipeline in site.algorithms.values())


def test_every_failure_leads_to_cleaning_up(assembly: Assembly) -> None:
    states = states_of(assembly)
    for name in ("Plan", "Arms", "Compare", "Notify"):
        assert [caught["Next"] for caught in states[name]["Catch"]] == ["CleanUp"], name
    arm = states["Arms"]["ItemProcessor"]["States"]
    assert not any("Catch" in state for state in arm.values()), "what fails in an arm fails the map"
    for name, state in [*states.items(), *arm.items()]:
        if state["Type"] == "Task":
            assert state["TimeoutSeconds"], name
            assert state["Retry"], name


def test_every_placeholder_is_substituted(assembly: Assembly) -> None:
    used = set(re.findall(r"\$\{(\w+)\}", machine(assembly)["DefinitionString"]))
    assert used == set(machine(assembly)["DefinitionSubstitutions"])


def test_the_embedded_clouds_interpreter_reads_the_definition() -> None:
    text = json.dumps(definition({}))
    substituted = re.sub(r"\$\{\w+\}", "arn:aws:lambda:us-east-1:123456789012:function:f", text)
    substituted = substituted.replace("sagemaker:createTransformJob.sync", "aws-sdk:sagemaker:createTransformJob")
    AmazonStateLanguageParser.parse(substituted)


def statements(assembly: Assembly, description: str) -> dict[str, dict[str, Any]]:
    (role,) = (
        role["Properties"]
        for role in assembly.resources("AWS::IAM::Role", STACK)
        if role["Properties"].get("Description", "").startswith(description)
    )
    policies = [*role["Policies"]]
    return {
        found["Sid"]: found for policy in policies for found in policy["PolicyDocument"]["Statement"] if "Sid" in found
    }


def test_the_machine_starts_pipelines_and_passes_one_role(assembly: Assembly) -> None:
    found = statements(assembly, "State machine of experiments")
    assert found["RunPipelines"]["Action"] == "states:StartExecution"
    assert "*" not in json.dumps(found["RunPipelines"]["Resource"])
    assert "EvaluationRole" in json.dumps(found["PassRole"]["Resource"])
    assert found["PassRole"]["Condition"] == {"StringEquals": {"iam:PassedToService": "sagemaker.amazonaws.com"}}
    for sid in ("MakeModel", "Transform"):
        assert "/kindling-experiment-*" in json.dumps(found[sid]["Resource"])


def test_what_is_cleaned_up_bears_the_deployments_name(assembly: Assembly) -> None:
    found = statements(assembly, "Lambda function experiment_clean_up")
    for sid in ("DeleteEndpoint", "DeleteConfig", "DeleteModel"):
        assert "/kindling-*" in json.dumps(found[sid]["Resource"])
