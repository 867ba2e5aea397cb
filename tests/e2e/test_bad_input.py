"""A user's mistake ends the execution with one sentence that names the field, and leaves nothing behind."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import SMALL, WRAPPINGS, Deployment

MISTAKES: dict[str, tuple[dict[str, Any], str, str]] = {
    "an unknown hyperparameter": (
        {"hyperparameters": {**SMALL, "vector_dimm": "5"}},
        "PlanFailed",
        "hyperparameter vector_dimm is unknown to blazingtext; did you mean vector_dim?",
    ),
    "a hyperparameter of the wrong type": (
        {"hyperparameters": {**SMALL, "epochs": "many"}},
        "PlanFailed",
        "hyperparameter epochs='many' is not valid; it must be an integer from 1 to 10000.",
    ),
    "a hyperparameter out of range": (
        {"hyperparameters": {**SMALL, "vector_dim": "0"}},
        "PlanFailed",
        "hyperparameter vector_dim=0 is out of range; it must be an integer from 1 to 2048.",
    ),
    "cbow on two hosts": (
        {"hyperparameters": {**SMALL, "mode": "cbow"}, "resources": {"instance_count": 2}},
        "PlanFailed",
        "mode=cbow runs on one host, but this job has 2; use batch_skipgram, or set instance_count to 1.",
    ),
    "a channel that the algorithm does not know": (
        {"inputs": {"train": "{corpus}", "holdout": "{corpus}"}},
        "PlanFailed",
        "channel 'holdout' is unknown to blazingtext",
    ),
    "a channel that holds nothing": (
        {"inputs": {"train": "{data}/nothing-here"}},
        "PlanFailed",
        "/nothing-here holds no data",
    ),
    "a channel of empty files": ({"inputs": {"train": "{data}/empty"}}, "PlanFailed", "/empty holds no data"),
    "no channel": ({"inputs": {}}, "PlanFailed", "inputs is {}; it must be an object of channels"),
    "an instance type that is none": (
        {"resources": {"instance_type": "ml.c5.hugelarge"}},
        "PlanFailed",
        "which is no SageMaker training instance type",
    ),
    "a gate on a metric that the algorithm does not emit": (
        {"gate": {"metric": "train:beauty", "at_least": 1}},
        "PlanFailed",
        "gate.metric is 'train:beauty', which blazingtext does not emit",
    ),
    "an endpoint name over 63 characters": (
        {"endpoint": {"name": "e" * 64}},
        "PlanFailed",
        "it must be 1 to 63 letters",
    ),
    "a corpus with no word above min_count": (
        {"hyperparameters": {**SMALL, "min_count": "1000000"}},
        "TrainFailed",
        "channel 'train' holds no word that occurs at least min_count=1000000 times",
    ),
    "bytes that are not UTF-8": ({"inputs": {"train": "{data}/latin1"}}, "TrainFailed", "is not UTF-8"),
}


@pytest.fixture(scope="module")
def executions(deployed: Deployment, corpus: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Every mistake, started at once."""
    folder: Path = tmp_path_factory.mktemp("bad")
    (folder / "empty.txt").touch()
    (folder / "latin1.txt").write_bytes("ein paar schöne Wörter ".encode("latin-1") * 50)
    deployed.upload(folder / "empty.txt", "empty")
    deployed.upload(folder / "latin1.txt", "latin1")
    data = corpus.rpartition("/")[0]
    base = {"name": "mistake", "inputs": {"train": corpus}, "hyperparameters": SMALL, "endpoint": {"name": "mistaken"}}
    started = {}
    for title, (changes, _, _) in MISTAKES.items():
        execution_input = {**base, **changes}
        execution_input["inputs"] = {
            name: address.format(corpus=corpus, data=data) for name, address in execution_input["inputs"].items()
        }
        started[title] = deployed.start(execution_input)
    return started


@pytest.mark.parametrize("title", MISTAKES)
def test_a_mistake_is_answered_in_one_sentence(deployed: Deployment, executions: dict[str, str], title: str) -> None:
    _, error, sentence = MISTAKES[title]
    execution = deployed.wait(executions[title])
    assert execution["status"] == "FAILED"
    assert execution["error"] == error
    assert sentence in execution["cause"]
    assert "Traceback" not in execution["cause"]
    assert not any(key in execution["cause"] for key in WRAPPINGS), "the cause is to be words, not JSON"


def test_mistakes_leave_no_endpoint_and_no_model(deployed: Deployment, executions: dict[str, str]) -> None:
    for execution in executions.values():
        deployed.wait(execution)
    hosted = deployed.hosted()
    assert "mistaken" not in hosted["endpoints"]
    assert not [name for kind in ("models", "configs") for name in hosted[kind] if "mistake" in name]
