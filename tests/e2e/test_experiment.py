"""The data-distribution experiment: arms trained, hosted, asked, compared; nothing is left, also after a failure."""

from __future__ import annotations

import tarfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from containers.catalogue import algorithms
from kindling import experiments
from kindling.experiments import Ended, Request
from kindling.reports.experiment import write_experiment
from tests.e2e.conftest import Deployment

AIR = Path(__file__).resolve().parents[3] / "shared" / "data" / "beijing-air" / "beijing-air.tar.xz"
STATIONS = ("Tiantan", "Shunyi", "Gucheng", "Wanliu")
TRAIN_ROWS, TEST_ROWS = 6_000, 1_500


@pytest.fixture(scope="module")
def air(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Folders of records to train on and to test on, an object a station."""
    if not AIR.exists():
        pytest.skip("needs the data set beijing-air beside the checkout")
    folder = tmp_path_factory.mktemp("air")
    for part in ("train", "test"):
        (folder / part).mkdir()
    with tarfile.open(AIR) as archive:
        for name in STATIONS:
            archive.extract(f"./{name}.csv", folder, filter="data")
            lines = (folder / f"{name}.csv").read_text().splitlines(keepends=True)
            # Hours of the whole time in both: the air changes with the seasons.
            step = len(lines) // (TRAIN_ROWS + TEST_ROWS)
            chosen = lines[::step]
            (folder / "test" / f"{name}.csv").write_text("".join(chosen[::5]))
            (folder / "train" / f"{name}.csv").write_text(
                "".join(line for number, line in enumerate(chosen) if number % 5)
            )
    return folder / "train", folder / "test"


def run(deployed: Deployment, **asked: Any) -> tuple[Ended, Sequence[str]]:
    request = Request(**{"hyperparameters": {}, **asked})
    _, arn = experiments.start(deployed.target, deployed.found, request, lambda *_: None)
    told: list[str] = []
    for one in experiments.follow(deployed.target, arn):
        if isinstance(one, Ended):
            return one, told
        told.append(one)
    raise AssertionError(told)


def test_shards_and_replicas_are_trained_hosted_asked_and_compared(
    deployed: Deployment, air: tuple[Path, Path], tmp_path: Path
) -> None:
    before = deployed.hosted()
    train, test = air
    ended, told = run(
        deployed,
        algorithm=algorithms()["linear_learner"],
        channels={"train": str(train)},
        test=str(test),
        hyperparameters={"predictor_type": "regressor", "epochs": "4", "num_models": "8"},
        instances=(2,),
        seeds=(7,),
        name="air",
    )
    assert ended.cause is None
    assert ended.result is not None
    result = ended.result
    assert deployed.hosted() == before, "endpoints, configurations and models are gone"
    assert sum("on 2 hosts, seed 7" in line for line in told) == 2

    assert [(arm["distribution"], arm["seed"]) for arm in result["arms"]] == [
        ("FullyReplicated", 7),
        ("ShardedByS3Key", 7),
    ]
    for arm in result["arms"]:
        assert arm["seconds"]["training"] > 0
        assert arm["instance_seconds"] == 2 * arm["total_seconds"]
        assert arm["endpoint"]["records"] == arm["transform"]["records"] > 4 * TEST_ROWS * 0.9
        assert arm["endpoint"]["mean"] == pytest.approx(arm["transform"]["mean"], rel=1e-5), "both ways are the model's"
        assert 300 < arm["endpoint"]["mean"] < 2500
        assert arm["endpoint"]["measure"] == "MSE"
    replicated, sharded = result["groups"]
    assert replicated["quality"]["half_width"] > 0
    assert sharded["quality"]["mean"] == pytest.approx(replicated["quality"]["mean"], rel=0.1)
    assert result["reference"] == "FullyReplicated on 2 hosts"
    assert any("times as" in sentence and "instance-seconds" in sentence for sentence in result["verdict"])
    assert any("95 % interval" in sentence for sentence in result["verdict"])

    # The jobs were what the arms say.
    for arm in result["arms"]:
        job = deployed.client("sagemaker").describe_training_job(TrainingJobName=arm["job_name"])
        source = job["InputDataConfig"][0]["DataSource"]["S3DataSource"]
        assert source["S3DataDistributionType"] == arm["distribution"]
        assert job["HyperParameters"]["seed"] == str(arm["seed"])

    html = write_experiment(result, tmp_path / "experiment.html").read_text()
    assert html.count("<svg") == 3
    assert all(arm["run"] in html for arm in result["arms"])


def test_a_failure_leaves_no_endpoint(deployed: Deployment, air: tuple[Path, Path], tmp_path: Path) -> None:
    before = deployed.hosted()
    broken = tmp_path / "test"
    broken.mkdir()
    (broken / "a.csv").write_text("high,2013,3,1,0,6,4,8,300,81,-0.5,1024.5,-21.4,0,5.7\n")
    ended, _ = run(
        deployed,
        algorithm=algorithms()["linear_learner"],
        channels={"train": str(air[0])},
        test=str(broken),
        hyperparameters={"predictor_type": "regressor", "epochs": "1", "num_models": "1"},
        distributions=("FullyReplicated",),
        name="broken",
    )
    assert ended.result is None
    assert ended.cause is not None
    assert "Arms: " in ended.cause
    assert "label 'high'" in ended.cause
    assert deployed.hosted() == before


def test_an_input_that_cannot_be_meant_is_refused_in_one_sentence(deployed: Deployment, air: tuple[Path, Path]) -> None:
    ended, _ = run(
        deployed,
        algorithm=algorithms()["linear_learner"],
        channels={"train": str(air[0])},
        hyperparameters={"predictor_type": "regressor"},
        instances=(2, 2),
    )
    assert ended.cause == "Plan: arms.instance_counts is [2, 2]; each value must be there once."


def test_word_vectors_on_one_and_two_hosts_by_settings_alone(deployed: Deployment, corpus: str) -> None:
    before = deployed.hosted()
    ended, _ = run(
        deployed,
        algorithm=algorithms()["blazingtext"],
        channels={"train": corpus},
        hyperparameters={"mode": "batch_skipgram", "vector_dim": "20", "epochs": "2", "min_count": "2"},
        instances=(1, 2),
        metric="train:mean_rho",
    )
    assert ended.result is not None, ended.cause
    assert [group["name"] for group in ended.result["groups"]] == [
        "FullyReplicated on 1 host",
        "FullyReplicated on 2 hosts",
    ]
    assert all("train:mean_rho" in arm["metrics"] for arm in ended.result["arms"])
    assert ended.result["measure"] == "train:mean_rho"
    assert any("with one seed each nobody can tell" in sentence for sentence in ended.result["verdict"])
    assert deployed.hosted() == before
