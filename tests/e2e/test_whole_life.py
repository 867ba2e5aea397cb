"""From an empty account to a run with every optional state, an update that is taken back, and an empty one again."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kindling import approvals, resources
from kindling.localcloud import lifecycle
from kindling.ports import free_port
from kindling.targets import running_embedded_cloud
from tests.e2e.conftest import SMALL, Deployment
from tests.e2e.inventory import inventory

OPTIONAL = {
    *("Prepare", "Tune", "FindBest", "TakeBest", "Compare", "Register", "Approve", "AcceptPackage", "PutAlarms"),
    *("Scale", "CleanUp"),
}


@pytest.fixture
def state(tmp_path: Path) -> Iterator[Path]:
    """The state folder of a cloud where there is nothing yet."""
    folder = tmp_path / "cloud"
    lifecycle.up(folder, free_port())
    yield folder
    lifecycle.down(folder)


def kindling(state: Path, *arguments: str) -> str:
    """What a command prints; it must succeed."""
    command = [str(Path(sys.executable).parent / "kindling"), *arguments]
    environment = {**os.environ, "KINDLING_STATE": str(state), "COLUMNS": "250"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def everything(corpus: str, latency_ms: float) -> dict[str, Any]:
    """The input of a run with every optional state that leads to an endpoint."""
    return {
        "name": "everything",
        "preparation": {"name": "phrases", "inputs": {"corpus": corpus}, "options": {"threshold": 50}},
        "hyperparameters": {name: value for name, value in SMALL.items() if name != "vector_dim"},
        "tuning": {"ranges": {"vector_dim": [5, 30]}, "jobs": 4, "parallel": 2, "then": "train"},
        "gate": {"metric": "train:mean_rho", "at_least": -1},
        "comparison": True,
        "registration": {"description": "everything that there is"},
        "approval": True,
        "endpoint": {
            "name": "everything",
            "instance_count": 2,
            "rollout": {"strategy": "canary", "step_percent": 50, "wait_s": 20},
            "alarms": {"latency_p99_ms": latency_ms, "cpu_percent": None},
            "scaling": {"min_instances": 2, "max_instances": 4},
            "capture": {"percent": 50},
        },
    }


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_an_account_is_made_ready_used_with_everything_and_left_as_it_was(state: Path) -> None:
    from gensim.test.utils import datapath

    target = running_embedded_cloud(state)
    before = inventory(target.client)
    kindling(state, "bootstrap", "--yes")
    kindling(state, "deploy")
    deployed = Deployment(target, resources.find(target))
    corpus = deployed.upload(Path(datapath("lee_background.cor")), "lee")

    first = deployed.start(everything(corpus, latency_ms=60_000))
    approvals.approve(target, deployed.waiting(first), "as good as it gets")
    ended = deployed.wait(first)
    assert ended["status"] == "SUCCEEDED", ended.get("cause")
    assert set(deployed.states(first)) >= OPTIONAL | {"CreateEndpoint"}
    output = json.loads(ended["output"])
    assert output["tuning"]["job_name"] != output["training"]["job_name"]
    assert output["approval"]["comment"] == "as good as it gets"

    # The next model is never fast enough: its alarm takes the endpoint back.
    sagemaker = deployed.client("sagemaker")
    serving = sagemaker.describe_endpoint(EndpointName="everything")["EndpointConfigName"]
    second = deployed.start(everything(corpus, latency_ms=0.001))
    with deployed.asking("everything"):
        approvals.approve(target, deployed.waiting(second), "let us see")
        failed = deployed.wait(second)
    assert failed["error"] == "DeployFailed", failed
    assert "UpdateEndpoint" in deployed.states(second)
    assert "kindling-blazingtext-everything-latency" in failed["cause"]
    endpoint = sagemaker.describe_endpoint(EndpointName="everything")
    assert (endpoint["EndpointStatus"], endpoint["EndpointConfigName"]) == ("InService", serving)
    (latest, *_) = sagemaker.list_model_packages(
        ModelPackageGroupName="kindling-blazingtext", SortBy="CreationTime", SortOrder="Descending"
    )["ModelPackageSummaryList"]
    assert latest["ModelApprovalStatus"] == "Rejected"

    kindling(state, "teardown", "--include-data", "--account", "--yes")
    assert inventory(target.client) == before
