"""An image's tag depends on what goes into the image, and on nothing else."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import aws_cdk as cdk
import pytest

from containers import catalogue
from stacks.constructs.algorithm_image import AlgorithmImage, AlgorithmImageProps
from tests.stacks.synthesis import Assembly

FILES = {
    "catalogue.py": "",
    "vectors/Dockerfile": "FROM scratch",
    "vectors/src/vectors/train.py": "print('train')",
    "vectors/tests/test_train.py": "",
    "translator/Dockerfile": "FROM scratch",
    "contract/src/contract/paths.py": "",
    "contract/tests/test_paths.py": "",
}


@pytest.fixture
def containers(tmp_path: Path) -> Path:
    """Two algorithms and the contract."""
    for name, text in FILES.items():
        path = tmp_path / "containers" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path / "containers"


@pytest.fixture
def changed(containers: Path, tmp_path: Path) -> Path:
    """The same at another place, to be changed: the CDK reads a folder but once in a process."""
    return Path(shutil.copytree(containers, tmp_path / "changed"))


def _tag(containers: Path, *, gpu: bool = False) -> str:
    """The tag that the image of `vectors` gets."""
    stack = cdk.Stack(cdk.App(outdir=str(containers.with_suffix(".out"))), "Stack")
    props = AlgorithmImageProps(containers=containers, algorithm="vectors", gpu=gpu)
    return AlgorithmImage(stack, "Image", props).asset.asset_hash


def _change(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("changed")


@pytest.mark.parametrize(
    "name",
    [
        *("vectors/Dockerfile", "vectors/src/vectors/train.py", "vectors/src/vectors/new.py"),
        *("vectors/requirements.txt", "contract/src/contract/paths.py"),
    ],
)
def test_a_change_of_what_is_shipped_makes_a_new_image(name: str, containers: Path, changed: Path) -> None:
    _change(changed / name)
    assert _tag(changed) != _tag(containers)


@pytest.mark.parametrize(
    "name",
    [
        *("catalogue.py", "translator/Dockerfile", "translator/src/translator/train.py"),
        *("vectors/tests/test_train.py", "vectors/requirements-test.txt", "contract/tests/test_paths.py"),
        *("vectors/src/vectors/__pycache__/train.cpython-311.pyc", "vectors/.pytest_cache/README.md"),
        *("vectors/build/engine.o", "vectors/src/vectors/_engine.so", "contract/src/contract.egg-info/PKG-INFO"),
    ],
)
def test_a_change_of_anything_else_does_not(name: str, containers: Path, changed: Path) -> None:
    _change(changed / name)
    assert _tag(changed) == _tag(containers)


def test_an_image_for_gpus_is_another_image(containers: Path, changed: Path) -> None:
    assert _tag(changed, gpu=True) != _tag(containers)


@pytest.mark.parametrize("algorithm", catalogue.algorithms())
def test_a_build_context_holds_the_algorithm_and_the_contract(algorithm: str, assembly: Assembly) -> None:
    assets = json.loads((assembly.path / "KindlingImages.assets.json").read_text())["dockerImages"].values()
    (source,) = [asset["source"] for asset in assets if asset["displayName"] == algorithm]
    context = assembly.path / source["directory"]
    assert source["dockerFile"] == f"{algorithm}/Dockerfile"
    assert {path.name for path in context.iterdir()} == {algorithm, "contract", ".dockerignore"}
    assert (context / algorithm / "algorithm.toml").is_file()
    assert (context / "contract" / "pyproject.toml").is_file()
    assert not list(context.rglob("tests"))


def test_images_wait_for_their_repository_on_a_first_deployment(assembly: Assembly) -> None:
    assert assembly.manifest["artifacts"]["KindlingImages.assets"]["dependencies"] == ["KindlingRegistry"]
