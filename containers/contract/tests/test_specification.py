"""What a job's hyperparameters are held against, whatever algorithm they are for."""

from __future__ import annotations

from typing import Any

import pytest

from contract.specification import Algorithm, InvalidJobError


def algorithm(**changes: Any) -> Algorithm:
    description: dict[str, Any] = {
        "name": "toy",
        "title": "Toy",
        "package": "toy",
        "distributed": True,
        "resources": {"instance_type": "ml.m5.large"},
        "serving": {
            "instance_type": "ml.m5.large",
            "content_types": ["application/json"],
            "smoke_test": {"content_type": "application/json", "body": "{}", "expect": "@"},
        },
        "channels": {"train": {"doc": "Text.", "required": True, "content_types": ["text/plain"]}},
        "metrics": [{"name": "train:loss", "regex": r"loss=(\S+)", "goal": "minimize"}],
        "hyperparameters": {
            "mode": {"type": "str", "required": True, "choices": ["fast", "slow"], "doc": "How."},
            "dim": {"type": "int", "default": 10, "range": [1, 100], "doc": "Dimension."},
            "rate": {"type": "float", "default": 0.5, "above": 0, "below": 1, "doc": "Rate."},
            "low": {"type": "int", "default": 3, "doc": "Lower end."},
            "high": {"type": "int", "default": 6, "doc": "Upper end."},
            "evaluate": {"type": "bool", "default": True, "doc": "Whether."},
        },
        "rules": [
            {
                "forbid": {"mode": ["slow"], "instance_count": {"above": 1}},
                "message": "mode={mode} runs on one host, but this job has {instance_count}.",
            },
            {"forbid": {"low": {"above": "high"}}, "message": "low={low} is above high={high}."},
        ],
    }
    return Algorithm.model_validate({**description, **changes})


def test_a_word_may_stand_in_place_of_a_number() -> None:
    rate = {"type": "float", "default": "auto", "words": ["balanced", "auto"], "above": 0, "doc": "Rate."}
    described = algorithm(hyperparameters={"rate": rate}, rules=[])
    assert described.parse_hyperparameters({}, 1) == {"rate": "auto"}
    assert described.parse_hyperparameters({"rate": "Balanced"}, 1) == {"rate": "balanced"}
    assert described.parse_hyperparameters({"rate": "0.5"}, 1) == {"rate": 0.5}
    with pytest.raises(InvalidJobError, match=r"it must be a number above 0, balanced or auto\."):
        described.parse_hyperparameters({"rate": "often"}, 1)


def test_strings_become_typed_values_and_defaults_are_filled_in() -> None:
    given = {"mode": "fast", "dim": "25", "rate": "1e-3", "evaluate": "False"}
    assert algorithm().parse_hyperparameters(given, 1) == {
        "mode": "fast",
        "dim": 25,
        "rate": 0.001,
        "low": 3,
        "high": 6,
        "evaluate": False,
    }


@pytest.mark.parametrize(
    ("text", "value"), [("True", True), ("true", True), ("1", True), ("False", False), ("false", False), ("0", False)]
)
def test_every_spelling_of_a_boolean_that_clients_send_is_read(text: str, value: bool) -> None:
    assert algorithm().parse_hyperparameters({"mode": "fast", "evaluate": text}, 1)["evaluate"] is value


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"mode": "fast", "dimm": "3"}, "hyperparameter dimm is unknown to toy; did you mean dim?"),
        (
            {"mode": "fast", "zzz": "3"},
            "hyperparameter zzz is unknown to toy; known are dim, evaluate, high, low, mode, rate.",
        ),
        ({}, "hyperparameter mode is required; it must be one of fast, slow."),
        ({"mode": "warp"}, "hyperparameter mode=warp is out of range; it must be one of fast, slow."),
        ({"mode": "fast", "dim": "ten"}, "hyperparameter dim='ten' is not valid; it must be an integer from 1 to 100."),
        ({"mode": "fast", "dim": "2.5"}, "hyperparameter dim='2.5' is not valid; it must be an integer from 1 to 100."),
        ({"mode": "fast", "dim": True}, "hyperparameter dim=True is not valid; it must be an integer from 1 to 100."),
        ({"mode": "fast", "dim": "0"}, "hyperparameter dim=0 is out of range; it must be an integer from 1 to 100."),
        (
            {"mode": "fast", "rate": "0"},
            "hyperparameter rate=0 is out of range; it must be a number above 0 and below 1.",
        ),
        (
            {"mode": "fast", "rate": "nan"},
            "hyperparameter rate=nan is out of range; it must be a number above 0 and below 1.",
        ),
        ({"mode": "fast", "evaluate": "yes"}, "hyperparameter evaluate='yes' is not valid; it must be True or False."),
        ({"mode": "fast", "low": "9"}, "low=9 is above high=6."),
    ],
)
def test_a_bad_hyperparameter_is_answered_in_one_sentence_that_names_it(given: dict[str, object], message: str) -> None:
    with pytest.raises(InvalidJobError) as error:
        algorithm().parse_hyperparameters(given, 1)
    assert str(error.value) == message


def test_a_rule_may_look_at_the_number_of_hosts() -> None:
    assert algorithm().parse_hyperparameters({"mode": "slow"}, 1)["mode"] == "slow"
    with pytest.raises(InvalidJobError, match=r"mode=slow runs on one host, but this job has 2\."):
        algorithm().parse_hyperparameters({"mode": "slow"}, 2)


def test_an_algorithm_that_is_not_distributed_refuses_a_second_host() -> None:
    with pytest.raises(InvalidJobError, match=r"toy trains on one host, but this job has 2; set instance_count to 1\."):
        algorithm(distributed=False).parse_hyperparameters({"mode": "fast"}, 2)


def test_a_description_with_a_key_nobody_reads_is_refused() -> None:
    with pytest.raises(ValueError, match="colour"):
        algorithm(colour="red")


def test_a_rule_may_look_at_the_channels_and_how_they_come() -> None:
    rule = {"forbid": {"mode": ["slow"], "channels.train": ["Pipe"]}, "message": "mode={mode} reads files."}
    toy = algorithm(rules=[rule])
    values = toy.parse_hyperparameters({"mode": "slow"}, 1)
    toy.check_channels(values, {"train": "File"})
    toy.check_channels({**values, "mode": "fast"}, {"train": "Pipe"})
    with pytest.raises(InvalidJobError, match=r"^mode=slow reads files\.$"):
        toy.check_channels(values, {"train": "Pipe"})


def test_metrics_are_those_of_the_jobs_hyperparameters() -> None:
    metrics = [
        {"name": "train:rho", "regex": "x", "when": {"mode": ["fast"]}},
        {"name": "validation:accuracy", "regex": "x", "when": {"mode": ["slow"], "evaluate": [True]}},
        {"name": "train:pace", "regex": "x"},
    ]

    def names(**values: Any) -> list[str]:
        return [metric.name for metric in algorithm(metrics=metrics).metrics_with(values)]

    assert names(mode="fast", evaluate=True) == ["train:rho", "train:pace"]
    assert names(mode="slow", evaluate=True) == ["validation:accuracy", "train:pace"]
    assert names(mode="slow", evaluate=False) == ["train:pace"]


PREPARATION: dict[str, Any] = {
    "doc": "Split.",
    "arguments": ["split", "{raw}", "{output}/x"],
    "inputs": ["raw"],
    "channels": {"train": "train"},
    "option_form": "--{name}={value}",
    "options": {"share": {"type": "float", "default": 0.1, "range": [0, 1], "doc": "Share."}},
    "hyperparameters": ["mode"],
}


def test_a_preparation_is_a_command_with_folders_and_typed_options() -> None:
    described = algorithm(preparations={"split": PREPARATION})
    preparation = described.preparations["split"]
    options = described.preparation_options(preparation)
    folders = {"raw": "/in", "output": "/out"}
    assert preparation.command(options, {"mode": "fast", "share": "0.5"}, folders) == [
        *("split", "/in", "/out/x", "--share=0.5", "--mode=fast")
    ]
    with pytest.raises(InvalidJobError, match=r"option mode is required; it must be one of fast, slow\."):
        preparation.command(options, {}, folders)
    with pytest.raises(InvalidJobError, match=r"option share=2 is out of range; it must be a number from 0 to 1\."):
        preparation.command(options, {"mode": "fast", "share": 2}, folders)
    with pytest.raises(InvalidJobError, match=r"option shre is unknown; did you mean share\?"):
        preparation.command(options, {"mode": "fast", "shre": 1}, folders)


@pytest.mark.parametrize(
    "change",
    [{"channels": {"trian": ""}}, {"hyperparameters": ["made"]}, {"tool": "hammer"}],
    ids=lambda c: next(iter(c)),
)
def test_a_preparation_names_what_the_algorithm_has(change: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"preparation split names \w+, which the algorithm has not"):
        algorithm(preparations={"split": {**PREPARATION, **change}})
