"""A text classifier through the deployed pipeline: gated on validation, scored on test, asked through its endpoint."""

from __future__ import annotations

import io
import json
import random
import tarfile
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import Deployment

ENDPOINT = "mood"
_WORDS = {"good": ["fine", "nice", "lovely", "bright", "warm"], "bad": ["dull", "cold", "grim", "bleak", "awful"]}
SUPERVISED = {"mode": "supervised", "epochs": "8", "learning_rate": "0.5", "vector_dim": "10", "buckets": "20000"}


def lines(count: int, seed: int) -> str:
    draw = random.Random(seed)
    labels = draw.choices(list(_WORDS), k=count)
    return "".join(f"__label__{label} the film was {' '.join(draw.choices(_WORDS[label], k=3))}\n" for label in labels)


@pytest.fixture(scope="module")
def inputs(deployed: Deployment, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The addresses of the channels."""
    folder = tmp_path_factory.mktemp("moods")
    found = {}
    for seed, (channel, count) in enumerate({"train": 200, "validation": 60, "test": 40}.items()):
        (folder / f"{channel}.txt").write_text(lines(count, seed))
        found[channel] = deployed.upload(folder / f"{channel}.txt", f"moods/{channel}")
    return found


@pytest.fixture(scope="module")
def output(deployed: Deployment, inputs: dict[str, str]) -> dict[str, Any]:
    """The output of an execution that made an endpoint; its gate names no metric."""
    execution = deployed.run(
        {
            "name": "mood",
            "inputs": inputs,
            "hyperparameters": SUPERVISED,
            "gate": {"at_least": 0.9},
            "endpoint": {"name": ENDPOINT},
        }
    )
    assert execution["status"] == "SUCCEEDED", execution.get("cause")
    found: dict[str, Any] = json.loads(execution["output"])
    return found


def test_the_gate_is_validations_accuracy(output: dict[str, Any]) -> None:
    gate = output["evaluation"]["gate"]
    assert gate["passed"] is True
    assert output["training"]["metrics"]["validation:accuracy"] == 1.0
    assert "validation:accuracy" in json.dumps(gate)


def test_the_endpoint_answers_labels_and_probabilities(deployed: Deployment, output: dict[str, Any]) -> None:
    runtime = deployed.client("sagemaker-runtime")
    body = json.dumps({"instances": ["a nice warm film", "so grim"], "configuration": {"k": 2}})
    answer = runtime.invoke_endpoint(EndpointName=ENDPOINT, ContentType="application/json", Body=body)
    good, bad = json.loads(answer["Body"].read())
    assert good["label"] == ["__label__good", "__label__bad"]
    assert bad["label"] == ["__label__bad", "__label__good"]
    assert good["prob"][0] > 0.9
    lines = runtime.invoke_endpoint(
        EndpointName=ENDPOINT,
        ContentType="application/jsonlines",
        Body=b'{"source": "a nice film"}\n{"source": "grim"}',
    )
    found = [json.loads(line) for line in lines["Body"].read().splitlines()]
    assert [line["label"] for line in found] == [["__label__good"], ["__label__bad"]]


def test_the_scores_by_label_are_in_output_tar_gz(deployed: Deployment, output: dict[str, Any]) -> None:
    job = deployed.client("sagemaker").describe_training_job(TrainingJobName=output["training"]["job_name"])
    place = job["ModelArtifacts"]["S3ModelArtifacts"].replace("model.tar.gz", "output.tar.gz")
    bucket, _, key = place.removeprefix("s3://").partition("/")
    packed = deployed.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read()
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        member = next(name for name in archive.getnames() if Path(name).name == "classification.json")
        content = archive.extractfile(member)
        assert content is not None
        report = json.load(content)
    assert (report["examples"], report["accuracy"]) == (40, 1.0)


def test_a_model_below_the_gate_is_not_deployed(deployed: Deployment, inputs: dict[str, str], tmp_path: Path) -> None:
    both = tmp_path / "validation.txt"
    both.write_text("".join(f"__label__{label} a nice film\n" for label in _WORDS))  # half of it is wrong for any model
    execution = deployed.run(
        {
            "name": "mood",
            "inputs": {"train": inputs["train"], "validation": deployed.upload(both, "moods/both")},
            "hyperparameters": {**SUPERVISED, "epochs": "1"},
            "gate": {"at_least": 0.99},
            "endpoint": {"name": "mood-worse"},
        }
    )
    assert execution["status"] == "FAILED"
    assert "validation:accuracy" in execution["cause"]
    assert "mood-worse" not in deployed.hosted()["endpoints"]
