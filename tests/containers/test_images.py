"""The images build, and run as SageMaker runs them: `train` and `serve` on a mounted /opt/ml, without a network."""

from __future__ import annotations

import json
import re
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from .example_jobs import EXAMPLES, ExampleJob

pytestmark = pytest.mark.timeout(1800)


def lay_out(base: Path, job: ExampleJob, **changes: str) -> None:
    """What the service puts below /opt/ml for one host."""
    for folder in ("input/config", "model", "output"):
        (base / folder).mkdir(parents=True)
    for channel, files in job.channels.items():
        (base / "input/data" / channel).mkdir(parents=True)
        for name, text in files.items():
            (base / "input/data" / channel / name).write_text(text, encoding="utf-8")
    configuration = {
        "hyperparameters": {**job.hyperparameters, **changes},
        "inputdataconfig": {channel: {"TrainingInputMode": "File"} for channel in job.channels},
        "resourceconfig": {"current_host": "algo-1", "hosts": ["algo-1"], "network_interface_name": "eth0"},
    }
    for name, content in configuration.items():
        (base / f"input/config/{name}.json").write_text(json.dumps(content), encoding="utf-8")


@pytest.fixture
def job(algorithm: str) -> ExampleJob:
    return EXAMPLES[algorithm]


def run(engine: Any, image: str, base: Path, command: str, **options: Any) -> Any:
    volumes = {str(base): {"bind": "/opt/ml", "mode": "rw"}}
    return engine.containers.run(image, command, volumes=volumes, detach=True, **options)


def train(engine: Any, image: str, base: Path) -> tuple[int, str]:
    container = run(engine, image, base, "train", network_mode="none")
    try:
        return container.wait()["StatusCode"], container.logs().decode()
    finally:
        container.remove(force=True)


def test_an_image_trains_and_serves(engine: Any, image: str, job: ExampleJob, tmp_path: Path) -> None:
    lay_out(tmp_path, job)
    status, log = train(engine, image, tmp_path)
    assert status == 0, log
    assert (tmp_path / "model" / job.model).is_file()

    server = run(engine, image, tmp_path, "serve", network_mode="none")
    try:
        ask = ["python", "-c", ASK, job.request]
        deadline = time.monotonic() + 60
        while (answer := server.exec_run(ask)).exit_code != 0:
            assert time.monotonic() < deadline, server.logs().decode()
            time.sleep(0.5)
        assert job.answers in answer.output.decode()
        server.stop(timeout=30)
        assert server.wait()["StatusCode"] == 0, "SIGTERM reaches the server, which ends by itself"
    finally:
        server.remove(force=True)


ASK = """
import sys, urllib.request
request = urllib.request.Request(
    "http://127.0.0.1:8080/invocations", sys.argv[1].encode(), {"Content-Type": "application/json"}
)
print(urllib.request.urlopen(request, timeout=10).read().decode())
"""


def test_a_users_mistake_is_in_the_failure_file_and_the_exit_code(
    engine: Any, image: str, job: ExampleJob, tmp_path: Path
) -> None:
    name, value, expectation = job.mistake
    lay_out(tmp_path, job, **{name: value})
    status, _ = train(engine, image, tmp_path)
    assert status == 1
    assert (tmp_path / "output" / "failure").read_text() == (
        f"ClientError: hyperparameter {name}={value} is out of range; {expectation}"
    )


# Credentials, caches of package managers, version control, and what only the build or the tests need.
_NO_BUSINESS = re.compile(
    r"(^|/)(\.cache|\.aws|\.ssh|\.git|\.netrc|\.pypirc|\.docker|\.env|id_rsa|id_ed25519|\.pytest_cache)(/|$)"
    r"|^var/cache/apt/archives/.*\.deb$|^var/lib/apt/lists/.*Packages"
    r"|^(build|opt/wheels)/"
)
_SECRET = re.compile(r"(?i)(secret|token|password|credential|api_?key)")


def test_no_layer_holds_a_secret_or_a_cache(engine: Any, image: str, job: ExampleJob, tmp_path: Path) -> None:
    found = engine.images.get(image)
    with (tmp_path / "image.tar").open("wb") as file:
        for block in found.save():
            file.write(block)
    names = list(of_all_layers(tmp_path / "image.tar"))
    assert f"opt/house/{job.package}/__init__.py" in names, "the layers were read"
    assert [name for name in names if _NO_BUSINESS.search(name)] == []
    assert [setting for setting in found.attrs["Config"]["Env"] if _SECRET.search(setting)] == []
    assert [step["CreatedBy"] for step in found.history() if _SECRET.search(step["CreatedBy"])] == []
    (tmp_path / "image.tar").unlink()


def of_all_layers(archive: Path) -> Iterator[str]:
    """The names of the files in every layer of a saved image."""
    with tarfile.open(archive) as image:
        manifest = image.extractfile("manifest.json")
        assert manifest is not None
        for layer in json.load(manifest)[0]["Layers"]:
            packed = image.extractfile(layer)
            assert packed is not None
            with tarfile.open(fileobj=packed) as files:
                yield from (file.name.removeprefix("./") for file in files if file.isfile())


def test_a_change_of_code_makes_one_small_layer_anew(engine: Any, image: str) -> None:
    steps = [step for step in engine.images.get(image).history() if step["Size"]]
    code, packages = steps[0], steps[1]
    assert code["Size"] < 10e6 < packages["Size"], "the code is a layer of its own, above that of the packages"
