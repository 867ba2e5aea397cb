"""Pushed images lie in the cloud's registry, and jobs run exactly what was pushed."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from shutil import which
from types import SimpleNamespace
from typing import Any

import pytest
import requests

from kindling import image_builds
from kindling.errors import UserError
from kindling.localcloud import docker_registry, image_publisher, lifecycle
from kindling.localcloud.images import Image, Images
from kindling.ports import free_port
from kindling.targets import EmbeddedTarget

from .conftest import cloud_in
from .test_docker_runner import Account

ECR = "123456789012.dkr.ecr.us-east-1.amazonaws.com"
REPOSITORY, TAG = "kindling-assets", "0123abc"
URI = f"{ECR}/{REPOSITORY}:{TAG}"
# It differs from every other image, so that nothing but the registry has it when it is removed here.
DOCKERFILE = """
ARG BASE_IMAGE
FROM ${BASE_IMAGE}
ARG MARK
RUN echo "$MARK" > /mark
ENTRYPOINT ["sh", "-c", "cp /mark /opt/ml/model/mark"]
"""

pytestmark = [
    pytest.mark.timeout(300),
    pytest.mark.skipif(which(docker_registry.PROGRAM) is None, reason="docker-registry is not installed"),
]


@pytest.fixture(scope="module")
def cloud(engine: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedTarget]:
    """A cloud with the docker runner that needs no algorithm's image."""
    with cloud_in(tmp_path_factory.mktemp("cloud")) as found:
        yield found


@pytest.fixture(scope="module")
def account(cloud: EmbeddedTarget) -> Account:
    return Account(cloud)


@pytest.fixture(scope="module")
def mark() -> str:
    return os.urandom(8).hex()


@pytest.fixture(scope="module")
def pushed(
    cloud: EmbeddedTarget, engine: Any, mark: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Any]]:
    """A small image, built and pushed by the calls that the CDK's command line makes; what ECR says of it."""
    context = tmp_path_factory.mktemp("context")
    (context / "small").mkdir()
    (context / "small" / "Dockerfile").write_text(DOCKERFILE)
    base = image_builds.base_image(engine)
    ecr = cloud.client("ecr")
    ecr.create_repository(repositoryName=REPOSITORY)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in lifecycle.deploy_environment(lifecycle.up(cloud.state)).items():
            patch.setenv(name, value)
        arguments = ["--build-arg", f"BASE_IMAGE={base}", "--build-arg", f"MARK={mark}"]
        for words in (
            ["build", "--tag", "cdkasset-small", *arguments, "--file", "small/Dockerfile", str(context)],
            ["tag", "cdkasset-small", URI],
            ["push", URI],
        ):
            assert image_publisher.publish(words, cloud.state / "images", really=True) == 0
    [image] = ecr.batch_get_image(repositoryName=REPOSITORY, imageIds=[{"imageTag": TAG}])["images"]
    yield image
    engine.images.remove("cdkasset-small", force=True)


def registry(cloud: EmbeddedTarget) -> str:
    address = docker_registry.address_of(cloud.state)
    assert address.startswith("127.0.0.1:")
    return f"http://{address}/v2/{REPOSITORY}"


def test_ecr_and_the_registry_have_the_same_image(pushed: dict[str, Any], cloud: EmbeddedTarget, engine: Any) -> None:
    digest = pushed["imageId"]["imageDigest"]
    assert digest == "sha256:" + hashlib.sha256(pushed["imageManifest"].encode()).hexdigest()
    manifest = json.loads(pushed["imageManifest"])
    assert manifest["config"]["digest"] == engine.images.get("cdkasset-small").id
    accepted = {"Accept": manifest["mediaType"]}
    held = requests.get(f"{registry(cloud)}/manifests/{digest}", headers=accepted, timeout=10)
    assert held.text == pushed["imageManifest"]
    for layer in manifest["layers"]:
        found = requests.head(f"{registry(cloud)}/blobs/{layer['digest']}", timeout=10)
        assert int(found.headers["Content-Length"]) == layer["size"] > 0


@pytest.mark.parametrize("by", ["tag", "digest"])
def test_a_job_runs_the_pushed_image_even_if_the_engine_lost_it(
    pushed: dict[str, Any], account: Account, cloud: EmbeddedTarget, engine: Any, mark: str, by: str
) -> None:
    uri = URI if by == "tag" else f"{ECR}/{REPOSITORY}@{pushed['imageId']['imageDigest']}"
    image = json.loads(pushed["imageManifest"])["config"]["digest"]
    engine.images.remove(image, force=True)
    assert not image_builds.has(engine, image)
    algorithm = {"TrainingImage": uri, "TrainingInputMode": "File"}
    job = account.ended(account.begin(AlgorithmSpecification=algorithm))
    assert job["TrainingJobStatus"] == "Completed", job["FailureReason"]
    assert account.model(job)["mark"].decode().strip() == mark
    assert image_builds.has(engine, image)
    engine.images.get(image).tag("cdkasset-small")  # as it was


def test_what_neither_has_any_more_is_told(pushed: dict[str, Any], account: Account, cloud: EmbeddedTarget) -> None:
    gone = "sha256:" + "0" * 64
    lost = f"{ECR}/{REPOSITORY}:lost"
    image = Image(algorithm="small", built_as="x", engine_id=gone, pushed_as=f"{REPOSITORY}@{gone}")
    Images(cloud.state / "images").record(lost, image)
    algorithm = {"TrainingImage": lost, "TrainingInputMode": "File"}
    with pytest.raises(
        account.sagemaker.exceptions.ClientError,
        match=r"not in the Docker engine any more; deploy it again \(the registry said: .*404",
    ):
        account.begin(AlgorithmSpecification=algorithm)


def test_the_registry_s_images_outlive_the_cloud_and_its_process_does_not(
    pushed: dict[str, Any], cloud: EmbeddedTarget
) -> None:
    before = registry(cloud)
    lifecycle.down(cloud.state)
    with pytest.raises(requests.ConnectionError):
        requests.get(before, timeout=5)
    lifecycle.up(cloud.state, free_port(), "docker")
    names = requests.get(f"{registry(cloud)}/tags/list", timeout=10).json()["tags"]
    assert names == [TAG]


def test_a_push_that_fails_says_why(cloud: EmbeddedTarget, engine: Any) -> None:
    base = engine.images.get(image_builds.base_image(engine))
    with pytest.raises(UserError, match=r"not pushed to the registry at .*: .*must be lowercase"):
        docker_registry.push(engine.api, base.id, docker_registry.address_of(cloud.state), "Not-Lower-Case", "1")


@pytest.mark.parametrize(("steps", "sentence"), [([{"error": "no space left"}], "no space left"), ([], "answers 404")])
def test_an_engine_that_did_not_push_is_not_believed(
    cloud: EmbeddedTarget, steps: list[dict[str, str]], sentence: str
) -> None:
    engine = SimpleNamespace(tag=lambda *_: True, push=lambda *_, **__: steps, remove_image=lambda *_, **__: None)
    with pytest.raises(UserError, match=f"not pushed to the registry at .*{sentence}"):
        docker_registry.push(engine, "x", docker_registry.address_of(cloud.state), "never-pushed", "1")


def test_a_registry_that_does_not_answer_is_told(engine: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(docker_registry, "_ANSWERS_WITHIN_S", 0.2)
    with pytest.raises(UserError, match=r"the registry at .* does not answer"):
        docker_registry.push(engine.api, "x", f"127.0.0.1:{free_port()}", "small", "1")


def test_a_cloud_can_do_without(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KINDLING_REGISTRY", "none")
    with cloud_in(tmp_path):
        assert docker_registry.address_of(tmp_path) == ""


def test_a_setting_that_is_none_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KINDLING_REGISTRY", "yes")
    with pytest.raises(lifecycle.CloudError, match="KINDLING_REGISTRY=yes must be none, or empty"):
        lifecycle.up(tmp_path, free_port(), "docker")
