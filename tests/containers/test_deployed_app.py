"""The app, deployed with real images, whose pipeline runs exactly the image that was pushed."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from gensim.test.utils import datapath

from kindling.localcloud.docker_leftovers import LABEL
from kindling.localcloud.images import Images
from tests.e2e.conftest import ALGORITHM, SMALL, Deployment, deployment_in

pytestmark = pytest.mark.timeout(1200)


@pytest.fixture(scope="module")
def deployed(engine: Any, blazingtext: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    with pytest.MonkeyPatch.context() as patch:
        # Packing what may be gigabytes takes minutes; test_registry.py pushes a small image by the same calls.
        patch.setenv("KINDLING_REGISTRY", "none")
        with deployment_in(tmp_path_factory.mktemp("cloud"), "docker") as found:
            yield found


def test_the_pipeline_runs_the_pushed_image_on_every_host_and_at_the_endpoint(
    deployed: Deployment, engine: Any
) -> None:
    corpus = deployed.upload(Path(datapath("lee_background.cor")), "lee")
    seen, over = dict[str, str](), threading.Event()
    chosen = {"label": f"{LABEL}={deployed.target.state}"}

    def look() -> None:
        while not over.wait(0.05):
            for one in engine.api.containers(filters=chosen):
                seen[one["Names"][0]] = one["ImageID"]

    looking = threading.Thread(target=look)
    looking.start()
    try:
        ended = deployed.run(
            {
                "name": "real",
                "inputs": {"train": corpus},
                "hyperparameters": SMALL,
                "resources": {"instance_count": 2},
                "gate": {"metric": "train:mean_rho", "at_least": -1},
                "endpoint": {"name": "real"},
            }
        )
    finally:
        over.set()
        looking.join()
    assert ended["status"] == "SUCCEEDED", ended.get("cause")
    kinds = {kind: [name for name in seen if kind in name] for kind in ("algo-1", "algo-2", "real-AllTraffic")}
    assert all(kinds.values()), seen
    [training] = deployed.client("sagemaker").list_training_jobs()["TrainingJobSummaries"]
    job = deployed.client("sagemaker").describe_training_job(TrainingJobName=training["TrainingJobName"])
    published = Images(deployed.target.state / "images").find(job["AlgorithmSpecification"]["TrainingImage"])
    assert published is not None
    assert published.algorithm == ALGORITHM
    assert set(seen.values()) == {published.engine_id}


def test_what_ecr_holds_names_the_image_in_the_engine(deployed: Deployment, engine: Any) -> None:
    ecr = deployed.client("ecr")
    repositories = [one["repositoryName"] for one in ecr.describe_repositories()["repositories"]]
    manifests = [
        manifest
        for name in repositories
        if (found := ecr.list_images(repositoryName=name)["imageIds"])
        for manifest in ecr.batch_get_image(repositoryName=name, imageIds=found)["images"]
    ]
    assert manifests
    for manifest in manifests:
        config = json.loads(manifest["imageManifest"])["config"]["digest"]
        assert engine.images.get(config).id == config
