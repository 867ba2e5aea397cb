"""The pipeline's states as Step Functions reads them: nothing can get lost between them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from moto.stepfunctions.parser.asl.parse.asl_parser import AmazonStateLanguageParser

from containers import catalogue
from contract.specification import Algorithm
from lambdas.plan.names import LONGEST, base_name
from lambdas.plan.plan import plan
from lambdas.plan.site import Site
from stacks.constructs.pipeline_states import definition
from stacks.constructs.state_kinds import TRAINING_ATTEMPTS

SITE = {
    "name_prefix": "kindling-algorithm",
    "image": "image",
    "data_bucket": "data",
    "model_bucket": "models",
    "key_arn": "arn:aws:kms:us-east-1:123456789012:key/1",
    "inter_container_encryption": True,
}
_PATH = re.compile(r"(?<![$\w])\$(?:\.[A-Za-z_]+)+")


@pytest.fixture(params=sorted(catalogue.algorithms()))
def algorithm(request: pytest.FixtureRequest) -> Algorithm:
    return catalogue.algorithms()[request.param]


@pytest.fixture
def states(algorithm: Algorithm) -> dict[str, Any]:
    made: dict[str, Any] = definition(algorithm, SITE)["States"]
    return made


def successors(state: dict[str, Any]) -> Iterator[str]:
    yield from (state[key] for key in ("Next", "Default") if key in state)
    yield from (choice["Next"] for choice in state.get("Choices", ()))
    yield from (catcher["Next"] for catcher in state.get("Catch", ()))


def reachable(states: dict[str, Any], start: str) -> set[str]:
    seen, open_states = set[str](), [start]
    while open_states:
        name = open_states.pop()
        if name not in seen:
            seen.add(name)
            open_states += successors(states[name])
    return seen


def test_every_state_is_reached(states: dict[str, Any]) -> None:
    assert reachable(states, "Receive") == set(states)


def test_every_state_can_come_to_an_end(states: dict[str, Any]) -> None:
    ends = {name for name, state in states.items() if state.get("End") or state["Type"] == "Fail"}
    assert ends == {"Succeeded", "Failed"}
    for name in states:
        assert reachable(states, name) & ends, name


def test_every_task_is_retried_bounded_in_time_and_caught(states: dict[str, Any]) -> None:
    for name, state in states.items():
        if state["Type"] == "Task":
            assert state["Retry"], name
            assert state["Catch"][-1]["ErrorEquals"] == ["States.ALL"], name
            assert "TimeoutSeconds" in state or "TimeoutSecondsPath" in state, name


def test_every_retry_waits_longer_each_time_and_at_random(states: dict[str, Any]) -> None:
    for state in states.values():
        for retry in state.get("Retry", ()):
            assert retry["BackoffRate"] > 1
            assert retry["JitterStrategy"] == "FULL"


def test_a_failure_of_any_state_before_the_rollback_is_rolled_back(states: dict[str, Any]) -> None:
    before = reachable({**states, "Rollback": {"Type": "Fail"}}, "Receive") - {"Rollback"}
    for name in before:
        if states[name]["Type"] == "Task":
            (catcher,) = states[name]["Catch"]
            assert catcher["Next"] == "Rollback", name
            # The rollback names the failed state after it.
            assert catcher["ResultPath"] in (f"$.failed.{name}", "$.failed.Train"), name


def test_each_attempt_at_training_has_a_digit_of_its_own(states: dict[str, Any]) -> None:
    attempts = 1 + sum(retry["MaxAttempts"] for retry in states["Train"]["Retry"])
    assert attempts == TRAINING_ATTEMPTS <= 10
    assert "$$.State.RetryCount" in states["Train"]["Parameters"]["TrainingJobName.$"]


def test_job_names_fit_for_the_longest_execution_names() -> None:
    assert len(base_name("k" * 20 + "-" + "a" * 31, "x" * 80)) + len("-9") <= LONGEST


def test_the_plan_has_every_field_that_the_states_read(algorithm: Algorithm, states: dict[str, Any]) -> None:
    required = [name for name, found in algorithm.channels.items() if found.required]
    given = {
        "inputs": dict.fromkeys(required or list(algorithm.channels)[:1], f"s3://data/{algorithm.name}/x"),
        "hyperparameters": _required(algorithm),
    }
    site = Site.model_validate(SITE)
    document = {"plan": plan(algorithm, site, {"name": "x" * 80, "input": given}, lambda *_: True)}
    for path in set(_PATH.findall(json.dumps(states))):
        if path.startswith("$.plan."):
            found: Any = document
            for key in path.split(".")[1:]:
                assert key in found, path
                found = found[key]


def test_every_part_of_the_document_is_written_before_it_is_read(states: dict[str, Any]) -> None:
    """Along each way without a failure."""

    def follow(name: str, written: frozenset[str], seen: frozenset[str]) -> None:
        state = states[name]
        body = {key: value for key, value in state.items() if key not in ("Catch", "ResultPath")}
        read = {path.split(".")[1] for path in _PATH.findall(json.dumps(body))}
        assert read <= written, f"{name} reads {read - written}"
        result = state.get("ResultPath") or "$"
        written |= {"execution"} if name == "Receive" else {result.split(".")[1]} if "." in result else set()
        for following in successors({**state, "Catch": []}):
            if following not in seen and following not in ("RefuseModel", "Rollback"):
                follow(following, written, seen | {name})

    follow("Receive", frozenset(), frozenset())


def test_the_embedded_clouds_interpreter_reads_the_definition(algorithm: Algorithm) -> None:
    text = json.dumps(definition(algorithm, SITE))
    # Its grammar takes this key for the field of a task's credentials and drops it.
    assert '"RoleArn.$"' not in text
    substituted = re.sub(r"\$\{\w+\}", "arn:aws:lambda:us-east-1:123456789012:function:f", text)
    # Only the embedded cloud's seam reads an exponent that begins with 0.
    substituted = re.sub(r"(\de-)0(?=\d)", r"\1", substituted)
    substituted = substituted.replace("sagemaker:createTrainingJob.sync", "aws-sdk:sagemaker:createTrainingJob")
    AmazonStateLanguageParser.parse(substituted)


def _required(algorithm: Algorithm) -> dict[str, str]:
    return {name: found.choices[0] for name, found in algorithm.hyperparameters.items() if found.required}
