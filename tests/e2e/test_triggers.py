"""A deployment with triggers: what arrives starts runs, and nothing else does."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import SMALL, Deployment, deployment_in

pytestmark = pytest.mark.slow  # a cloud of its own, deployed with other settings

INPUT = {"hyperparameters": SMALL, "endpoint": None}
TRIGGERS = [
    {
        "name": "every-object",
        "algorithm": "blazingtext",
        "arrival": "blazingtext/single/",
        "marker": "*",
        "input": {**INPUT, "name": "single", "inputs": {"train": "s3://{data}/{key}"}},
    },
    {
        "name": "whole-upload",
        "algorithm": "blazingtext",
        "arrival": "blazingtext/uploads/",
        "marker": "*.manifest",
        "input": {
            **INPUT,
            "name": "whole",
            "inputs": {"train": {"s3_uri": "s3://{data}/{key}", "s3_data_type": "ManifestFile"}},
        },
    },
    {
        "name": "all-so-far",
        "algorithm": "blazingtext",
        "arrival": "blazingtext/days/",
        "input": {**INPUT, "name": "days", "inputs": {"train": "s3://{data}/{prefix}"}},
    },
    {
        "name": "yearly",
        "algorithm": "blazingtext",
        "schedule": "cron(0 0 1 1 ? *)",
        "input": {**INPUT, "inputs": {"train": "s3://{data}/blazingtext/all"}},
    },
]


@pytest.fixture(scope="module")
def triggered(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    with deployment_in(tmp_path_factory.mktemp("triggers"), settings={"triggers": json.dumps(TRIGGERS)}) as found:
        yield found


def runs(triggered: Deployment, expected: int) -> list[dict[str, Any]]:
    """The executions there are, waited for until there are as many as expected, the newest first."""
    states, deadline = triggered.client("stepfunctions"), time.monotonic() + 30
    while True:
        found: list[dict[str, Any]] = states.list_executions(stateMachineArn=triggered.state_machine)["executions"]
        if len(found) >= expected or time.monotonic() > deadline:
            return found
        time.sleep(0.2)


def news() -> Path:
    from gensim.test.utils import datapath

    return Path(datapath("lee_background.cor"))


def test_an_object_that_arrives_starts_a_run_on_it_and_one_elsewhere_does_not(triggered: Deployment) -> None:
    before = len(runs(triggered, 0))
    triggered.upload(news(), "elsewhere")
    triggered.upload(news(), "single/2026")
    started = runs(triggered, before + 1)
    assert len(started) == before + 1
    ended = triggered.wait(started[0]["executionArn"])
    assert ended["status"] == "SUCCEEDED", ended.get("cause")
    output = json.loads(ended["output"])
    job = triggered.client("sagemaker").describe_training_job(TrainingJobName=output["training"]["job_name"])
    trained_on = job["InputDataConfig"][0]["DataSource"]["S3DataSource"]["S3Uri"]
    assert trained_on == f"s3://{triggered.found.data_bucket}/blazingtext/single/2026/{news().name}"
    assert output["endpoint"] is None
    assert len(runs(triggered, 0)) == before + 1, "what the run itself writes starts none"


def parts(triggered: Deployment, tmp_path: Path, folder: str) -> str:
    """Uploads the news in three objects; the address of their folder."""
    lines = news().read_text(encoding="utf-8").splitlines()
    for number in range(3):
        (tmp_path / f"part-{number}").write_text("\n".join(lines[number::3]) + "\n", encoding="utf-8")
        address = triggered.upload(tmp_path / f"part-{number}", folder)
    return address


def test_many_objects_and_a_marker_start_one_run_on_all_that_has_arrived(triggered: Deployment, tmp_path: Path) -> None:
    before = len(runs(triggered, 0))
    parts(triggered, tmp_path, "days/monday")
    assert len(runs(triggered, 0)) == before
    (tmp_path / "_SUCCESS").touch()
    triggered.upload(tmp_path / "_SUCCESS", "days/monday")
    started = runs(triggered, before + 1)
    assert len(started) == before + 1
    ended = triggered.wait(started[0]["executionArn"])
    assert ended["status"] == "SUCCEEDED", ended.get("cause")


def test_many_objects_and_their_manifest_start_one_run_on_all_of_them(triggered: Deployment, tmp_path: Path) -> None:
    before = len(runs(triggered, 0))
    folder = parts(triggered, tmp_path, "uploads/monday")
    assert len(runs(triggered, 0)) == before
    manifest: list[Any] = [{"prefix": f"{folder}/"}, *(f"part-{number}" for number in range(3))]
    (tmp_path / "all.manifest").write_text(json.dumps(manifest))
    triggered.upload(tmp_path / "all.manifest", "uploads/monday")
    started = runs(triggered, before + 1)
    assert len(started) == before + 1
    ended = triggered.wait(started[0]["executionArn"])
    assert ended["status"] == "SUCCEEDED", ended.get("cause")


def test_rules_go_with_the_triggers_and_the_bucket_falls_silent(triggered: Deployment) -> None:
    from kindling import deployment

    s3, events = triggered.client("s3"), triggered.client("events")
    bucket = {"Bucket": triggered.found.data_bucket}
    assert {rule["Name"] for rule in events.list_rules()["Rules"]} == {
        f"kindling-{trigger['name']}" for trigger in TRIGGERS
    }
    assert "EventBridgeConfiguration" in s3.get_bucket_notification_configuration(**bucket)
    deployment.deploy(triggered.target, {}, print)
    assert events.list_rules()["Rules"] == []
    assert "EventBridgeConfiguration" not in s3.get_bucket_notification_configuration(**bucket)
