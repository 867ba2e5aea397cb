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
from lambdas.plan.names import LONGEST, base_name, tuning_name
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
    "tuning_prefix": "kindling-algorithm-",
    "training_role": "${TrainingRole}",
}
# States whose failure is told as another's, of which they are a part.
PARTS = {
    "CreateShadowConfig": "CreateEndpointConfig",
    "FindBest": "Tune",
    "FindSpotJob": "Train",
    "TrainOnDemand": "Train",
    "AcceptPackage": "Approve",
    "CreateBatchModel": "Batch",
    "DeleteBatchModel": "Batch",
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
        # A run does not fail of its litter.
        if states[name]["Type"] == "Task" and name != "CleanUp":
            (catcher,) = states[name]["Catch"]
            assert catcher["Next"] == "Rollback", name
            # The rollback names the failed state after it.
            assert catcher["ResultPath"] == f"$.failed.{PARTS.get(name, name)}", name


def test_a_spot_job_that_fails_goes_on_on_demand_or_is_rolled_back(states: dict[str, Any]) -> None:
    (catcher,) = states["TrainOnSpot"]["Catch"]
    assert catcher["ErrorEquals"] == ["States.ALL"]
    assert {"TrainOnDemand", "RefuseSpotJob"} <= reachable(states, catcher["Next"])
    assert states["RefuseSpotJob"]["ResultPath"] == "$.failed.Train"
    for branch in states["TrainOnSpot"]["Branches"]:
        assert reachable(branch["States"], branch["StartAt"]) == set(branch["States"])
        for state in branch["States"].values():
            assert state["Type"] != "Task" or state["Retry"]


def test_each_attempt_at_training_has_a_digit_of_its_own(states: dict[str, Any]) -> None:
    attempts = 1 + sum(retry["MaxAttempts"] for retry in states["Train"]["Retry"])
    assert attempts == TRAINING_ATTEMPTS <= 10
    assert "$$.State.RetryCount" in states["Train"]["Parameters"]["TrainingJobName.$"]


def test_job_names_fit_for_the_longest_execution_names() -> None:
    assert len(base_name("k" * 20 + "-" + "a" * 31, "x" * 80)) + len("-p9") <= LONGEST


def test_names_of_tuning_jobs_fit_and_tell_executions_apart() -> None:
    prefix = "k" * 22 + "-"
    names = {tuning_name(prefix, base_name("k", f"run-{number}")) for number in range(100)}
    assert len(names) == 100
    assert {len(f"{name}9") for name in names} == {32}


def test_the_plan_has_every_field_that_the_states_read(algorithm: Algorithm, states: dict[str, Any]) -> None:
    plans = list(_plans(algorithm))
    optional = {"preparation", "tuning", "comparison", "approval", "batch"}
    for path in set(_PATH.findall(json.dumps(states))):
        if path.startswith("$.plan."):
            keys = path.split(".")[2:]
            found = [_read(made, keys) for made in plans]
            assert all(found) if keys[0] not in optional or len(keys) == 1 else any(found), path


def _plans(algorithm: Algorithm) -> Iterator[dict[str, Any]]:
    """The smallest plan, and plans with everything that is optional."""
    required = [name for name, found in algorithm.channels.items() if found.required]
    address = f"s3://data/{algorithm.name}/x"
    small = {
        "inputs": dict.fromkeys(required or list(algorithm.channels)[:1], address),
        "hyperparameters": _required(algorithm),
    }
    tuned = next(name for name, found in algorithm.hyperparameters.items() if found.type in ("int", "float"))
    low, high = algorithm.hyperparameters[tuned].range or (1, 2)
    optional = {
        "inputs": dict.fromkeys(_channels(algorithm), address),
        "tuning": {"ranges": {tuned: [int(low), int(min(high, low + 1))]}},
        "comparison": True,
        "approval": True,
        "batch": {"input": address},
        "resources": {"spot": True},
    }
    # An algorithm that has no preparation has no state that needs one's fields; all have the same states.
    preparing = catalogue.algorithms()["blazingtext"]
    prepared = {
        "preparation": {"name": "phrases", "inputs": {"corpus": "s3://data/blazingtext/x"}},
        "hyperparameters": {"mode": "cbow"},
    }
    site = Site.model_validate(SITE)
    for described, given in ((algorithm, small), (algorithm, {**small, **optional}), (preparing, prepared)):
        yield plan(described, site, {"name": "x" * 80, "input": given}, lambda *_: True)


def _channels(algorithm: Algorithm) -> list[str]:
    """The channels of a job whose metrics are all emitted."""
    metrics = algorithm.metrics_with(algorithm.parse_hyperparameters(_required(algorithm), 1))
    measured = {metric.channel for metric in metrics} & set(algorithm.channels)
    return [name for name, found in algorithm.channels.items() if found.required or name in measured] or ["train"]


def _read(document: Any, keys: list[str]) -> bool:
    for key in keys:
        if not isinstance(document, dict) or key not in document:
            return False
        document = document[key]
    return True


def test_every_part_of_the_document_is_written_before_it_is_read(states: dict[str, Any]) -> None:
    """Along each way without a failure, and from a spot job that has failed."""

    def follow(name: str, written: frozenset[str], seen: frozenset[str]) -> None:
        state = states[name]
        body = {key: value for key, value in state.items() if key not in ("Catch", "ResultPath")}
        read = {path.split(".")[1].split("[")[0] for path in _PATH.findall(json.dumps(body))}
        # What the watch reads and writes is its branch's own.
        read -= {"watch"} if state["Type"] == "Parallel" else set()
        assert read <= written, f"{name} reads {read - written}"
        result = state.get("ResultPath") or "$"
        now = written | (
            {"execution", "made"} if name == "Receive" else {result.split(".")[1]} if "." in result else set()
        )
        for following in successors({**state, "Catch": []}):
            if following not in seen and following not in ("RefuseModel", "Rollback"):
                follow(following, now, seen | {name})
        if state["Type"] == "Parallel":
            follow(state["Catch"][0]["Next"], written | {"spot_failure"}, seen | {name})

    follow("Receive", frozenset(), frozenset())


def test_the_embedded_clouds_interpreter_reads_the_definition(algorithm: Algorithm) -> None:
    text = json.dumps(definition(algorithm, SITE))
    # Its grammar takes this key for the field of a task's credentials and drops it.
    assert '"RoleArn.$"' not in text
    substituted = re.sub(r"\$\{\w+\}", "arn:aws:lambda:us-east-1:123456789012:function:f", text)
    # Only the embedded cloud's seam reads an exponent that begins with 0.
    substituted = re.sub(r"(\de-)0(?=\d)", r"\1", substituted)
    substituted = re.sub(r"sagemaker:(\w+)\.sync", r"aws-sdk:sagemaker:\1", substituted)
    AmazonStateLanguageParser.parse(substituted)


def _required(algorithm: Algorithm) -> dict[str, str]:
    return {name: found.choices[0] for name, found in algorithm.hyperparameters.items() if found.required}
