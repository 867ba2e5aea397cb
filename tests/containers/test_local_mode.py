"""A client that nobody here wrote: the SageMaker SDK's local mode trains and serves with our image."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import tarfile
from pathlib import Path
from typing import Any

import pytest

from kindling.environments import EnvironmentNotMadeError, python_of
from kindling.localcloud import sagemaker_sdk
from kindling.localcloud.cloud import REGION

from .test_docker_runner import corpus, similarity

pytestmark = pytest.mark.timeout(600)


@pytest.fixture
def sdk(tmp_path: Path) -> list[str]:
    """The command that runs a script in the SDK's environment."""
    if shutil.which("docker-compose") is None:
        pytest.skip("docker-compose is not installed; it is a package of Debian's")
    try:
        return [str(python_of("client-sagemaker-v2"))]
    except EnvironmentNotMadeError as error:
        pytest.skip(str(error))


def test_local_mode_trains_on_two_hosts_and_serves(blazingtext: str, sdk: list[str], tmp_path: Path) -> None:
    (tmp_path / "corpus").mkdir()
    (tmp_path / "corpus" / "corpus.txt").write_bytes(corpus())
    sagemaker_sdk.write_configuration(tmp_path)  # no telemetry
    credentials = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_DEFAULT_REGION": REGION}
    environment = os.environ | credentials | sagemaker_sdk.environment(tmp_path) | {"TMPDIR": str(tmp_path)}
    script = Path(__file__).with_name("local_mode.py")
    done = subprocess.run(
        [*sdk, str(script), blazingtext, str(tmp_path), "2"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    said: dict[str, Any] = {}
    for found in re.findall(r'\{"(?:model|answer)": .*', done.stdout):  # the SDK writes there, too
        said |= json.loads(found)
    with tarfile.open(said["model"].removeprefix("file://")) as model:
        assert "vectors.bin" in {Path(name).name for name in model.getnames()}
    vectors = {one["word"]: one["vector"] for one in said["answer"]}
    assert similarity(vectors, "cat", "dog") > similarity(vectors, "cat", "bus") + 0.2
